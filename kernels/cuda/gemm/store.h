// The end of a product: bias, one rounding, and a residual that the rounded sum joins.
#pragma once
#include "base/ctx.h"
#include "base/elements.h"
#include "base/weight.h"

namespace ao {

struct Store {
  const void* bias; // null, or [n]
  const void* residual;
  void* out;
  int64_t residual_stride, out_stride, n;
  int32_t bias_dtype, out_dtype;
};

__device__ inline void put(const Store& to, int64_t row, int64_t column, float v) {
  if (to.bias) v += load_float(to.bias_dtype, to.bias, column);
  if (to.residual)
    v = rounded_to(to.out_dtype, v) + load_float(to.out_dtype, to.residual, row * to.residual_stride + column);
  store_float(to.out_dtype, to.out, row * to.out_stride + column, v);
}

inline Store plain_store(void* out, int64_t n, int64_t dtype) {
  return {nullptr, nullptr, out, 0, n, n, AO_F32, static_cast<int32_t>(dtype)};
}

struct Target {
  Weight w;
  Store store;
};

constexpr int kMostTargets = 4;
struct Targets {
  Target at[kMostTargets];
  bool packed; // before this call
};

// x [m, columns of the weights].
struct Rows {
  const void* data;
  int64_t m, stride, dtype;
};

// How a call of an int8-token mode departs from it (ao/weights.h).
struct ActForm {
  float eps;
  const float* scale;
  const int8_t* zero;
  int64_t flags;
};

// Rows of experts: row r has weight at[index[r] - first] where that is one of `count`, and row r / per_x of x.
constexpr int kMostExperts = 16;
struct Experts {
  Weight at[kMostExperts];
  const int32_t* index;
  int64_t first, count, per_x;
};

} // namespace ao
