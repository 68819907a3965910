// Scale and zero point of a block from its least and greatest value, each step rounded to the values' dtype; formulas in
// choose_qparams.cc.
#pragma once
#include <math.h>

#include "ops/convert.h"
#include "ops/quantize.h"

namespace ao {

AO_HD inline float round_to(int64_t dtype, float v) {
  return dtype == AO_BF16 ? ao_from_bf16(ao_to_bf16(v)) : dtype == AO_F16 ? ao_from_f16(ao_to_f16(v)) : v;
}

// torch's result type of two tensors.
AO_HD inline int64_t common_dtype(int64_t a, int64_t b) { return !is_float_dtype(b) || a == b ? a : int64_t{AO_F32}; }

// torch's clamp(min=eps): NaN stays.
AO_HD inline float raise(float v, float least) { return v < least ? least : v; }

struct QParams {
  float scale, zero;
};

AO_HD inline QParams choose_qparams(int64_t dtype, int64_t mapping, bool preserve_zero, double low, double high,
                                    double smallest, float lo, float hi) {
  const auto r = [dtype](float v) { return round_to(dtype, v); };
  const float qmin = static_cast<float>(low), qmax = static_cast<float>(high), eps = r(static_cast<float>(smallest));
  if (preserve_zero && mapping != TINYGEMM) {
    lo = lo > 0 ? 0 : lo;
    hi = hi < 0 ? 0 : hi;
  }
  const float mid = static_cast<float>((high + low + 1) / 2);
  if (mapping == SYMMETRIC) {
    const float most = isnan(lo) ? lo : -lo > hi ? -lo : hi;
    return {raise(r(most / static_cast<float>((high - low) / 2)), eps), truncf(mid)};
  }
  if (mapping == SYMMETRIC_NO_CLIPPING_ERR) {
    const float below = r(lo / qmin), above = r(hi / qmax);
    return {raise(below > above ? below : above, eps), truncf(mid)};
  }
  const float scale = raise(r(r(hi - lo) / (qmax - qmin)), eps);
  if (mapping == TINYGEMM) return {scale, r(lo + r(scale * mid))};
  const float zero = r(qmin - nearbyintf(r(lo / scale)));
  return {scale, zero < qmin ? qmin : zero > qmax ? qmax : zero};
}

} // namespace ao
