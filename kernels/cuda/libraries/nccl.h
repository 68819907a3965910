// Process groups on NCCL, which is opened when the first group is made.
#pragma once

struct ao_ctx;

namespace ao {

// Waits for the context's stream. While a process group is open it gives up where NCCL reports an error, or where nothing has ended for
// the group's timeout: then the group is aborted, and 1 returned with the error recorded.
int wait_for_stream(ao_ctx* ctx);

} // namespace ao
