// What the attention kernels on tensor cores share: values of 16 bits by dtype, exponentials of base 2, and code rows as bfloat16s.
#pragma once
#include "base/mma.h"
#include "ops/attention.h"

namespace ao {

constexpr float kLog2e = 1.4426950408889634f;

template <int dtype>
__device__ inline void mma16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (dtype == AO_BF16)
    mma_bf16(d, a, b);
  else
    mma_f16(d, a, b);
}

// Two floats in a register, x in the low half.
template <int dtype>
__device__ inline uint32_t pack16(float x, float y) {
  if constexpr (dtype == AO_BF16) return pack_bf16x2(x, y);
#if defined(AO_EMULATE)
  return to_f16(x) | static_cast<uint32_t>(to_f16(y)) << 16;
#else
  uint32_t d;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(y), "f"(x));
  return d;
#endif
}

template <int dtype>
__device__ inline float half_of(uint32_t v, int j) {
  const uint16_t h = static_cast<uint16_t>(v >> 16 * j);
  return dtype == AO_BF16 ? ao_from_bf16(h) : from_f16(h);
}

// 2^x, 0 for -INFINITY.
__device__ inline float power2(float x) {
#if defined(AO_EMULATE)
  return exp2f(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

// The low halves of two registers in one, or the high ones.
__device__ inline uint32_t join_halves(uint32_t a, uint32_t b, bool high) {
  return high ? a >> 16 | (b & 0xffff0000u) : (a & 0xffffu) | b << 16;
}

// The sum, or the largest, of the four lanes that hold one row of a fragment.
__device__ inline float sum_row(float v) {
  v += __shfl_xor_sync(kAllLanes, v, 1);
  return v + __shfl_xor_sync(kAllLanes, v, 2);
}
__device__ inline float most_of_row(float v) {
  v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, 1));
  return fmaxf(v, __shfl_xor_sync(kAllLanes, v, 2));
}

// Byte i of `word`, less `center`, as a float: exact.
__device__ inline float byte_float(uint32_t word, int i, float center) {
#if defined(AO_EMULATE)
  return static_cast<float>(word >> 8 * i & 255) - center;
#else
  return __uint_as_float(__byte_perm(word, 0x4b000000u, 0x7650u | i)) - (8388608.0f + center);
#endif
}

// Codes 8 c .. 8 c + 7 of a code row of n values as bfloat16s; the row is a multiple of 4 bytes from an aligned address.
__device__ inline uint4 code_chunk(CodeRows rows, const uint8_t* row, int64_t n, int64_t c) {
  const uint8_t* codes = row + rows.header();
  uint32_t low, high;
  float center = 128.0f;
  if (rows.bits == 8) {
    const uint32_t* words = reinterpret_cast<const uint32_t*>(codes + 8 * c);
    low = words[0] ^ 0x80808080u, high = words[1] ^ 0x80808080u;
  } else {
    const bool upper = 16 * c >= n;
    const uint32_t* words = reinterpret_cast<const uint32_t*>(codes + 8 * c - (upper ? n / 2 : 0));
    low = words[0] >> (upper ? 4 : 0) & 0x0f0f0f0fu, high = words[1] >> (upper ? 4 : 0) & 0x0f0f0f0fu;
    center = rows.asymmetric ? 0.0f : 8.0f;
  }
  const auto pair = [&](uint32_t word, int i) {
    return pack_bf16x2(byte_float(word, i, center), byte_float(word, i + 1, center));
  };
  return make_uint4(pair(low, 0), pair(low, 2), pair(high, 0), pair(high, 2));
}

} // namespace ao
