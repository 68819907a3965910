// float32 functions on vectors, the same on every instruction set up to the fused multiply-add. Errors in units in the
// last place, checked by
// ops/test/math.cc:  exp 1.5  log 1.5  tanh 2.5  sigmoid 2.5  silu 3.5  erf 2  sin, cos 2.5 (beyond |x| = 8192 libm's)
// gelu 16  gelu_tanh 200: the last two are far below 1 ulp of x, their negative tails tend to 0.
#pragma once
#include <math.h>

#include "base/simd.h"

// p(x) = c[0] + c[1] x + ... by Horner's rule.
template <int n>
static inline vf horner(const float (&c)[n], vf x) {
  vf p = set1(c[n - 1]);
  for (int i = n - 2; i >= 0; i--) p = fma_(p, x, set1(c[i]));
  return p;
}

// 2^n for n in [-126, 127].
static inline vf power_of_two(vi n) { return (vf)((n + 127) << 23); }

// x = n ln 2 + r with |r| <= ln(2)/2, ln 2 in two parts so that n * high is exact; e^r - 1 by its Taylor series.
static inline vf reduce_exp(vf x, vi* n, vf* r) {
  const vf k = round_(x * set1(1.44269504088896341f));
  *n = to_int(k);
  *r = fma_(k, set1(2.12194440e-4f), fma_(k, set1(-0.693359375f), x));
  static const float c[] = {0.5f, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040};
  return fma_(*r * *r, horner(c, *r), *r);
}

static inline vf exp_(vf x) {
  // beyond these bounds the result is 0 or infinity whatever x is; NaN goes through both
  const vf low = set1(-104.0f), high = set1(89.0f);
  const vf bounded = x < low ? low : x > high ? high : x;
  vi n;
  vf r;
  const vf e = reduce_exp(bounded == bounded ? bounded : set1(0.0f), &n, &r) + set1(1.0f);
  const vi half = n >> 1;
  const vf result = e * power_of_two(half) * power_of_two(n - half);
  return x == x ? result : x;
}

// e^x for x <= 0, NaN where x is NaN; within 1.5 ulp, as exp_.
static inline vf exp_down(vf x) {
  vi n;
  vf r;
  const vf e = reduce_exp(max_(set1(-104.0f), x), &n, &r) + set1(1.0f);
#if AO_ISA_LEVEL == 2
  return (vf)_mm512_scalef_ps((__m512)e, (__m512)to_float(n));
#else
  const vi half = n >> 1;
  return e * power_of_two(half) * power_of_two(n - half);
#endif
}

// 1 / (1 + e^-x) where that is at least 1e-38, 1e-38 below, for slopes: fewer instructions than sigmoid_, 3 ulp.
static inline vf sigmoid_slope(vf x) {
  vi n;
  vf r;
  const vf e = reduce_exp(max_(set1(-87.0f), min_(set1(87.0f), -x)), &n, &r) + set1(1.0f);
#if AO_ISA_LEVEL == 2
  return set1(1.0f) / (set1(1.0f) + (vf)_mm512_scalef_ps((__m512)e, (__m512)to_float(n)));
#else
  return set1(1.0f) / (set1(1.0f) + e * power_of_two(n));
#endif
}

// e^x - 1 for 0 <= x <= 30.
static inline vf expm1_positive(vf x) {
  vi n;
  vf r;
  const vf p = reduce_exp(x, &n, &r);
  const vf scale = power_of_two(n);
  return fma_(p, scale, scale - set1(1.0f));
}

// m 2^e with m in [sqrt(1/2), sqrt(2)): log m = f - f^2/2 + s (f^2/2 + R(s^2)), f = m - 1, s = f / (2 + f).
static inline vf log_(vf x) {
  const vi tiny = x < set1(1.17549435e-38f);
  const vf normal = tiny ? x * set1(8388608.0f) : x;
  const vi shifted = (vi)((vu)normal - 0x3f3504f3u);
  const vi exponent = (shifted >> 23) - (tiny & 23);
  const vf m = (vf)((shifted & 0x007fffff) + 0x3f3504f3);
  const vf f = m - set1(1.0f), s = f / (f + set1(2.0f)), z = s * s;
  static const float c[] = {2.0f / 3, 2.0f / 5, 2.0f / 7, 2.0f / 9};
  const vf half = set1(0.5f) * f * f, e = to_float(exponent);
  const vf tail = fma_(s, half + z * horner(c, z), e * set1(-2.12194440e-4f));
  vf result = fma_(e, set1(0.693359375f), f - (half - tail));
  result = x == set1(INFINITY) ? x : result;
  result = x == set1(0.0f) ? set1(-INFINITY) : result;
  return x >= set1(0.0f) ? result : set1(NAN);
}

// 1 / (1 + e^-x), by z = e^-|x| so that neither side overflows.
static inline vf sigmoid_(vf x) {
  const vf z = exp_(-abs_(x));
  return (x >= set1(0.0f) ? set1(1.0f) : z) / (set1(1.0f) + z) + (x != x ? x : set1(0.0f));
}

static inline vf silu_(vf x) {
  const vf z = exp_(-abs_(x));
  const vf y = (x >= set1(0.0f) ? x : x * z) / (set1(1.0f) + z);
  return x == set1(-INFINITY) ? set1(-0.0f) : x != x ? x : y;
}

// (e^2a - 1) / (e^2a + 1) with a = |x|.
static inline vf tanh_(vf x) {
  const vf a = abs_(x);
  const vf e = expm1_positive(min_(a + a, set1(20.0f)));
  const vf t = a < set1(1e-4f) ? a : a > set1(9.1f) ? set1(1.0f) : e / (e + set1(2.0f));
  return x != x ? x : sign_of(t, x);
}

// erfc(a) e^(a^2) for a >= 0 by a polynomial in 1 / (1 + 0.35 a), relative error 7e-9 for a <= 14 before rounding.
// The variable is u = (2 t - 1 - l) / (1 - l) in [-1, 1], l = 1 / (1 + 0.35 * 14).
static inline vf erfcx_(vf a) {
  const vf t = set1(1.0f) / fma_(a, set1(0.35f), set1(1.0f));
  const vf u = fma_(t, set1(2.40816327f), set1(-1.40816327f));
  static const float c[] = {0.252334873f,    0.362293406f,    0.230159596f,     0.110574713f,
                            0.0377343033f,   0.00746442048f,  -7.95927367e-05f, -0.000455355095f,
                            -5.6176825e-05f, 2.42050059e-05f, 5.61406376e-06f};
  return horner(c, u);
}

// e^(-factor a^2) with the rounding error of a^2 put back, for a >= 0 and factor 1 or 1/2.
static inline vf exp_minus_square(vf a, float factor) {
  const vf high = (vf)((vi)a & set1i(-4096));              // 12 bits: its square is exact
  const vf rest = (a - high) * (a + high) * set1(-factor); // |rest| < 0.2
  static const float c[] = {1.0f, 1.0f, 0.5f, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720};
  return exp_(high * high * set1(-factor)) * horner(c, rest);
}

// |x| < 1: x plus x times a polynomial in x^2, relative error 1.3e-9 before rounding.
static inline vf erf_inner(vf x) {
  static const float c[] = {0.1283791657266895f,   -0.37612625824091667f, 0.11283585147011611f,
                            -0.02685381186833253f, 0.005188327558571136f, -0.0008010192508223939f,
                            7.853857664679955e-05f};
  return fma_(x, horner(c, x * x), x);
}

// Beyond |x| = 1: 1 - erfc(|x|).
static inline vf erf_(vf x) {
  const vf a = abs_(x), b = a < set1(5.0f) ? a : set1(5.0f);
  const vf outer = set1(1.0f) - exp_minus_square(b, 1.0f) * erfcx_(b);
  return x != x ? x : a < set1(1.0f) ? erf_inner(x) : sign_of(outer, x);
}

// x/2 (1 + erf(x / sqrt 2)) = x/2 erfc(-x / sqrt 2): the tail keeps its relative accuracy.
static inline vf gelu_(vf x) {
  const vf y = x * set1(0.70710678118654752f), a = abs_(y);
  const vf most = set1(19.6f), magnitude = abs_(x), b = magnitude < most ? magnitude : most;
  const vf tail = exp_minus_square(b, 0.5f) * erfcx_(b * set1(0.70710678118654752f)); // erfc(|y|)
  const vf erfc = a < set1(1.0f) ? set1(1.0f) + erf_inner(y) : y < set1(0.0f) ? tail : set1(2.0f) - tail;
  const vf g = set1(0.5f) * x * erfc;
  return x == set1(-INFINITY) ? set1(-0.0f) : x != x ? x : g;
}

// x/2 (1 + tanh v) = x sigmoid(2 v), v = sqrt(2/pi) (x + 0.044715 x^3).
static inline vf gelu_tanh_(vf x) {
  const vf v = set1(1.5957691216057308f) * fma_(x * x * x, set1(0.044715f), x);
  return x == set1(-INFINITY) ? set1(-0.0f) : x * sigmoid_(v);
}

// x = n pi/2 + r with pi/2 in four parts (k times the first three is exact); then the Taylor series of sin or cos of
// r. `quarter` is 0 for sin and 1 for cos.
static inline vf sin_quarter(vf x, int quarter) {
  const vf k = round_(x * set1(0.636619772367581343f));
  vf r = fma_(k, set1(-1.5703125f), x);
  r = fma_(k, set1(-4.837512969970703125e-4f), r);
  r = fma_(k, set1(-7.549533620476723e-08f), r);
  r = fma_(k, set1(-2.5633440682570896e-12f), r);
  const vi n = to_int(abs_(x) <= set1(8192.0f) ? k : set1(0.0f)) + quarter;
  const vf z = r * r;
  static const float sc[] = {-1.0f / 6, 1.0f / 120, -1.0f / 5040, 1.0f / 362880};
  static const float cc[] = {1.0f / 24, -1.0f / 720, 1.0f / 40320, -1.0f / 3628800};
  const vf s = fma_(r * z, horner(sc, z), r), c = fma_(z * z, horner(cc, z), fma_(z, set1(-0.5f), set1(1.0f)));
  vf y = (n & 1) != 0 ? c : s;
  y = (vf)((vi)y ^ ((n & 2) << 30));
  if (!quarter) y = abs_(x) < set1(2e-4f) ? x : y;
  for (int i = 0; i < AO_W; i++)
    if (!(fabsf(x[i]) <= 8192.0f)) y[i] = quarter ? cosf(x[i]) : sinf(x[i]);
  return y;
}
