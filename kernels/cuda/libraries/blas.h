// Dense products on cuBLASLt, where it is found.
#pragma once
#include "gemm/linear.h"

namespace ao {

// *done tells whether the library did it; 1 with the error recorded where it failed underway. AO_CUDA_BLAS=0 leaves all to own kernels.
int blas_product(ao_ctx* ctx, const char* op, const Term& term, int64_t m, const Store& store, bool* done);

} // namespace ao
