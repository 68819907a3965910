// Codes and the floats they stand for, AO_W at a time: bytes, pairs of 4 bits (the first in the high half), e4m3fn, and the two
// directions of a CodeTable: by permutations in registers on AVX-512, by its buckets elsewhere.
#pragma once
#include "base/simd.h"
#include "ops/code_table.h"

namespace ao {
namespace AO_ISA_NS {

#if AO_ISA_LEVEL == 2
static inline __mmask16 lanes(int n) { return (__mmask16)((1u << n) - 1); }
static inline vi load_bytes(const uint8_t* p, int n) {
  return (vi)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes(n), p));
}
static inline void store_bytes(uint8_t* p, vi v, int n) { _mm512_mask_cvtepi32_storeu_epi8(p, lanes(n), (__m512i)v); }
static inline vi load_nibbles(const uint8_t* p, int n) {
  const __m512i q = _mm512_cvtepu8_epi64(_mm_maskz_loadu_epi8(lanes(n / 2), p));
  const __m512i odd = _mm512_slli_epi64(_mm512_and_si512(q, _mm512_set1_epi64(15)), 32);
  return (vi)_mm512_or_si512(_mm512_srli_epi64(q, 4), odd);
}
static inline void store_nibbles(uint8_t* p, vi v, int n) {
  const __m512i q = _mm512_or_si512(_mm512_slli_epi64((__m512i)v, 4), _mm512_srli_epi64((__m512i)v, 32));
  _mm512_mask_cvtepi64_storeu_epi8(p, (__mmask8)lanes(n / 2), q);
}

// Element i of vectors that hold 16 each, for the low 4, 5, 6 or 7 bits of i.
static inline __m512 of16(const __m512* t, __m512i i) { return _mm512_permutexvar_ps(i, t[0]); }
static inline __m512 of32(const __m512* t, __m512i i) { return _mm512_permutex2var_ps(t[0], i, t[1]); }
static inline __m512 of64(const __m512* t, __m512i i) {
  return _mm512_mask_mov_ps(of32(t, i), _mm512_test_epi32_mask(i, _mm512_set1_epi32(32)), of32(t + 2, i));
}
static inline __m512 of128(const __m512* t, __m512i i) {
  return _mm512_mask_mov_ps(of64(t, i), _mm512_test_epi32_mask(i, _mm512_set1_epi32(64)), of64(t + 4, i));
}

// Made before a loop, so that its vectors stay in registers.
template <int size>
struct Values {
  __m512 t[size / 16];
  explicit Values(const CodeTable& table) {
    for (int k = 0; k < size / 16; k++) t[k] = _mm512_loadu_ps(table.value + 16 * k);
  }
  vf operator()(vi code) const {
    const __m512i i = (__m512i)code;
    if constexpr (size == 16) return (vf)of16(t, i);
    const __mmask16 upper = _mm512_test_epi32_mask(i, _mm512_set1_epi32(128));
    return (vf)_mm512_mask_mov_ps(of128(t, i), upper, of128(t + (size > 16 ? 8 : 0), i));
  }
};

template <int size>
struct Codes {
  __m512 t[size / 16];
  explicit Codes(const CodeTable& table) {
    for (int k = 0; k < size / 16; k++) t[k] = _mm512_loadu_ps(table.heap + 16 * k);
  }
  // Down the heap: node h has the children 2h and 2h + 1, the second where x is not below h's threshold.
  static __m512i child(__m512 x, __m512i h, __m512 threshold) {
    const __m512i left = _mm512_add_epi32(h, h);
    return _mm512_mask_sub_epi32(left, _mm512_cmp_ps_mask(x, threshold, _CMP_GE_OQ), left, _mm512_set1_epi32(-1));
  }
  vi operator()(vf v) const {
    const __m512 x = (__m512)v;
    __m512i h = _mm512_set1_epi32(1);
    for (int level = 0; level < 4; level++) h = child(x, h, of16(t, h));
    if constexpr (size == 256) {
      h = child(x, h, of16(t + 1, h));
      h = child(x, h, of32(t + 2, h));
      h = child(x, h, of64(t + 4, h));
      h = child(x, h, of128(t + 8, h));
    }
    return (vi)h & (size - 1);
  }
};
#else
static inline vi load_bytes(const uint8_t* p, int n) {
  vi v = set1i(0);
  for (int k = 0; k < n; k++) v[k] = p[k];
  return v;
}
static inline void store_bytes(uint8_t* p, vi v, int n) {
  for (int k = 0; k < n; k++) p[k] = (uint8_t)v[k];
}
static inline vi load_nibbles(const uint8_t* p, int n) {
  vi v = set1i(0);
  for (int k = 0; k < n; k++) v[k] = p[k / 2] >> (k % 2 ? 0 : 4) & 15;
  return v;
}
static inline void store_nibbles(uint8_t* p, vi v, int n) {
  for (int k = 0; k < n; k += 2) p[k / 2] = (uint8_t)(v[k] << 4 | v[k + 1]);
}

template <int size>
struct Values {
  const CodeTable& t;
  explicit Values(const CodeTable& table) : t(table) {}
  vf operator()(vi code) const {
    int32_t c[AO_W];
    float out[AO_W];
    *(vi_any*)c = code;
    for (int k = 0; k < AO_W; k++) out[k] = t.value[c[k]];
    return load(out);
  }
};

template <int size>
struct Codes {
  const CodeTable& t;
  explicit Codes(const CodeTable& table) : t(table) {}
  vi operator()(vf v) const {
    const vi low = set1i((int32_t)CodeTable::kLow), last = set1i((int32_t)CodeTable::kBuckets - 1);
    vi key = (((vi)v & INT32_MAX) >> 16) - low;
    key = key < 0 ? set1i(0) : key > last ? last : key;
    key += (vi)((vu)v >> 31) * (int32_t)CodeTable::kBuckets;
    key = v != v ? set1i(CodeTable::kNan) : key;
    int32_t at[AO_W], code[AO_W];
    float x[AO_W];
    *(vi_any*)at = key;
    store(x, v);
    for (int k = 0; k < AO_W; k++) {
      int c = t.base[at[k]];
      if (t.deep)
        while (x[k] >= t.threshold[c]) c++;
      else
        c += x[k] >= t.threshold[c];
      code[k] = c;
    }
    return *(const vi_any*)code;
  }
};
#endif

static inline vf from_float8(vi c) {
  const vi magnitude = c & 0x7f;
  const vf tiny = to_float(magnitude) * set1(0x1p-9f), normal = (vf)((magnitude << 20) + (120 << 23));
  const vf v = magnitude < 8 ? tiny : normal;
  return (vf)((vi)(magnitude == 0x7f ? set1(NAN) : v) | ((c & 0x80) << 24));
}

// Nearest even, |v| <= 464 or NaN.
static inline vi to_float8(vf v) {
  const vu u = (vu)abs_(v), sign = ((vu)v >> 24) & 0x80u;
  const vf magic = set1(16384.0f); // its last place is 2^-9
  const vi tiny = (vi)((vu)((vf)u + magic) - (vu)magic);
  const vi normal = (vi)((u + 0x7ffffu + ((u >> 20) & 1u) - (120u << 23)) >> 20);
  const vi code = (vf)u < set1(0x1p-6f) ? tiny : normal;
  return (v != v ? set1i(0x7f) : code) | (vi)sign;
}

} // namespace AO_ISA_NS
} // namespace ao
