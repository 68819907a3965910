// 16 lanes as one zmm; integer dot products through VNNI.
#pragma once

namespace ao {
namespace AO_ISA_NS {
namespace {

typedef __m512 VF;
typedef __m512i VI;

inline VF v_zero() { return _mm512_setzero_ps(); }
inline VF v_load(const float* p) { return _mm512_loadu_ps(p); }
inline void v_store(float* p, VF v) { _mm512_storeu_ps(p, v); }
inline VF v_set1(float x) { return _mm512_set1_ps(x); }
inline VF v_add(VF a, VF b) { return _mm512_add_ps(a, b); }
inline VF v_sub(VF a, VF b) { return _mm512_sub_ps(a, b); }
inline VF v_mul(VF a, VF b) { return _mm512_mul_ps(a, b); }
inline VF v_fma(VF a, VF b, VF c) { return _mm512_fmadd_ps(a, b, c); }
inline VF v_min(VF a, VF b) { return _mm512_min_ps(a, b); }

inline VF v_load_bf16(const void* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
}
inline VF v_load_f16(const void* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
inline void v_store_bf16(void* p, VF v) { // not vcvtneps2bf16, which drops subnormals
  const __m512i u = _mm512_castps_si512(v), high = _mm512_srli_epi32(u, 16);
  const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __m512i code = _mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(code));
}
inline void v_store_f16(void* p, VF v) {
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

inline VI vi_zero() { return _mm512_setzero_si512(); }
inline VI vi_load(const void* p) { return _mm512_loadu_si512(p); }
inline void vi_store(void* p, VI v) { _mm512_storeu_si512(p, v); }
inline VI vi_set1(int32_t x) { return _mm512_set1_epi32(x); }
inline VI vi_add(VI a, VI b) { return _mm512_add_epi32(a, b); }
inline VI vi_sub(VI a, VI b) { return _mm512_sub_epi32(a, b); }
inline VI vi_mul(VI a, VI b) { return _mm512_mullo_epi32(a, b); }
inline VI vi_and(VI a, VI b) { return _mm512_and_si512(a, b); }
inline VI vi_or(VI a, VI b) { return _mm512_or_si512(a, b); }
inline VI vi_select(VI mask, VI a, VI b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); } // a where mask is 1
inline bool vi_any(VI v) { return _mm512_test_epi32_mask(v, v) != 0; }
inline VI vi_xor(VI a, VI b) { return _mm512_xor_si512(a, b); }
AO_INLINE VI vi_shl(VI v, int n) { return (VI)((__v16su)v << n); } // by an immediate where n is one
AO_INLINE VI vi_shr(VI v, int n) { return (VI)((__v16su)v >> n); }
AO_INLINE VI vi_sar(VI v, int n) { return (VI)((__v16si)v >> n); }
inline VF v_cvt(VI v) { return _mm512_cvtepi32_ps(v); }
inline VF v_bits(VI v) { return _mm512_castsi512_ps(v); }
inline VI vi_bits(VF v) { return _mm512_castps_si512(v); }
inline VI vi_from_i8(const void* p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)); }

inline VI vi_from_u8(const void* p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)); }

AO_INLINE void v_prefetch(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T0); }

constexpr int kQuickLut = 8;       // codes of up to as many bits are looked up rather than computed
constexpr int kTablePanels = 4;    // whose sums hide each other's latency
constexpr bool kLooksUp = false;   // all values come from memory
constexpr bool kHalfTables = true; // tables of bfloat16 values have a form of their own
constexpr bool kManyForms = true;  // code of their own for the octets of a block and for each place of zero points
constexpr bool kQuickSubnormals = false; // products of subnormals take no longer than others

// The two integer codes: how four columns (a quad) of a panel become operands, and their dot product with x.
//   kOffset  what the operand adds to the code;  kSpan  columns one accumulator may take;  kUnits  32-bit units of four codes of x
//   kStarts  the accumulator may start from minus what the offset adds
//   Row      for one row of x, where that is another code
// vpdpbusd multiplies unsigned by signed bytes into int32 without saturation.
struct Int4Row;

// The compiler would read p once for each use.
AO_INLINE VI load_once(const uint8_t* p) {
  VI v = vi_load(p);
  asm("" : "+v"(v));
  return v;
}

struct Int4 {
  typedef Int4Row Row;
  typedef VI W;
  typedef VI Acc;
  static constexpr int kOffset = 8, kSpan = 1 << 30, kUnits = 1;
  static constexpr bool kStarts = true;
  static constexpr int64_t kPacked8 = 64, kWide8 = 128; // bytes of 8 columns, packed and widened
  static AO_INLINE Two<W> load(const uint8_t* p) {
    const VI v = load_once(p), mask = _mm512_set1_epi8(15);
    return {_mm512_and_si512(v, mask), _mm512_and_si512(_mm512_srli_epi16(v, 4), mask)};
  }
  static AO_INLINE Two<W> load_wide(const uint8_t* p) { return {vi_load(p), vi_load(p + 64)}; }
  static void store_wide(uint8_t* p, W first, W second) {
    vi_store(p, first);
    vi_store(p + 64, second);
  }
  static AO_INLINE Acc zero() { return vi_zero(); }
  static AO_INLINE Acc start(int32_t offset) { return vi_set1(offset); }
  template <int height>
  static AO_INLINE void dot(Acc& acc, const W& w, const uint32_t* x) {
    acc = _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32((int32_t)*x));
  }
  static AO_INLINE VI finish(const Acc& acc) { return acc; }
};

// For one row of x: the upper codes stay where they are, 16 times too large, and have a sum of their own.
struct Int4Row : Int4 {
  struct Upper {
    VI v;
  };
  struct Acc {
    VI lower, upper;
  };
  struct Loaded {
    VI first;
    Upper second;
  };
  static AO_INLINE Loaded load(const uint8_t* p) {
    const VI v = load_once(p);
    return {_mm512_and_si512(v, _mm512_set1_epi8(15)), {_mm512_and_si512(v, _mm512_set1_epi8((char)0xf0))}};
  }
  static AO_INLINE Acc zero() { return {vi_zero(), vi_zero()}; }
  static AO_INLINE Acc start(int32_t offset) { return {vi_set1(offset), vi_zero()}; }
  template <int height>
  static AO_INLINE void dot(Acc& acc, const VI& w, const uint32_t* x) {
    Int4::dot<height>(acc.lower, w, x);
  }
  template <int height>
  static AO_INLINE void dot(Acc& acc, const Upper& w, const uint32_t* x) {
    Int4::dot<height>(acc.upper, w.v, x);
  }
  static AO_INLINE VI finish(const Acc& acc) { return vi_add(acc.lower, _mm512_srai_epi32(acc.upper, 4)); }
};

struct Int8 : Int4 {
  typedef Int8 Row;
  static constexpr int kOffset = 128;
  static constexpr int64_t kPacked8 = 128, kWide8 = 128;
  static AO_INLINE Two<W> load(const uint8_t* p) {
    const VI sign = _mm512_set1_epi8((char)0x80);
    return {_mm512_xor_si512(vi_load(p), sign), _mm512_xor_si512(vi_load(p + 64), sign)};
  }
};

// acc[lane] += the dot product of a lane's two bfloat16 and the pair x, as vdpbf16ps rounds it.
inline constexpr bool kPairs = true;
AO_INLINE VF v_dot_pairs(VF acc, VI w, uint32_t x) {
  return _mm512_dpbf16_ps(acc, (__m512bh)w, (__m512bh)_mm512_set1_epi32((int32_t)x));
}

constexpr int kFloatPanels = 2; // of a tile of float products
constexpr int kTileHeight = 12, kSumsHeight = 6,
              kPairRows = 24;                            // rows of x per tile, with sums; rows of two panels together
constexpr bool kWidens = false, kSumsInRegisters = true; // codes are cheap to turn into operands; 32 registers

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
