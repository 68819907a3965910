// Scalar codecs of the storage dtypes, all static so that ISA files may include them. Narrowing rounds to nearest even.
//   bfloat16: the upper half of float32.  float16: IEEE half.
//   float8 e4m3fn: 1-4-3, bias 7, no infinity, 0x7f NaN, max 448; overflow becomes NaN.
//   float8 e5m2: 1-5-2, bias 15, IEEE-like, max 57344; overflow becomes infinity.
//   float8 e8m0: a power of two, 2^(code - 127), 255 is NaN.
#pragma once
#include <stdint.h>
#include <string.h>

#include "ao/kernel.h"
#include "base/host_device.h"

AO_HD static inline uint32_t ao_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}

AO_HD static inline float ao_float(uint32_t u) {
  float x;
  memcpy(&x, &u, 4);
  return x;
}

AO_HD static inline float ao_from_bf16(uint16_t h) { return ao_float((uint32_t)h << 16); }

AO_HD static inline uint16_t ao_to_bf16(float x) {
  const uint32_t u = ao_bits(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u);
  return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

// A float with `exponent` bits (bias 2^(exponent-1)-1) and `mantissa` bits; codes below infinity are finite.
AO_HD static inline float ao_from_small(uint32_t code, int exponent, int mantissa) {
  const uint32_t sign = (code >> (exponent + mantissa)) & 1u;
  const uint32_t e = (code >> mantissa) & ((1u << exponent) - 1u), m = code & ((1u << mantissa) - 1u);
  const int bias = (1 << (exponent - 1)) - 1;
  float value;
  if (e == 0) {
    value = (float)m * ao_float((uint32_t)(127 + 1 - bias - mantissa) << 23);
  } else {
    value = ao_float(((e + 127u - (uint32_t)bias) << 23) | (m << (23 - mantissa)));
  }
  return sign ? -value : value;
}

// The magnitude of x rounded to that format as a code, without looking at its range; the caller handles overflow.
AO_HD static inline uint32_t ao_round_small(float magnitude, int exponent, int mantissa) {
  const int bias = (1 << (exponent - 1)) - 1;
  const uint32_t u = ao_bits(magnitude);
  const uint32_t smallest_normal = (uint32_t)(127 + 1 - bias) << 23;
  if (u < smallest_normal) { // adding 2^(23 + least exponent) leaves the rounded code in the low mantissa bits
    const float magic = ao_float((uint32_t)(127 + 23 + 1 - bias - mantissa) << 23);
    return ao_bits(magnitude + magic) - ao_bits(magic);
  }
  const int shift = 23 - mantissa;
  const uint32_t rounded = u + ((1u << (shift - 1)) - 1u) + ((u >> shift) & 1u);
  return (rounded - ((uint32_t)(127 - bias) << 23)) >> shift;
}

AO_HD static inline float ao_from_f16(uint16_t h) {
  if ((h & 0x7c00u) == 0x7c00u)
    return ao_float(((uint32_t)(h & 0x8000u) << 16) | 0x7f800000u | ((uint32_t)(h & 0x3ffu) << 13));
  return ao_from_small(h, 5, 10);
}

AO_HD static inline uint16_t ao_to_f16(float x) {
  const uint32_t u = ao_bits(x), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu));
  if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
  return (uint16_t)(sign | ao_round_small(ao_float(a), 5, 10));
}

AO_HD static inline float ao_from_f8e4m3(uint8_t c) {
  if ((c & 0x7fu) == 0x7fu) return ao_float(((uint32_t)(c & 0x80u) << 24) | 0x7fc00000u);
  return ao_from_small(c, 4, 3);
}

AO_HD static inline uint8_t ao_to_f8e4m3(float x) {
  const uint32_t u = ao_bits(x), sign = (u >> 24) & 0x80u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return (uint8_t)(sign | 0x7fu);
  const uint32_t code = a >= 0x43f00000u ? 0x7fu : ao_round_small(ao_float(a), 4, 3); // 480 and more
  return (uint8_t)(sign | (code > 0x7fu ? 0x7fu : code));
}

AO_HD static inline float ao_from_f8e5m2(uint8_t c) {
  if ((c & 0x7cu) == 0x7cu) return ao_float(((uint32_t)(c & 0x80u) << 24) | 0x7f800000u | ((uint32_t)(c & 3u) << 21));
  return ao_from_small(c, 5, 2);
}

AO_HD static inline uint8_t ao_to_f8e5m2(float x) {
  const uint32_t u = ao_bits(x), sign = (u >> 24) & 0x80u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return (uint8_t)(sign | 0x7fu);
  const uint32_t code = a >= 0x47700000u ? 0x7cu : ao_round_small(ao_float(a), 5, 2); // 61440 and more
  return (uint8_t)(sign | (code > 0x7cu ? 0x7cu : code));
}

// 2^(code - 127), 255 is NaN.
AO_HD static inline float ao_from_f8e8m0(uint8_t c) {
  return ao_float(c == 255 ? 0x7fc00000u : c == 0 ? 0x00400000u : (uint32_t)c << 23);
}

AO_HD static inline int ao_dtype_size(int64_t dtype) {
  switch (dtype) {
  case AO_F32:
  case AO_I32:
    return 4;
  case AO_F16:
  case AO_BF16:
    return 2;
  case AO_I64:
    return 8;
  case AO_F8E4M3:
  case AO_F8E5M2:
  case AO_F8E8M0:
  case AO_I8:
  case AO_U8:
  case AO_BOOL:
    return 1;
  default:
    return 0;
  }
}

AO_HD static inline const char* ao_dtype_name(int64_t dtype) {
  switch (dtype) {
  case AO_F32:
    return "float32";
  case AO_F16:
    return "float16";
  case AO_BF16:
    return "bfloat16";
  case AO_F8E4M3:
    return "float8_e4m3fn";
  case AO_F8E5M2:
    return "float8_e5m2";
  case AO_F8E8M0:
    return "float8_e8m0fnu";
  case AO_I8:
    return "int8";
  case AO_U8:
    return "uint8";
  case AO_I32:
    return "int32";
  case AO_I64:
    return "int64";
  case AO_BOOL:
    return "bool";
  default:
    return "an unknown dtype";
  }
}
