// 16 lanes as GCC vector types: SSE2 on x86-64.
#pragma once

namespace ao {
namespace AO_ISA_NS {
namespace {

typedef float VF __attribute__((vector_size(64)));
typedef int32_t VI __attribute__((vector_size(64)));
typedef uint32_t VU __attribute__((vector_size(64)));
typedef int16_t VH __attribute__((vector_size(64)));
typedef uint16_t VUH __attribute__((vector_size(64)));

inline VF v_zero() { return VF{}; }
inline VF v_load(const float* p) {
  VF v;
  memcpy(&v, p, 64);
  return v;
}
inline void v_store(float* p, VF v) { memcpy(p, &v, 64); }
inline VF v_set1(float x) { return VF{} + x; }
inline VF v_add(VF a, VF b) { return a + b; }
inline VF v_sub(VF a, VF b) { return a - b; }
inline VF v_mul(VF a, VF b) { return a * b; }
inline VF v_fma(VF a, VF b, VF c) { return a * b + c; }
inline VF v_min(VF a, VF b) { return a < b ? a : b; }

inline VF v_load_bf16(const void* p) {
  uint16_t h[16];
  memcpy(h, p, 32);
  VF v;
  for (int i = 0; i < 16; i++) v[i] = ao_from_bf16(h[i]);
  return v;
}

inline VF v_load_f16(const void* p) {
  uint16_t h[16];
  memcpy(h, p, 32);
  VF v;
  for (int i = 0; i < 16; i++) v[i] = ao_from_f16(h[i]);
  return v;
}

inline void v_store_bf16(void* p, VF v) {
  uint16_t h[16];
  for (int i = 0; i < 16; i++) h[i] = ao_to_bf16(v[i]);
  memcpy(p, h, 32);
}

inline void v_store_f16(void* p, VF v) {
  uint16_t h[16];
  for (int i = 0; i < 16; i++) h[i] = ao_to_f16(v[i]);
  memcpy(p, h, 32);
}

inline VI vi_zero() { return VI{}; }
inline VI vi_load(const void* p) {
  VI v;
  memcpy(&v, p, 64);
  return v;
}
inline void vi_store(void* p, VI v) { memcpy(p, &v, 64); }
inline VI vi_set1(int32_t x) { return VI{} + x; }
inline VI vi_add(VI a, VI b) { return (VI)((VU)a + (VU)b); }
inline VI vi_sub(VI a, VI b) { return (VI)((VU)a - (VU)b); }
inline VI vi_mul(VI a, VI b) { return (VI)((VU)a * (VU)b); }
inline VI vi_and(VI a, VI b) { return a & b; }
inline VI vi_or(VI a, VI b) { return a | b; }
inline VI vi_select(VI mask, VI a, VI b) { return (mask & a) | (~mask & b); } // a where mask is 1
inline bool vi_any(VI v) {
  int32_t all = 0;
  for (int i = 0; i < 16; i++) all |= v[i];
  return all != 0;
}
inline VI vi_xor(VI a, VI b) { return a ^ b; }
inline VI vi_shl(VI v, int n) { return (VI)((VU)v << (uint32_t)n); }
inline VI vi_shr(VI v, int n) { return (VI)((VU)v >> (uint32_t)n); }
inline VI vi_sar(VI v, int n) { return v >> n; }
inline VF v_cvt(VI v) { return __builtin_convertvector(v, VF); }
inline VF v_bits(VI v) { return (VF)v; }
inline VI vi_bits(VF v) { return (VI)v; }

inline VI vi_from_i8(const void* p) {
  int8_t b[16];
  memcpy(b, p, 16);
  VI v;
  for (int i = 0; i < 16; i++) v[i] = b[i];
  return v;
}

inline VI vi_from_u8(const void* p) { return vi_and(vi_from_i8(p), vi_set1(255)); }

AO_INLINE void v_prefetch(const void* p) { __builtin_prefetch(p); }

// Four products per 32-bit lane of signed bytes w and x[0..3], added to acc.
inline VI dot_bytes(VI acc, VI w, const int8_t* x) {
  const VH even = (VH)((VUH)w << 8) >> 8, odd = (VH)w >> 8;
  const VH xe = (VH)vi_set1((int32_t)((uint16_t)x[0] | (uint32_t)(uint16_t)x[2] << 16));
  const VH xo = (VH)vi_set1((int32_t)((uint16_t)x[1] | (uint32_t)(uint16_t)x[3] << 16));
  const VI pe = (VI)(even * xe), po = (VI)(odd * xo);
  return acc + vi_sar(vi_shl(pe, 16), 16) + vi_sar(pe, 16) + vi_sar(vi_shl(po, 16), 16) + vi_sar(po, 16);
}

// Tables are looked up in memory, an octet at a time (decode_table.h).
constexpr int kQuickLut = 8;    // no arithmetic on codes
constexpr int kTablePanels = 1; // whose sums hide each other's latency
constexpr bool kLooksUp = true; // all values come from memory
constexpr bool kHalfTables = false;
constexpr bool kManyForms = false;
constexpr bool kQuickSubnormals = false; // products of subnormals take no longer than others
template <int bits, bool halves>
struct Lut {
  explicit Lut(const float*) {}
};

// The two integer codes: how four columns (a quad) of a panel become operands, and their dot product with x.
//   kOffset  what the operand adds to the code;  kSpan  columns one accumulator may take;  kUnits  32-bit units of four codes of x
//   kStarts  the accumulator may start from minus what the offset adds
struct Int4 {
  typedef VI W;
  typedef VI Acc;
  static constexpr int kOffset = 8, kSpan = 1 << 30, kUnits = 1;
  static constexpr bool kStarts = true;
  static constexpr int64_t kPacked8 = 64, kWide8 = 128; // bytes of 8 columns, packed and widened
  static Two<W> load(const uint8_t* p) {
    const VI v = vi_load(p), mask = vi_set1(0x0f0f0f0f);
    return {vi_and(v, mask), vi_and(vi_shr(v, 4), mask)};
  }
  static Two<W> load_wide(const uint8_t* p) { return {vi_load(p), vi_load(p + 64)}; }
  static void store_wide(uint8_t* p, W first, W second) {
    vi_store(p, first);
    vi_store(p + 64, second);
  }
  static Acc zero() { return vi_zero(); }
  static Acc start(int32_t offset) { return vi_set1(offset); }
  template <int height>
  static void dot(Acc& acc, const W& w, const uint32_t* x) {
    acc = dot_bytes(acc, w, (const int8_t*)x);
  }
  static VI finish(const Acc& acc) { return acc; }
};

struct Int8 : Int4 {
  static constexpr int kOffset = 0;
  static constexpr int64_t kPacked8 = 128, kWide8 = 128;
  static Two<W> load(const uint8_t* p) { return {vi_load(p), vi_load(p + 64)}; }
};

inline constexpr bool kPairs = false;
AO_INLINE VF v_dot_pairs(VF acc, VI, uint32_t) { return acc; }

constexpr int kFloatPanels = 1; // of a tile of float products
constexpr int kTileHeight = 2, kSumsHeight = 2,
              kPairRows = 2; // rows of x per tile, with sums; rows of two panels together
constexpr bool kWidens = true, kSumsInRegisters = true;

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
