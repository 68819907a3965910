// The end of a tile: bias, rounding, residual; the last panel may hold fewer than 16 columns.
#pragma once
#include "gemm/isa/vec.h"
#include "gemm/kernels.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

inline VF load_some(int32_t dtype, const void* p, int64_t at, int64_t count) {
  const int64_t size = dtype == AO_F32 ? 4 : 2;
  p = (const char*)p + at * size;
  if (count == kPanelRows) return v_load_as(dtype, p);
  char block[64] = {0};
  memcpy(block, p, count * size);
  return v_load_as(dtype, block);
}

inline void store_some(int32_t dtype, void* p, int64_t at, int64_t count, VF v) {
  const int64_t size = dtype == AO_F32 ? 4 : 2;
  p = (char*)p + at * size;
  if (count == kPanelRows) return v_store_as(dtype, p, v);
  char block[64];
  v_store_as(dtype, block, v);
  memcpy(p, block, count * size);
}

// Takes memory: a vector of two registers passed by value would pin a kernel's accumulator to the stack.
inline void store_row(const float* acc, int64_t row, int64_t panel, const Store& to) {
  VF v = v_load(acc);
  const int64_t column = panel * kPanelRows, left = to.n - column, count = left < kPanelRows ? left : kPanelRows;
  if (to.bias) v = v_add(v, load_some(to.bias_dtype, to.bias, column, count));
  if (to.residual) {
    if (to.out_dtype != AO_F32) {
      char block[64];
      v_store_as(to.out_dtype, block, v);
      v = v_load_as(to.out_dtype, block);
    }
    v = v_add(v, load_some(to.out_dtype, to.residual, row * to.residual_stride + column, count));
  }
  store_some(to.out_dtype, to.out, row * to.out_stride + column, count, v);
}

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
