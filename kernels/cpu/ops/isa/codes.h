// Codes and the floats they stand for: bytes, pairs of 4 bits (the first in the high half), e4m3fn, and the two directions of a
// CodeTable: on AVX-512 by permutations in registers and by ramps, by its buckets elsewhere. A vector that begins within a row is
// loaded whole: rows have room up to a multiple of 64.
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

// The values of 16 codes, and of 64, whose bytes are looked up as 4 planes and then put together.
struct Values16 {
  __m512 t;
  explicit Values16(const CodeTable& table) : t(_mm512_loadu_ps(table.value)) {}
  vf operator()(vi code) const { return (vf)_mm512_permutexvar_ps((__m512i)code, t); }
};

// out[i] = value of codes[i] times scale; out has room for n rounded up to 64.
static inline void read_bytes(const CodeTable& table, const uint8_t* codes, int64_t n, float scale, float* out) {
  __m512i plane[4][4];
  for (int k = 0; k < 4; k++)
    for (int q = 0; q < 4; q++) plane[k][q] = _mm512_loadu_si512(table.plane[k] + 64 * q);
  const __m512i turn = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512 factor = _mm512_set1_ps(scale);
  for (int64_t i = 0; i < n; i += 64) {
    const __mmask64 there = n - i < 64 ? (__mmask64)((1ull << (n - i)) - 1) : ~(__mmask64)0;
    const __m512i c = _mm512_permutexvar_epi32(turn, _mm512_maskz_loadu_epi8(there, codes + i));
    const __mmask64 upper = _mm512_movepi8_mask(c);
    __m512i byte[4];
    for (int k = 0; k < 4; k++)
      byte[k] = _mm512_mask_mov_epi8(_mm512_permutex2var_epi8(plane[k][0], c, plane[k][1]), upper,
                                     _mm512_permutex2var_epi8(plane[k][2], c, plane[k][3]));
    const __m512i low[] = {_mm512_unpacklo_epi8(byte[0], byte[1]), _mm512_unpackhi_epi8(byte[0], byte[1])};
    const __m512i high[] = {_mm512_unpacklo_epi8(byte[2], byte[3]), _mm512_unpackhi_epi8(byte[2], byte[3])};
    for (int k = 0; k < 2; k++) {
      const __m512 first = (__m512)_mm512_unpacklo_epi16(low[k], high[k]);
      const __m512 second = (__m512)_mm512_unpackhi_epi16(low[k], high[k]);
      _mm512_storeu_ps(out + i + 32 * k, _mm512_mul_ps(first, factor));
      _mm512_storeu_ps(out + i + 32 * k + 16, _mm512_mul_ps(second, factor));
    }
  }
}

// Made before a loop, so that its vectors stay in registers.
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

// The codes of x / scale by ramps (ops/code_ramps.h); `sure` has the lanes that they are sure of.
struct RampCodes {
  __m512 end, slope, offset, most, factor;
  __m512i first[2], zero;
  RampCodes(const CodeRamps& r, float scale)
      : end(_mm512_loadu_ps(r.end)), slope(_mm512_loadu_ps(r.slope)), offset(_mm512_loadu_ps(r.offset)),
        most(_mm512_loadu_ps(r.most)), factor(_mm512_set1_ps(1.0f / scale)),
        first{_mm512_loadu_si512(r.first), _mm512_loadu_si512(r.first + 16)}, zero(_mm512_set1_epi32(r.zero)) {}
  vi operator()(vf v, __mmask16* sure) const {
    const __m512 x = _mm512_mul_ps((__m512)v, factor);
    const __m512 a = _mm512_max_ps(_mm512_abs_ps(x), _mm512_set1_ps(CodeRamps::kLeast));
    const __m512i bits = (__m512i)a;
    __m512i r = _mm512_permutex2var_epi32(first[0], _mm512_srli_epi32(bits, 23), first[1]);
    const __m512 stop = _mm512_permutexvar_ps(r, end);
    const __m512i past = _mm512_sub_epi32(bits, (__m512i)stop);
    const __mmask16 far = _mm512_cmpgt_epu32_mask(_mm512_add_epi32(past, _mm512_set1_epi32(CodeRamps::kUlps)),
                                                  _mm512_set1_epi32(2 * CodeRamps::kUlps));
    r = _mm512_mask_sub_epi32(r, _mm512_cmp_ps_mask(a, stop, _CMP_GE_OQ), r, _mm512_set1_epi32(-1));
    const __m512 t =
        _mm512_min_ps(_mm512_fmadd_ps(a, _mm512_permutexvar_ps(r, slope), _mm512_permutexvar_ps(r, offset)),
                      _mm512_permutexvar_ps(r, most));
    const __m512 off = _mm512_reduce_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); // t - round(t)
    *sure = _mm512_mask_cmp_ps_mask(far, _mm512_abs_ps(off), _mm512_set1_ps(CodeRamps::kNear), _CMP_GT_OQ);
    const __m512i j = _mm512_cvttps_epi32(t);
    const __mmask16 below = _mm512_movepi32_mask((__m512i)x);
    return (vi)_mm512_mask_sub_epi32(_mm512_add_epi32(zero, j), below, zero, _mm512_min_epi32(j, zero));
  }
};

static __attribute__((noinline)) vi exact_codes(const CodeTable& table, vf x) { return Codes<256>(table)(x); }

// codes[i] = code of x[i] / scale, for magnitudes up to scale (or NaN, where scale is NaN too).
static inline void write_bytes(const CodeTable& table, const float* x, int64_t n, float scale, uint8_t* codes) {
  if (!table.ramps.known || !(scale < 1e30f)) {
    const Codes<256> code(table);
    for (int64_t i = 0; i < n; i += AO_W)
      store_bytes(codes + i, code(load(x + i) / set1(scale)), (int)(n - i < AO_W ? n - i : AO_W));
    return;
  }
  const RampCodes code(table.ramps, scale);
  for (int64_t i = 0; i < n; i += AO_W) {
    const int count = (int)(n - i < AO_W ? n - i : AO_W);
    __mmask16 sure;
    vi c = code(load(x + i), &sure);
    if ((__mmask16)(~sure & lanes(count))) [[unlikely]]
      c = exact_codes(table, load(x + i) / set1(scale));
    store_bytes(codes + i, c, count);
  }
}
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

struct Values16 {
  const CodeTable& t;
  explicit Values16(const CodeTable& table) : t(table) {}
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

static inline void read_bytes(const CodeTable& table, const uint8_t* codes, int64_t n, float scale, float* out) {
  for (int64_t i = 0; i < n; i++) out[i] = table.value[codes[i]] * scale;
}

static inline void write_bytes(const CodeTable& table, const float* x, int64_t n, float scale, uint8_t* codes) {
  const Codes<256> code(table);
  for (int64_t i = 0; i < n; i += AO_W)
    store_bytes(codes + i, code(load(x + i) / set1(scale)), (int)(n - i < AO_W ? n - i : AO_W));
}
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
