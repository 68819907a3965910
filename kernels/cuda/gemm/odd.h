// The product of rows whose codes stand for infinities or NaN, which kernels that compute small floats by their bits leave to this.
#pragma once
#include "gemm/decode.h"
#include "gemm/store.h"

namespace ao {

__device__ inline float odd_sum(const Weight& w, int64_t row, const Rows& x, int64_t x_row) {
  float sum = 0;
  for (int64_t c = 0; c < w.columns(); c++)
    sum = fmaf(value_at(w, row, c), load_float(x.dtype, x.data, x_row * x.stride + c), sum);
  return sum;
}

} // namespace ao
