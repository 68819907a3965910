// Vector loops of float8 for training over n stored values of float32, float16 or bfloat16; f8 is AO_F8E4M3 or AO_F8E5M2.
#pragma once
#include "base/isa.h"

// The largest magnitude of x as the bits of a float32, which are in the order of magnitudes with NaN above all; at least `most`.
AO_ISA_DECLARE(int32_t, float8_peak, (int64_t dtype, const void* x, int64_t n, int32_t most))
// The same for each place: most[i] of x[i].
AO_ISA_DECLARE(void, float8_peaks, (int64_t dtype, const void* x, int64_t n, int32_t* most))
// q = saturate(x s), nearest even; s is scale[0], or scale[i] where each has its own. NaN gives NaN.
AO_ISA_DECLARE(void, float8_encode,
               (int64_t dtype, int64_t f8, const void* x, int64_t n, const float* scale, bool each, uint8_t* q))
// out = value(q) / s.
AO_ISA_DECLARE(void, float8_decode,
               (int64_t f8, const uint8_t* q, int64_t n, const float* scale, bool each, float* out))
