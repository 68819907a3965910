// Whether CUDA can be used here, and if not, why and what would help. Nothing is opened before someone asks.
#pragma once

namespace ao {

// The reason for a status of the runtime, by the versions of driver and runtime (as CUDA has them; 0 where there is no driver).
void why_no_cuda(int status, int driver, int runtime, char* reason, int size);

// The oldest driver that runs what this runtime compiles, as NVIDIA names drivers; 0 for a runtime it does not know.
int driver_floor(int runtime);

} // namespace ao
