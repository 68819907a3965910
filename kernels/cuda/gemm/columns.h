// Rows of x as columns of a product on tensor cores: bfloat16 ones as they are, float16 and float32 ones as two or three that add up to
// them exactly (8 bits each). For each 64 columns of x, half of them, column of the product and t = lane % 4: the 8 values of two steps, 16 bytes.
#pragma once
#include "gemm/fragment.h"
#include "gemm/store.h"

namespace ao {

inline int x_parts(int64_t dtype, bool f16) { return dtype == AO_F32 ? 3 : dtype == AO_F16 && !f16 ? 2 : 1; }

// Part p of a number; they are cut, not rounded, so that what is left is exact.
__device__ inline uint16_t part_of(float v, int part, int parts) {
  if (parts == 1) return ao_to_bf16(v);
  if ((ao_bits(v) & 0x7f800000u) == 0x7f800000u) return part ? 0 : ao_to_bf16(v);
  for (;; part--) {
    const uint32_t high = ao_bits(v) & 0xffff0000u;
    if (part == 0) return static_cast<uint16_t>(high >> 16);
    v -= ao_float(high);
  }
}

// The column of x of value i of a piece.
template <int form>
__device__ inline int64_t x_column(int64_t tile, int half, int t, int i) {
  constexpr bool near = is_plain(form) || is_sparse(form); // a lane's steps are neighbours
  return tile * kTileColumns + 32 * half + (near ? 8 * t + i : 4 * t + i % 4 + i / 4 * 16);
}

// One piece: column c of the product is part c % parts of row c / parts of x.
template <int form>
__device__ inline uint4 x_piece(const Rows& x, int64_t columns, int64_t row, int part, int parts, int64_t tile,
                                int half, int t, bool aligned) {
  const int64_t first = x_column<form>(tile, half, t, 0), second = x_column<form>(tile, half, t, 4);
  if (parts == 1 && aligned && second + 4 <= columns) {
    const uint16_t* from = static_cast<const uint16_t*>(x.data) + row * x.stride;
    const uint2 a = *reinterpret_cast<const uint2*>(from + first), b = *reinterpret_cast<const uint2*>(from + second);
    return make_uint4(a.x, a.y, b.x, b.y);
  }
  uint4 word = make_uint4(0, 0, 0, 0);
#pragma unroll 1
  for (int i = 0; i < 8; i++) {
    const int64_t at = x_column<form>(tile, half, t, i);
    if (at >= columns) continue;
    const int64_t from = row * x.stride + at;
    uint32_t v = parts == 1 ? static_cast<const uint16_t*>(x.data)[from]
                            : part_of(load_rarely(static_cast<int>(x.dtype), x.data, from), part, parts);
    v <<= i % 2 * 16;
    (i < 2 ? word.x : i < 4 ? word.y : i < 6 ? word.z : word.w) |= v;
  }
  return word;
}

inline bool x_aligned(const Rows& x) {
  return reinterpret_cast<uintptr_t>(x.data) % 8 == 0 && (x.stride % 4 == 0 || x.m == 1);
}

} // namespace ao
