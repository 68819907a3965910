// Matrix products on cuBLASLt, where it is found.
#pragma once
#include "gemm/linear.h"

namespace ao {

// out [m, n] = a . b^T (+ add) (+ bias), a [m, k] and b [n, k] of one float dtype, of float8 with scales, or of int8 (out int32, exact).
struct Multiply {
  Side a, b;
  int64_t m, n, k;
  void* out;
  int64_t out_dtype, out_stride;
  const void* add = nullptr; // [m, n] in out's dtype, out itself too; joins before the sum is rounded
  int64_t add_stride = 0;
  const void* bias = nullptr; // [n] in out's dtype
  // Of float8, what its values are multiplied by: one each, or, `by_rows`, [m] and [n]. `fast`: sums of less precision.
  const float *a_scale = nullptr, *b_scale = nullptr;
  bool by_rows = false, fast = false;
};

// Whether products can go there.
bool has_blas(ao_ctx* ctx);

// *done tells whether the library did it; 1 with the error recorded where it failed underway. AO_CUDA_BLAS=0 leaves all to own kernels.
int blas_multiply(ao_ctx* ctx, const char* op, const Multiply& p, bool* done);

} // namespace ao
