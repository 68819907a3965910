// Decoded elements of a weight on the device, one at a time: for gather, dense products and tests of the fast paths.
#pragma once
#include "base/elements.h"
#include "base/weight.h"

namespace ao {

// What is added to the codes of signed integers before they are stored: so that they count from 0. Eight bits stay as they are.
AO_HD inline int bias_of(const Weight& w) { return w.values == kSigned && w.bits < 8 ? 1 << (w.bits - 1) : 0; }

// The number that a code stands for, before scale and zero point.
__device__ inline float number_of(const Weight& w, uint32_t code) {
  if (w.values >= kSmallFloat) return w.table[code];
  if (w.bits == 8) return static_cast<float>(static_cast<int8_t>(code));
  return static_cast<float>(static_cast<int>(code) - bias_of(w));
}
__device__ inline float number_at(const Weight& w, int64_t row, int64_t k) { return number_of(w, code_at(w, row, k)); }

// w = (q - z) s, or q s + z, each step rounded.
__device__ inline float scaled(const Weight& w, int64_t row, int64_t group, float q) {
  const int64_t at = w.part_at(row, group);
  const float s = load_float(w.scale_dtype, w.scale, at);
  if (w.zero_domain == AO_ZERO_NONE) return q * s;
  const float z = load_float(w.zero_dtype, w.zero, at);
  return w.zero_domain == AO_ZERO_INT ? (q - z) * s : q * s + z;
}

// Kept column k of a row, of floats without 2:4 too.
__device__ inline float kept_value(const Weight& w, int64_t row, int64_t k) {
  if (w.values == kFloats) return load_float(w.source, w.codes + row * w.row_bytes, k);
  return scaled(w, row, k / w.group, number_at(w, row, k));
}

// Where column c of a 2:4 row lies among those that are kept; -1 where it is not there.
__device__ inline int64_t kept_at(const Weight& w, int64_t row, int64_t c) {
  const int64_t k = c / 4 * 2;
  const int j = static_cast<int>(c % 4);
  return j == spot_at(w, row, k + 1) ? k + 1 : j == spot_at(w, row, k) ? k : -1;
}

__device__ inline float value_at(const Weight& w, int64_t row, int64_t c) {
  if (!w.sparse) return kept_value(w, row, c);
  const int64_t k = kept_at(w, row, c);
  return k < 0 ? 0.0f : kept_value(w, row, k);
}

} // namespace ao
