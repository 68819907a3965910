// batch.h for small floats.
#include "gemm/batch.h"

namespace ao {

int run_batch_floats(ao_ctx* ctx, const char* op, int form, int tiles_n, int64_t blocks, const Batch& b) {
  switch (form) {
  case kSmallForm + 4:
    return batch_of_form<kSmallForm + 4>(ctx, op, tiles_n, blocks, b);
  case kSmallForm + 6:
    return batch_of_form<kSmallForm + 6>(ctx, op, tiles_n, blocks, b);
  default:
    return batch_of_form<kSmallForm + 8>(ctx, op, tiles_n, blocks, b);
  }
}

} // namespace ao
