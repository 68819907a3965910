// Walking several strided operands of one shape: dims of size 1 vanish, neighbours that every operand steps through
// evenly merge, and what is left is rows() runs of inner() elements.
#pragma once
#include <stdint.h>

#include "base/host_device.h"

namespace ao {

template <int operands>
struct Walk {
  int ndim = 0; // at least 1 after merge_dims
  int64_t shape[6];
  int64_t strides[operands][6];

  AO_HD int64_t inner() const { return shape[ndim - 1]; }
  AO_HD int64_t inner_stride(int operand) const { return strides[operand][ndim - 1]; }
  AO_HD int64_t rows() const {
    int64_t count = shape[ndim - 1] > 0 ? 1 : 0;
    for (int d = 0; d + 1 < ndim; d++) count *= shape[d];
    return count;
  }

  struct Offsets {
    int64_t at[operands];
  };
  // Where run `row` begins in each operand, in elements.
  AO_HD Offsets offsets(int64_t row) const {
    Offsets result{};
    for (int d = ndim - 2; d >= 0; d--) {
      const int64_t index = row % shape[d];
      row /= shape[d];
      for (int k = 0; k < operands; k++) result.at[k] += index * strides[k][d];
    }
    return result;
  }
};

template <int operands>
Walk<operands> merge_dims(int64_t ndim, const int64_t* shape, const int64_t* const* strides) {
  Walk<operands> walk;
  for (int64_t d = 0; d < ndim; d++) {
    if (shape[d] == 1) continue;
    bool merges = walk.ndim > 0;
    const int last = walk.ndim - 1;
    for (int k = 0; k < operands && merges; k++) merges = walk.strides[k][last] == strides[k][d] * shape[d];
    if (merges) {
      walk.shape[last] *= shape[d];
    } else {
      walk.shape[walk.ndim++] = shape[d];
    }
    for (int k = 0; k < operands; k++) walk.strides[k][walk.ndim - 1] = strides[k][d];
  }
  if (walk.ndim == 0) {
    walk.ndim = 1;
    walk.shape[0] = 1;
    for (int k = 0; k < operands; k++) walk.strides[k][0] = 1;
  }
  return walk;
}

} // namespace ao
