// batch.h for 2:4 weights.
#include "gemm/batch.h"

namespace ao {

int run_batch_sparse(ao_ctx* ctx, const char* op, int form, int tiles_n, int64_t blocks, const Batch& b) {
  switch (form) {
  case kSparseForm + 4:
    return batch_of_form<kSparseForm + 4>(ctx, op, tiles_n, blocks, b);
  case kSparseForm + 8:
    return batch_of_form<kSparseForm + 8>(ctx, op, tiles_n, blocks, b);
  default:
    return batch_of_form<kSparseForm + kSmallForm + 8>(ctx, op, tiles_n, blocks, b);
  }
}

} // namespace ao
