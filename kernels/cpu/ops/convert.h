// Conversion between storage dtypes, with torch's meaning of a cast:
//   float -> float   through float32, nearest even; float8 e4m3fn overflows to NaN, e5m2 to infinity
//   float -> int     toward zero; outside int64 (and NaN) the least int64; then the low bits
//   int -> int       the low bits;  int -> float   nearest even through float32
//   any -> bool      x != 0 (NaN is true)
#pragma once
#include "base/dtype.h"

namespace ao {

AO_HD inline int64_t truncate(double x) {
  return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? static_cast<int64_t>(x) : INT64_MIN;
}

AO_HD inline bool is_float_dtype(int64_t dtype) { return dtype <= AO_F8E5M2; }

// Element i of a buffer of `dtype` from a double.
AO_HD inline void store_scalar(int64_t dtype, void* out, int64_t i, double value) {
  switch (dtype) {
  case AO_F32:
    static_cast<float*>(out)[i] = static_cast<float>(value);
    break;
  case AO_F16:
    static_cast<uint16_t*>(out)[i] = ao_to_f16(static_cast<float>(value));
    break;
  case AO_BF16:
    static_cast<uint16_t*>(out)[i] = ao_to_bf16(static_cast<float>(value));
    break;
  case AO_F8E4M3:
    static_cast<uint8_t*>(out)[i] = ao_to_f8e4m3(static_cast<float>(value));
    break;
  case AO_F8E5M2:
    static_cast<uint8_t*>(out)[i] = ao_to_f8e5m2(static_cast<float>(value));
    break;
  case AO_I8:
  case AO_U8:
    static_cast<uint8_t*>(out)[i] = static_cast<uint8_t>(truncate(value));
    break;
  case AO_I32:
    static_cast<int32_t*>(out)[i] = static_cast<int32_t>(truncate(value));
    break;
  case AO_I64:
    static_cast<int64_t*>(out)[i] = truncate(value);
    break;
  case AO_BOOL:
    static_cast<uint8_t*>(out)[i] = value != 0;
    break;
  default:
    break;
  }
}

// Runs of n elements, `stride` elements apart, between a buffer of `dtype` and float32 or int64.
void load_floats(int64_t dtype, const void* x, int64_t stride, float* out, int64_t n);
void store_floats(int64_t dtype, void* out, int64_t stride, const float* x, int64_t n);
void load_integers(int64_t dtype, const void* x, int64_t stride, int64_t* out, int64_t n);
void store_integers(int64_t dtype, void* out, int64_t stride, const int64_t* x, int64_t n);

} // namespace ao
