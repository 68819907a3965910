// Vectors of the instruction set this file is compiled for: AO_W lanes of float32 (vf) or int32 (vi) as compiler
// vectors, so that
// + - * / < ? : work on them, and the functions they lack. Everything is static: an ISA file keeps its own copies.
// fma_ is fused on AVX2, AVX-512 and NEON and two roundings on portable. Comparisons give a vi of 0 and -1.
// A partial vector (load_n, store_n) has the same lanes as a whole one, so a tail computes what the body would.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/dtype.h"

#if AO_ISA_LEVEL >= 1
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if AO_ISA_LEVEL == 2
#define AO_W 16
#elif AO_ISA_LEVEL == 1
#define AO_W 8
#else
#define AO_W 4
#endif

typedef float vf __attribute__((vector_size(4 * AO_W)));
typedef int32_t vi __attribute__((vector_size(4 * AO_W)));
typedef float vf_any __attribute__((vector_size(4 * AO_W), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((vector_size(4 * AO_W), aligned(4), may_alias));
typedef uint16_t vh __attribute__((vector_size(2 * AO_W)));
typedef uint16_t vh_any __attribute__((vector_size(2 * AO_W), aligned(2), may_alias));
typedef uint32_t vu __attribute__((vector_size(4 * AO_W)));

static inline vf load(const float* p) { return *(const vf_any*)p; }
static inline void store(float* p, vf v) { *(vf_any*)p = v; }

#if AO_ISA_LEVEL == 2
static inline vf set1(float x) { return (vf)_mm512_set1_ps(x); }
static inline vi set1i(int32_t x) { return (vi)_mm512_set1_epi32(x); }
static inline vf load_n(const float* p, int n) { return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
static inline void store_n(float* p, vf v, int n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v); }
static inline vf fma_(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
static inline vf sqrt_(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
static inline vf round_(vf a) {
  return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf floor_(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
static inline vf ceil_(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
static inline vi to_int(vf a) { return (vi)_mm512_cvtps_epi32((__m512)a); } // to nearest even
static inline vf to_float(vi a) { return (vf)_mm512_cvtepi32_ps((__m512i)a); }
static inline vf widen_bf16(vh h) { return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)h), 16); }
static inline vf widen_f16(vh h) { return (vf)_mm512_cvtph_ps((__m256i)h); }
static inline vh narrow_f16(vf v) {
  return (vh)_mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vh low16(vi v) { return (vh)_mm512_cvtepi32_epi16((__m512i)v); }
static inline vf min_(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); } // b where either is NaN
static inline vf max_(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
#elif AO_ISA_LEVEL == 1
static inline vf set1(float x) { return (vf)_mm256_set1_ps(x); }
static inline vi set1i(int32_t x) { return (vi)_mm256_set1_epi32(x); }
static inline __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf load_n(const float* p, int n) { return (vf)_mm256_maskload_ps(p, first_lanes(n)); }
static inline void store_n(float* p, vf v, int n) { _mm256_maskstore_ps(p, first_lanes(n), (__m256)v); }
static inline vf fma_(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
static inline vf sqrt_(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
static inline vf round_(vf a) { return (vf)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf floor_(vf a) { return (vf)_mm256_floor_ps((__m256)a); }
static inline vf ceil_(vf a) { return (vf)_mm256_ceil_ps((__m256)a); }
static inline vi to_int(vf a) { return (vi)_mm256_cvtps_epi32((__m256)a); }
static inline vf to_float(vi a) { return (vf)_mm256_cvtepi32_ps((__m256i)a); }
static inline vf widen_bf16(vh h) { return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)h), 16); }
static inline vf widen_f16(vh h) { return (vf)_mm256_cvtph_ps((__m128i)h); }
static inline vh narrow_f16(vf v) {
  return (vh)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vh low16(vi v) {
  const __m256i packed = _mm256_packus_epi32((__m256i)v, (__m256i)v); // the upper halves of v are zero
  return (vh)_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}
static inline vf min_(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
static inline vf max_(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
#else
static inline vf set1(float x) { return (vf){x, x, x, x}; }
static inline vi set1i(int32_t x) { return (vi){x, x, x, x}; }
static inline vf load_n(const float* p, int n) {
  float t[AO_W] = {0};
  for (int i = 0; i < n; i++) t[i] = p[i];
  return load(t);
}
static inline void store_n(float* p, vf v, int n) {
  for (int i = 0; i < n; i++) p[i] = v[i];
}
static inline vf to_float(vi a) { return __builtin_convertvector(a, vf); }
static inline vf widen_bf16(vh h) { return (vf)(__builtin_convertvector(h, vu) << 16); }
static inline vh low16(vi v) { return __builtin_convertvector(v, vh); }
static inline vf min_(vf a, vf b) { return a < b ? a : b; }
static inline vf max_(vf a, vf b) { return a > b ? a : b; }
#if defined(__ARM_NEON)
static inline vf fma_(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
static inline vf sqrt_(vf a) { return (vf)vsqrtq_f32((float32x4_t)a); }
static inline vf round_(vf a) { return (vf)vrndnq_f32((float32x4_t)a); }
static inline vf floor_(vf a) { return (vf)vrndmq_f32((float32x4_t)a); }
static inline vf ceil_(vf a) { return (vf)vrndpq_f32((float32x4_t)a); }
static inline vi to_int(vf a) { return (vi)vcvtnq_s32_f32((float32x4_t)a); }
static inline vf widen_f16(vh h) { return (vf)vcvt_f32_f16((float16x4_t)h); }
static inline vh narrow_f16(vf v) { return (vh)vcvt_f16_f32((float32x4_t)v); }
#else
static inline vf fma_(vf a, vf b, vf c) { return a * b + c; }
static inline vf sqrt_(vf a) {
  return (vf){__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]), __builtin_sqrtf(a[3])};
}
static inline vf round_(vf a) {
  const vi sign = (vi)a & set1i(INT32_MIN);
  const vf magnitude = (vf)((vi)a ^ sign), magic = set1(8388608.0f);
  const vf rounded = (magnitude + magic) - magic;
  return (vf)((vi)(magnitude < magic ? rounded : magnitude) | sign);
}
static inline vf floor_(vf a) {
  const vf r = round_(a);
  return (vf)((vi)(r > a ? r - set1(1.0f) : r) | ((vi)a & set1i(INT32_MIN)));
}
static inline vf ceil_(vf a) { return -floor_(-a); }
static inline vi to_int(vf a) { return __builtin_convertvector(round_(a), vi); }
static inline vf widen_f16(vh h) {
  return (vf){ao_from_f16(h[0]), ao_from_f16(h[1]), ao_from_f16(h[2]), ao_from_f16(h[3])};
}
static inline vh narrow_f16(vf v) { return (vh){ao_to_f16(v[0]), ao_to_f16(v[1]), ao_to_f16(v[2]), ao_to_f16(v[3])}; }
#endif
#endif

// v rounded to bfloat16, as float32.
static inline vf round_bf16(vf v) {
  const vu u = (vu)v;
  const vu rounded = (u + 0x7fffu + ((u >> 16) & 1u)) & 0xffff0000u;
  return (vf)((v != v) ? (u | 0x400000u) & 0xffff0000u : rounded);
}
static inline vh narrow_bf16(vf v) {
#if AO_ISA_LEVEL == 2
  // the instruction takes subnormals as zeros
  if (!_mm512_fpclass_ps_mask((__m512)v, 0x20)) [[likely]]
    return (vh)_mm512_cvtneps_pbh((__m512)v);
#endif
  return low16((vi)((vu)round_bf16(v) >> 16));
}

static inline vf abs_(vf a) { return (vf)((vi)a & set1i(INT32_MAX)); }
static inline vf sign_of(vf magnitude, vf sign) { return (vf)((vi)magnitude | ((vi)sign & set1i(INT32_MIN))); }
// torch's maximum and minimum: NaN wins.
static inline vf max_nan(vf a, vf b) { return a != a ? a : b != b ? b : a > b ? a : b; }
static inline vf min_nan(vf a, vf b) { return a != a ? a : b != b ? b : a < b ? a : b; }

// -1 in the first n lanes, 0 in the others.
static inline vi first_n(int n) {
#if AO_ISA_LEVEL == 2
  const vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif AO_ISA_LEVEL == 1
  const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
#else
  const vi lane = {0, 1, 2, 3};
#endif
  return lane < set1i(n);
}

// Folds the lanes pairwise, halves first: the order is fixed for an instruction set.
static inline float sum_lanes(vf v) {
  float t[AO_W];
  store(t, v);
  for (int step = AO_W / 2; step > 0; step /= 2)
    for (int i = 0; i < step; i++) t[i] = t[i] + t[i + step];
  return t[0];
}
// The largest value of a row, NaN where there is one.
struct Largest {
  vf most = set1(-INFINITY);
  vi nan = set1i(0);
  void take(vf v) {
    most = v > most ? v : most;
    nan |= (vi)(v != v);
  }
  float value() const {
    float t[AO_W];
    int32_t bad[AO_W], any = 0;
    store(t, most);
    *(vi_any*)bad = nan;
    for (int i = 0; i < AO_W; i++) any |= bad[i];
    for (int step = AO_W / 2; step > 0; step /= 2)
      for (int i = 0; i < step; i++) t[i] = t[i] > t[i + step] ? t[i] : t[i + step];
    return any ? NAN : t[0];
  }
};

// --- 16-bit floats ---
static inline vh load_half_n(const uint16_t* p, int n) {
  uint16_t t[AO_W] = {0};
  for (int i = 0; i < n; i++) t[i] = p[i];
  return *(const vh_any*)t;
}

// n <= AO_W values of float32, float16 or bfloat16 at element i.
static inline vf load_as(int dtype, const void* p, int64_t i, int n) {
  if (dtype == AO_F32) return n == AO_W ? load((const float*)p + i) : load_n((const float*)p + i, n);
  const uint16_t* h = (const uint16_t*)p + i;
  const vh bits = n == AO_W ? (vh) * (const vh_any*)h : load_half_n(h, n);
  return dtype == AO_BF16 ? widen_bf16(bits) : widen_f16(bits);
}

static inline void store_as(int dtype, void* p, int64_t i, vf v, int n) {
  if (dtype == AO_F32) {
    if (n == AO_W)
      store((float*)p + i, v);
    else
      store_n((float*)p + i, v, n);
    return;
  }
  uint16_t* h = (uint16_t*)p + i;
  const vh bits = dtype == AO_BF16 ? narrow_bf16(v) : narrow_f16(v);
  if (n == AO_W) {
    *(vh_any*)h = bits;
  } else {
    for (int k = 0; k < n; k++) h[k] = bits[k];
  }
}

// What storing in the dtype and loading again does to a value.
static inline vf round_as(int dtype, vf v) {
  return dtype == AO_F32 ? v : dtype == AO_BF16 ? round_bf16(v) : widen_f16(narrow_f16(v));
}
