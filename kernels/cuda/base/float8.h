// float8 codes of floats by the device's own conversion where it has one; bits are those of ops/convert.h.
#pragma once
#include "base/elements.h"

namespace ao {

// Saturates; NaN keeps its sign, as all do.
__device__ inline uint8_t float8_code(int64_t f8, float v) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  if (v == v) {
    uint16_t pair;
    if (f8 == AO_F8E4M3)
      asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(v));
    else
      asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(v));
    return static_cast<uint8_t>(pair);
  }
#endif
  const float size = fabsf(v), most = f8 == AO_F8E4M3 ? 448.0f : 57344.0f, bounded = size > most ? most : size;
  const uint8_t code = f8 == AO_F8E4M3 ? ao_to_f8e4m3(bounded) : ao_to_f8e5m2(bounded);
  return static_cast<uint8_t>((code & 0x7f) | (ao_bits(v) >> 24 & 0x80));
}

// Codes of (low, high) beside each other.
__device__ inline uint32_t float8_pair(int64_t f8, float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  if (low == low && high == high) {
    uint16_t pair;
    if (f8 == AO_F8E4M3)
      asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
    else
      asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
    return pair;
  }
#endif
  return float8_code(f8, low) | static_cast<uint32_t>(float8_code(f8, high)) << 8;
}

} // namespace ao
