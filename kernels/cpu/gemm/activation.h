// The int8 forms of a row x[K], with scale s, zero point z and x ~ (q - z) s. rint is half to even; max, min and every code are
// exact, so all instruction sets agree bit for bit.
//   int8-group       per n = min(32, group) values: s = max(max|x| / 127, 2^-126), q = clamp(rint(x * (1 / s)), -127, 127)
//   int8-token       per row, torchao's symmetric: s = max(max|x| / 127.5, eps), q = clamp(rint(x * (1 / s)), -128, 127)
//   int8-token-asym  per row, torchao's asymmetric: lo = min(x, 0), hi = max(x, 0), s = max((hi - lo) / 255, eps),
//                    z = clamp(-128 - rint(lo / s), -128, 127), q = clamp(rint(x * (1 / s)) + z, -128, 127)
// With reduced range the codes end at -64 and 63, and 127.5, 255 and -128 become 63.5, 127 and -64. One scale for all of x: as for a
// row. A scale that is given: codes by float32 steps. The token modes round as torch does: int8-token rounds s to x's dtype and goes on in float32, int8-token-asym rounds each step to
// it; eps is 2^-23 for int8-token and the dtype's smallest normal for int8-token-asym. Where 1 / s overflows float16, float32's is taken. A group or row that holds an infinity
// or NaN gets s = NaN and codes 0, so that the outputs it reaches are NaN.
#pragma once
#include <math.h>

#include "base/dtype.h"

namespace ao {

// How x becomes codes: x ~ (q - zero) s. s = NaN where x is not finite.
struct TokenForm {
  float s;
  int32_t zero;
};

namespace {

AO_HD inline float round_to(int32_t dtype, float x) {
  return dtype == AO_F32 ? x : dtype == AO_BF16 ? ao_from_bf16(ao_to_bf16(x)) : ao_from_f16(ao_to_f16(x));
}

// Half to even for |x| < 2^22, without a library call.
AO_HD inline float round_even(float x) {
  const float magic = 12582912.0f; // 1.5 * 2^23
  return (x + magic) - magic;
}

// Bits of max |x|; 0x7f800000 and above where a value is not finite.
AO_HD inline uint32_t amax_bits(const float* x, int64_t n) {
  uint32_t m = 0;
  for (int64_t i = 0; i < n; i++) {
    uint32_t u;
    memcpy(&u, x + i, 4);
    u &= 0x7fffffffu;
    m = u > m ? u : m;
  }
  return m;
}

AO_HD inline float quantize_bad(int8_t* q, int64_t n) {
  memset(q, 0, n);
  return ao_float(0x7fc00000u);
}

AO_HD inline float quantize_group(const float* x, int64_t n, int8_t* q) {
  const uint32_t bits = amax_bits(x, n);
  if (bits >= 0x7f800000u) return quantize_bad(q, n);
  const float quotient = ao_float(bits) / 127.0f;
  const float s = quotient > 0x1p-126f ? quotient : 0x1p-126f, inverse = 1.0f / s;
  for (int64_t i = 0; i < n; i++) {
    float v = round_even(x[i] * inverse);
    v = v < -127.0f ? -127.0f : v;
    v = v > 127.0f ? 127.0f : v;
    q[i] = (int8_t)(int32_t)v;
  }
  return s;
}

AO_HD inline float token_inverse(int32_t dtype, float s) {
  const float inverse = round_to(dtype, 1.0f / s);
  return isinf(inverse) ? 1.0f / s : inverse;
}

// The ends of the codes: all of int8, or half of it, so that pairs of products fit 16 bits.
struct CodeRange {
  float low, high;
};
AO_HD inline CodeRange code_range(bool reduced) { return reduced ? CodeRange{-64, 63} : CodeRange{-128, 127}; }

template <int32_t dtype>
AO_HD inline void token_codes(const float* x, int64_t n, float inverse, float zero, CodeRange range, int8_t* q) {
  for (int64_t i = 0; i < n; i++) {
    float v = round_even(round_to(dtype, x[i] * inverse)) + zero;
    v = v < range.low ? range.low : v;
    v = v > range.high ? range.high : v;
    q[i] = (int8_t)(int32_t)v;
  }
}

AO_HD inline TokenForm token_form(int32_t dtype, bool asymmetric, CodeRange range, float eps, float lo, float hi) {
  if (!(eps > 0)) eps = !asymmetric ? 0x1p-23f : dtype == AO_F16 ? 0x1p-14f : 0x1p-126f;
  eps = round_to(dtype, eps);
  const float steps = range.high - range.low;
  float s = asymmetric ? round_to(dtype, round_to(dtype, hi - lo) / steps)
                       : round_to(dtype, (hi > -lo ? hi : -lo) / (steps / 2));
  if (s < eps) s = eps;
  if (!(s <= 0x1.fffffep127f)) return {ao_float(0x7fc00000u), 0};
  if (!asymmetric) return {s, 0};
  float z = range.low - round_even(round_to(dtype, lo / s));
  z = z < range.low ? range.low : z > range.high ? range.high : z;
  return {s, (int32_t)z};
}

// Widens lo <= 0 <= hi by x, in the symmetric form by magnitudes alone; false where x is not finite.
AO_HD inline bool token_span(bool asymmetric, const float* x, int64_t n, float* lo, float* hi) {
  const uint32_t bits = amax_bits(x, n);
  if (!asymmetric) *hi = ao_float(bits) > *hi ? ao_float(bits) : *hi;
  for (int64_t i = 0; asymmetric && i < n; i++) {
    *lo = x[i] < *lo ? x[i] : *lo;
    *hi = x[i] > *hi ? x[i] : *hi;
  }
  return bits < 0x7f800000u;
}

// Codes of a finite row in a known form, each step rounded to `dtype`.
AO_HD inline float code_token(int32_t dtype, TokenForm form, CodeRange range, const float* x, int64_t n, int8_t* q) {
  if (isnan(form.s)) return quantize_bad(q, n);
  const float inverse = token_inverse(dtype, form.s), z = (float)form.zero;
  if (dtype == AO_F32)
    token_codes<AO_F32>(x, n, inverse, z, range, q);
  else if (dtype == AO_BF16)
    token_codes<AO_BF16>(x, n, inverse, z, range, q);
  else
    token_codes<AO_F16>(x, n, inverse, z, range, q);
  return form.s;
}

// x holds values of `dtype` as float32; eps 0 = the mode's own. *zero is 0 in the symmetric mode.
AO_HD inline float quantize_token(int32_t dtype, bool asymmetric, float eps, const float* x, int64_t n, int8_t* q,
                                  int32_t* zero, bool reduced = false) {
  *zero = 0;
  float lo = 0, hi = 0;
  if (!token_span(asymmetric, x, n, &lo, &hi)) return quantize_bad(q, n);
  const CodeRange range = code_range(reduced);
  const TokenForm form = token_form(dtype, asymmetric, range, eps, lo, hi);
  *zero = form.zero;
  return code_token(asymmetric ? dtype : AO_F32, form, range, x, n, q);
}

} // namespace
} // namespace ao
