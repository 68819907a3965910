// Rows of codes with a scale of their own (kernels/cpu/ops/code_rows.h) on the device, read and written byte by byte: they need not be
// aligned.
#pragma once
#include <float.h>

#include "base/block.h"
#include "base/elements.h"
#include "ops/code_rows.h"

namespace ao {

__device__ inline float float_at(const uint8_t* p) {
  return ao_float(p[0] | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
                  static_cast<uint32_t>(p[3]) << 24);
}
__device__ inline void put_float(uint8_t* p, float x) {
  const uint32_t u = ao_bits(x);
  for (int i = 0; i < 4; i++) p[i] = static_cast<uint8_t>(u >> 8 * i);
}

// Value i of a row of n.
__device__ inline float code_row_value(CodeRows rows, const uint8_t* row, int64_t n, int64_t i) {
  const float s = float_at(row);
  const uint8_t* codes = row + rows.header();
  float c;
  if (rows.bits == 8) {
    c = static_cast<float>(static_cast<int8_t>(codes[i]));
  } else {
    const int64_t half = n / 2;
    const int code = i < half ? codes[i] & 15 : codes[i - half] >> 4;
    c = static_cast<float>(rows.asymmetric ? code : code - 8);
  }
  return rows.asymmetric ? s * c + float_at(row + 4) : s * c;
}

// A warp writes n values x of a float dtype as a row; the formulas are code_row_write's.
__device__ inline void write_code_row(CodeRows rows, uint8_t* out, const void* x, int64_t at, int64_t dtype,
                                      int64_t n) {
  const int lane = threadIdx.x % kWarp;
  const Larger larger;
  float high = -INFINITY, low = -INFINITY;
  for (int64_t i = lane; i < n; i += kWarp) {
    const float v = load_float(dtype, x, at + i);
    high = larger(high, rows.asymmetric ? v : fabsf(v));
    low = larger(low, rows.asymmetric ? -v : 0.0f);
  }
  high = reduce_warp(high, larger), low = reduce_warp(low, larger);
  const float steps = rows.bits == 8 ? (rows.asymmetric ? 255.0f : 127.0f) : (rows.asymmetric ? 15.0f : 7.0f);
  const float center = rows.bits == 8 ? 128.0f : 8.0f;
  const float least = -low, span = high - least, step = span / steps;
  const bool whole = span <= FLT_MAX; // not NaN, not infinite
  const float s = !whole ? NAN : step > FLT_MIN ? step : FLT_MIN;
  const float start = rows.asymmetric ? least : 0.0f, shift = rows.asymmetric ? 0.0f : center;
  if (lane == 0) {
    put_float(out, s);
    if (rows.asymmetric) put_float(out + 4, rows.bits == 8 || !whole ? least + center * s : least);
  }
  uint8_t* codes = out + rows.header();
  const auto code = [&](int64_t i) {
    if (!whole) return 0;
    const float v = nearbyintf((load_float(dtype, x, at + i) - start) / s) + shift, top = rows.bits == 8 ? 255 : 15;
    return static_cast<int>(v < 0 ? 0.0f : v > top ? top : v);
  };
  const int64_t count = rows.bits == 8 ? n : n / 2;
  for (int64_t i = lane; i < count; i += kWarp)
    codes[i] = static_cast<uint8_t>(rows.bits == 8 ? (whole ? code(i) ^ 128 : 0) : code(i) | code(i + count) << 4);
}

} // namespace ao
