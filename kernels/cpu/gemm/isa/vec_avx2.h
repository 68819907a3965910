// 16 lanes as two ymm.
#pragma once

namespace ao {
namespace AO_ISA_NS {
namespace {

struct VF {
  __m256 a, b;
};
struct VI {
  __m256i a, b;
};

inline VF v_zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline VF v_load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void v_store(float* p, VF v) {
  _mm256_storeu_ps(p, v.a);
  _mm256_storeu_ps(p + 8, v.b);
}
inline VF v_set1(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}
inline VF v_add(VF a, VF b) { return {_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)}; }
inline VF v_sub(VF a, VF b) { return {_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)}; }
inline VF v_mul(VF a, VF b) { return {_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
inline VF v_fma(VF a, VF b, VF c) { return {_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)}; }
inline VF v_min(VF a, VF b) { return {_mm256_min_ps(a.a, b.a), _mm256_min_ps(a.b, b.b)}; }

inline __m256 from_bf16(__m128i h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)); }
inline VF v_load_bf16(const void* p) {
  const __m128i* q = (const __m128i*)p;
  return {from_bf16(_mm_loadu_si128(q)), from_bf16(_mm_loadu_si128(q + 1))};
}
inline VF v_load_f16(const void* p) {
  const __m128i* q = (const __m128i*)p;
  return {_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
}

inline __m256i round_bf16(__m256 x) { // the code in the low half of each lane
  const __m256i u = _mm256_castps_si256(x), high = _mm256_srli_epi32(u, 16);
  const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  return _mm256_blendv_epi8(rounded, _mm256_or_si256(high, _mm256_set1_epi32(0x40)), nan);
}
inline void v_store_bf16(void* p, VF v) {
  const __m256i both = _mm256_packus_epi32(round_bf16(v.a), round_bf16(v.b));
  _mm256_storeu_si256((__m256i*)p, _mm256_permute4x64_epi64(both, 0xd8));
}
inline void v_store_f16(void* p, VF v) {
  __m128i* q = (__m128i*)p;
  _mm_storeu_si128(q, _mm256_cvtps_ph(v.a, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(q + 1, _mm256_cvtps_ph(v.b, _MM_FROUND_TO_NEAREST_INT));
}

inline __m256i load256(const void* p) { return _mm256_loadu_si256((const __m256i*)p); }
inline VI vi_zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline VI vi_load(const void* p) { return {load256(p), load256((const char*)p + 32)}; }
inline void vi_store(void* p, VI v) {
  _mm256_storeu_si256((__m256i*)p, v.a);
  _mm256_storeu_si256((__m256i*)((char*)p + 32), v.b);
}
inline VI vi_set1(int32_t x) {
  const __m256i v = _mm256_set1_epi32(x);
  return {v, v};
}
inline VI vi_add(VI a, VI b) { return {_mm256_add_epi32(a.a, b.a), _mm256_add_epi32(a.b, b.b)}; }
inline VI vi_sub(VI a, VI b) { return {_mm256_sub_epi32(a.a, b.a), _mm256_sub_epi32(a.b, b.b)}; }
inline VI vi_mul(VI a, VI b) { return {_mm256_mullo_epi32(a.a, b.a), _mm256_mullo_epi32(a.b, b.b)}; }
inline VI vi_and(VI a, VI b) { return {_mm256_and_si256(a.a, b.a), _mm256_and_si256(a.b, b.b)}; }
inline VI vi_or(VI a, VI b) { return {_mm256_or_si256(a.a, b.a), _mm256_or_si256(a.b, b.b)}; }
inline VI vi_select(VI mask, VI a, VI b) { // a where mask is 1
  return {_mm256_or_si256(_mm256_and_si256(mask.a, a.a), _mm256_andnot_si256(mask.a, b.a)),
          _mm256_or_si256(_mm256_and_si256(mask.b, a.b), _mm256_andnot_si256(mask.b, b.b))};
}
inline bool vi_any(VI v) {
  const __m256i both = _mm256_or_si256(v.a, v.b);
  return !_mm256_testz_si256(both, both);
}
inline VI vi_xor(VI a, VI b) { return {_mm256_xor_si256(a.a, b.a), _mm256_xor_si256(a.b, b.b)}; }
inline VI vi_shl(VI v, int n) { return {_mm256_slli_epi32(v.a, n), _mm256_slli_epi32(v.b, n)}; }
inline VI vi_shr(VI v, int n) { return {_mm256_srli_epi32(v.a, n), _mm256_srli_epi32(v.b, n)}; }
inline VI vi_sar(VI v, int n) { return {_mm256_srai_epi32(v.a, n), _mm256_srai_epi32(v.b, n)}; }
inline VF v_cvt(VI v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
inline VF v_bits(VI v) { return {_mm256_castsi256_ps(v.a), _mm256_castsi256_ps(v.b)}; }
inline VI vi_bits(VF v) { return {_mm256_castps_si256(v.a), _mm256_castps_si256(v.b)}; }
inline VI vi_from_i8(const void* p) {
  const __m128i b = _mm_loadu_si128((const __m128i*)p);
  return {_mm256_cvtepi8_epi32(b), _mm256_cvtepi8_epi32(_mm_srli_si128(b, 8))};
}

inline VI vi_from_u8(const void* p) {
  const __m128i b = _mm_loadu_si128((const __m128i*)p);
  return {_mm256_cvtepu8_epi32(b), _mm256_cvtepu8_epi32(_mm_srli_si128(b, 8))};
}

AO_INLINE void v_prefetch(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T0); }

// Keeps the compiler from reordering a chain of integer sums into a tree that does not fit the registers.
AO_INLINE void in_order(__m256i& a, __m256i& b) { asm("" : "+x"(a), "+x"(b)); }

// A table of 2^bits values, looked up by the lowest `bits` bits of each lane: in registers up to kQuickLut bits, which is faster than
// arithmetic, else gathered.
constexpr int kQuickLut = 4;
constexpr int kTablePanels = 2;  // whose sums hide each other's latency
constexpr bool kLooksUp = false; // all values come from memory
constexpr bool kHalfTables = false;
constexpr bool kManyForms = false;
constexpr bool kQuickSubnormals = false; // products of subnormals take no longer than others
template <int bits, bool halves>
struct Lut {
  const float* table;
  __m256 low, high;
  explicit AO_INLINE Lut(const float* t) : table(t), low(_mm256_loadu_ps(t)), high(_mm256_loadu_ps(t + 8)) {}
  AO_INLINE __m256 at(__m256i index) const {
    if constexpr (bits <= 3) return _mm256_permutevar8x32_ps(low, index);
    if constexpr (bits == 4)
      return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index), _mm256_permutevar8x32_ps(high, index),
                              _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
    return _mm256_i32gather_ps(table, _mm256_and_si256(index, _mm256_set1_epi32((1 << bits) - 1)), 4);
  }
  AO_INLINE VF at(const VI& index) const { return {at(index.a), at(index.b)}; }
  AO_INLINE void four(const VI& quad, VF* out) const {
    for (int j = 0; j < 4; j++) out[j] = at(vi_shr(quad, 8 * j));
  }
};

// The two integer codes: how four columns (a quad) of a panel become operands, and their dot product with x.
//   kOffset  what the operand adds to the code;  kSpan  columns one accumulator may take;  kUnits  32-bit units of four codes of x
//   kStarts  the accumulator may start from minus what the offset adds

// q + 8 in 0..15 times int8: a pair is at most 3840, so eight quads fit the int16 sums of maddubs.
struct Int4 {
  struct W {
    __m256i a, b;
  };
  struct Acc {
    __m256i a, b;
  };
  static constexpr int kOffset = 8, kSpan = 32, kUnits = 1;
  static constexpr bool kStarts = false;
  static constexpr int64_t kPacked8 = 64, kWide8 = 128; // bytes of 8 columns, packed and widened
  static AO_INLINE Two<W> load(const uint8_t* p) {
    const __m256i mask = _mm256_set1_epi8(15);
    const VI v = vi_load(p);
    return {{_mm256_and_si256(v.a, mask), _mm256_and_si256(v.b, mask)},
            {_mm256_and_si256(_mm256_srli_epi16(v.a, 4), mask), _mm256_and_si256(_mm256_srli_epi16(v.b, 4), mask)}};
  }
  static AO_INLINE Two<W> load_wide(const uint8_t* p) {
    return {{load256(p), load256(p + 32)}, {load256(p + 64), load256(p + 96)}};
  }
  static void store_wide(uint8_t* p, W first, W second) {
    vi_store(p, {first.a, first.b});
    vi_store(p + 64, {second.a, second.b});
  }
  static AO_INLINE Acc zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static AO_INLINE Acc start(int32_t) { return zero(); }
  template <int height>
  static AO_INLINE void dot(Acc& acc, const W& w, const uint32_t* x) {
    const __m256i b = _mm256_set1_epi32((int32_t)*x);
    acc.a = _mm256_add_epi16(acc.a, _mm256_maddubs_epi16(w.a, b));
    acc.b = _mm256_add_epi16(acc.b, _mm256_maddubs_epi16(w.b, b));
    in_order(acc.a, acc.b);
  }
  static AO_INLINE VI finish(const Acc& acc) {
    const __m256i one = _mm256_set1_epi16(1);
    return {_mm256_madd_epi16(acc.a, one), _mm256_madd_epi16(acc.b, one)};
  }
};

// int8 times int8 through int16: w as even and odd bytes of each lane, x as two units, the pairs (x0, x2) and (x1, x3).
struct Int8 {
  struct W {
    __m256i even_a, even_b, odd_a, odd_b;
  };
  struct Acc {
    __m256i a, b;
  };
  static constexpr int kOffset = 0, kSpan = 1 << 30, kUnits = 2;
  static constexpr bool kStarts = false;
  static constexpr int64_t kPacked8 = 128, kWide8 = 256;
  static AO_INLINE W words(const uint8_t* p) {
    const VI v = vi_load(p);
    return {_mm256_srai_epi16(_mm256_slli_epi16(v.a, 8), 8), _mm256_srai_epi16(_mm256_slli_epi16(v.b, 8), 8),
            _mm256_srai_epi16(v.a, 8), _mm256_srai_epi16(v.b, 8)};
  }
  static AO_INLINE W wide_words(const uint8_t* p) {
    return {load256(p), load256(p + 32), load256(p + 64), load256(p + 96)};
  }
  static AO_INLINE Two<W> load(const uint8_t* p) { return {words(p), words(p + 64)}; }
  static AO_INLINE Two<W> load_wide(const uint8_t* p) { return {wide_words(p), wide_words(p + 128)}; }
  static void store_wide(uint8_t* p, W first, W second) {
    vi_store(p, {first.even_a, first.even_b});
    vi_store(p + 64, {first.odd_a, first.odd_b});
    vi_store(p + 128, {second.even_a, second.even_b});
    vi_store(p + 192, {second.odd_a, second.odd_b});
  }
  static AO_INLINE Acc zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static AO_INLINE Acc start(int32_t) { return zero(); }
  template <int height>
  static AO_INLINE void dot(Acc& acc, const W& w, const uint32_t* x) {
    const __m256i even = _mm256_set1_epi32((int32_t)x[0]), odd = _mm256_set1_epi32((int32_t)x[height]);
    acc.a = _mm256_add_epi32(acc.a, _mm256_madd_epi16(w.even_a, even));
    acc.b = _mm256_add_epi32(acc.b, _mm256_madd_epi16(w.even_b, even));
    in_order(acc.a, acc.b);
    acc.a = _mm256_add_epi32(acc.a, _mm256_madd_epi16(w.odd_a, odd));
    acc.b = _mm256_add_epi32(acc.b, _mm256_madd_epi16(w.odd_b, odd));
    in_order(acc.a, acc.b);
  }
  static AO_INLINE VI finish(const Acc& acc) { return {acc.a, acc.b}; }
};

inline constexpr bool kPairs = false;
AO_INLINE VF v_dot_pairs(VF acc, VI, uint32_t) { return acc; }

constexpr int kFloatPanels = 1; // of a tile of float products
constexpr int kTileHeight = 6, kSumsHeight = 6,
              kPairRows = 4;                             // rows of x per tile, with sums; rows of two panels together
constexpr bool kWidens = true, kSumsInRegisters = false; // codes become operands once per block of rows; 16 registers

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
