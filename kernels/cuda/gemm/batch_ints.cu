// batch.h for integers.
#include "gemm/batch.h"

namespace ao {

int run_batch_ints(ao_ctx* ctx, const char* op, int form, int tiles_n, int64_t blocks, const Batch& b) {
  switch (form) {
  case kIntForm + 1:
    return batch_of_form<kIntForm + 1>(ctx, op, tiles_n, blocks, b);
  case kIntForm + 2:
    return batch_of_form<kIntForm + 2>(ctx, op, tiles_n, blocks, b);
  case kIntForm + 3:
    return batch_of_form<kIntForm + 3>(ctx, op, tiles_n, blocks, b);
  case kIntForm + 4:
    return batch_of_form<kIntForm + 4>(ctx, op, tiles_n, blocks, b);
  case kIntForm + 5:
    return batch_of_form<kIntForm + 5>(ctx, op, tiles_n, blocks, b);
  case kIntForm + 6:
    return batch_of_form<kIntForm + 6>(ctx, op, tiles_n, blocks, b);
  case kIntForm + 7:
    return batch_of_form<kIntForm + 7>(ctx, op, tiles_n, blocks, b);
  default:
    return batch_of_form<kIntForm + 8>(ctx, op, tiles_n, blocks, b);
  }
}

} // namespace ao
