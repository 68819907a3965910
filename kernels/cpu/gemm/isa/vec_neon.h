// 16 lanes as four q registers.
#pragma once

namespace ao {
namespace AO_ISA_NS {
namespace {

struct VF {
  float32x4_t a, b, c, d;
};
struct VI {
  int32x4_t a, b, c, d;
};

// fn of each register.
template <class V, class Fn>
AO_INLINE auto each(V x, const Fn& fn) {
  return VI{fn(x.a), fn(x.b), fn(x.c), fn(x.d)};
}
template <class V, class Fn>
AO_INLINE V each(V x, V y, const Fn& fn) {
  return {fn(x.a, y.a), fn(x.b, y.b), fn(x.c, y.c), fn(x.d, y.d)};
}

inline VF v_set1(float x) {
  const float32x4_t v = vdupq_n_f32(x);
  return {v, v, v, v};
}
inline VF v_zero() { return v_set1(0); }
inline VF v_load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}; }
inline void v_store(float* p, VF v) {
  vst1q_f32(p, v.a);
  vst1q_f32(p + 4, v.b);
  vst1q_f32(p + 8, v.c);
  vst1q_f32(p + 12, v.d);
}
inline VF v_add(VF a, VF b) {
  return each(a, b, [](float32x4_t x, float32x4_t y) AO_ALWAYS { return vaddq_f32(x, y); });
}
inline VF v_sub(VF a, VF b) {
  return each(a, b, [](float32x4_t x, float32x4_t y) AO_ALWAYS { return vsubq_f32(x, y); });
}
inline VF v_mul(VF a, VF b) {
  return each(a, b, [](float32x4_t x, float32x4_t y) AO_ALWAYS { return vmulq_f32(x, y); });
}
inline VF v_min(VF a, VF b) {
  return each(a, b, [](float32x4_t x, float32x4_t y) AO_ALWAYS { return vminq_f32(x, y); });
}
inline VF v_fma(VF a, VF b, VF c) {
  return {vfmaq_f32(c.a, a.a, b.a), vfmaq_f32(c.b, a.b, b.b), vfmaq_f32(c.c, a.c, b.c), vfmaq_f32(c.d, a.d, b.d)};
}

inline VF v_load_bf16(const void* p) {
  const uint16x8_t x = vld1q_u16((const uint16_t*)p), y = vld1q_u16((const uint16_t*)p + 8);
  const auto widen = [](uint16x4_t h) { return vreinterpretq_f32_u32(vshll_n_u16(h, 16)); };
  return {widen(vget_low_u16(x)), widen(vget_high_u16(x)), widen(vget_low_u16(y)), widen(vget_high_u16(y))};
}
inline VF v_load_f16(const void* p) {
  const float16x8_t x = vreinterpretq_f16_u16(vld1q_u16((const uint16_t*)p));
  const float16x8_t y = vreinterpretq_f16_u16(vld1q_u16((const uint16_t*)p + 8));
  return {vcvt_f32_f16(vget_low_f16(x)), vcvt_high_f32_f16(x), vcvt_f32_f16(vget_low_f16(y)), vcvt_high_f32_f16(y)};
}

inline uint16x4_t round_bf16(float32x4_t x) {
  const uint32x4_t u = vreinterpretq_u32_f32(x), odd = (u >> 16) & vdupq_n_u32(1);
  const uint32x4_t rounded = u + odd + vdupq_n_u32(0x7fff), quiet = u | vdupq_n_u32(0x400000);
  return vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), rounded, quiet), 16);
}
inline void v_store_bf16(void* p, VF v) {
  vst1q_u16((uint16_t*)p, vcombine_u16(round_bf16(v.a), round_bf16(v.b)));
  vst1q_u16((uint16_t*)p + 8, vcombine_u16(round_bf16(v.c), round_bf16(v.d)));
}
inline void v_store_f16(void* p, VF v) {
  const float16x8_t x = vcvt_high_f16_f32(vcvt_f16_f32(v.a), v.b), y = vcvt_high_f16_f32(vcvt_f16_f32(v.c), v.d);
  vst1q_u16((uint16_t*)p, vreinterpretq_u16_f16(x));
  vst1q_u16((uint16_t*)p + 8, vreinterpretq_u16_f16(y));
}

inline VI vi_set1(int32_t x) {
  const int32x4_t v = vdupq_n_s32(x);
  return {v, v, v, v};
}
inline VI vi_zero() { return vi_set1(0); }
inline VI vi_load(const void* p) {
  const int8_t* b = (const int8_t*)p;
  return {vreinterpretq_s32_s8(vld1q_s8(b)), vreinterpretq_s32_s8(vld1q_s8(b + 16)),
          vreinterpretq_s32_s8(vld1q_s8(b + 32)), vreinterpretq_s32_s8(vld1q_s8(b + 48))};
}
inline void vi_store(void* p, VI v) {
  int8_t* b = (int8_t*)p;
  vst1q_s8(b, vreinterpretq_s8_s32(v.a));
  vst1q_s8(b + 16, vreinterpretq_s8_s32(v.b));
  vst1q_s8(b + 32, vreinterpretq_s8_s32(v.c));
  vst1q_s8(b + 48, vreinterpretq_s8_s32(v.d));
}
inline VI vi_add(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) AO_ALWAYS { return vaddq_s32(x, y); });
}
inline VI vi_sub(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) AO_ALWAYS { return vsubq_s32(x, y); });
}
inline VI vi_mul(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) AO_ALWAYS { return vmulq_s32(x, y); });
}
inline VI vi_and(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) AO_ALWAYS { return vandq_s32(x, y); });
}
inline VI vi_or(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) AO_ALWAYS { return vorrq_s32(x, y); });
}
inline VI vi_select(VI mask, VI a, VI b) { // a where mask is 1
  const auto one = [](int32x4_t m, int32x4_t x, int32x4_t y)
                       AO_ALWAYS { return vbslq_s32(vreinterpretq_u32_s32(m), x, y); };
  return {one(mask.a, a.a, b.a), one(mask.b, a.b, b.b), one(mask.c, a.c, b.c), one(mask.d, a.d, b.d)};
}
inline bool vi_any(VI v) {
  return vmaxvq_u32(vreinterpretq_u32_s32(vorrq_s32(vorrq_s32(v.a, v.b), vorrq_s32(v.c, v.d)))) != 0;
}
inline VI vi_xor(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) AO_ALWAYS { return veorq_s32(x, y); });
}
AO_INLINE VI vi_shl(VI v, int n) {
  return each(v, [=](int32x4_t x) AO_ALWAYS { return vshlq_s32(x, vdupq_n_s32(n)); });
}
AO_INLINE VI vi_shr(VI v, int n) {
  return each(v, [=](int32x4_t x)
                     AO_ALWAYS { return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(x), vdupq_n_s32(-n))); });
}
AO_INLINE VI vi_sar(VI v, int n) {
  return each(v, [=](int32x4_t x) AO_ALWAYS { return vshlq_s32(x, vdupq_n_s32(-n)); });
}
inline VF v_cvt(VI v) { return {vcvtq_f32_s32(v.a), vcvtq_f32_s32(v.b), vcvtq_f32_s32(v.c), vcvtq_f32_s32(v.d)}; }
inline VF v_bits(VI v) {
  return {vreinterpretq_f32_s32(v.a), vreinterpretq_f32_s32(v.b), vreinterpretq_f32_s32(v.c),
          vreinterpretq_f32_s32(v.d)};
}
inline VI vi_bits(VF v) {
  return {vreinterpretq_s32_f32(v.a), vreinterpretq_s32_f32(v.b), vreinterpretq_s32_f32(v.c),
          vreinterpretq_s32_f32(v.d)};
}
inline VI vi_from_i8(const void* p) {
  const int8x16_t b = vld1q_s8((const int8_t*)p);
  const int16x8_t x = vmovl_s8(vget_low_s8(b)), y = vmovl_high_s8(b);
  return {vmovl_s16(vget_low_s16(x)), vmovl_high_s16(x), vmovl_s16(vget_low_s16(y)), vmovl_high_s16(y)};
}

inline VI vi_from_u8(const void* p) { return vi_and(vi_from_i8(p), vi_set1(255)); }

AO_INLINE void v_prefetch(const void* p) { __builtin_prefetch(p); }

// Sixteen bytes of each register.
struct Bytes {
  int8x16_t a, b, c, d;
};
inline Bytes load_bytes(const uint8_t* p) {
  const int8_t* b = (const int8_t*)p;
  return {vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)};
}

// Eight registers: the halves of four.
template <class V>
struct Halves {
  V a0, a1, b0, b1, c0, c1, d0, d1;
};

// A table of 2^bits values, looked up by the lowest `bits` bits of each lane: in registers up to 4 bits, a value's four bytes by one
// tbl, else in memory.
constexpr int kQuickLut = 4;     // up to here no arithmetic on codes
constexpr int kTablePanels = 2;  // whose sums hide each other's latency
constexpr bool kLooksUp = false; // all values come from memory
constexpr bool kHalfTables = false;
constexpr bool kManyForms = false;
constexpr bool kQuickSubnormals = true; // products of subnormals take no longer than others
template <int bits, bool halves>
struct Lut {
  const float* table;
  uint8x16x4_t parts;
  explicit AO_INLINE Lut(const float* t) : table(t) {
    const uint8_t* p = (const uint8_t*)t;
    parts = {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
  }
  AO_INLINE float32x4_t at(int32x4_t index) const {
    const int32x4_t code = vandq_s32(index, vdupq_n_s32((1 << bits) - 1));
    if constexpr (bits <= 4) {
      const int32x4_t bytes = vmlaq_s32(vdupq_n_s32(0x03020100), code, vdupq_n_s32(0x04040404));
      return vreinterpretq_f32_u8(vqtbl4q_u8(parts, vreinterpretq_u8_s32(bytes)));
    } else {
      const float v[] = {table[vgetq_lane_s32(code, 0)], table[vgetq_lane_s32(code, 1)], table[vgetq_lane_s32(code, 2)],
                         table[vgetq_lane_s32(code, 3)]};
      return vld1q_f32(v);
    }
  }
  AO_INLINE VF at(const VI& index) const { return {at(index.a), at(index.b), at(index.c), at(index.d)}; }
  AO_INLINE void four(const VI& quad, VF* out) const {
    for (int j = 0; j < 4; j++) out[j] = at(vi_shr(quad, 8 * j));
  }
};

// The two integer codes: how four columns (a quad) of a panel become operands, and their dot product with x.
//   kOffset  what the operand adds to the code;  kSpan  columns one accumulator may take;  kUnits  32-bit units of four codes of x
//   kStarts  the accumulator may start from minus what the offset adds

// q + 8 in 0..15.
struct Nibbles {
  typedef Bytes W;
  static constexpr int kOffset = 8, kUnits = 1;
  static constexpr int64_t kPacked8 = 64, kWide8 = 128; // bytes of 8 columns, packed and widened
  static AO_INLINE Two<W> load(const uint8_t* p) {
    const uint8x16_t a = vld1q_u8(p), b = vld1q_u8(p + 16), c = vld1q_u8(p + 32), d = vld1q_u8(p + 48);
    const auto lower = [](uint8x16_t v) AO_ALWAYS { return vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15))); };
    const auto upper = [](uint8x16_t v) AO_ALWAYS { return vreinterpretq_s8_u8(vshrq_n_u8(v, 4)); };
    return {{lower(a), lower(b), lower(c), lower(d)}, {upper(a), upper(b), upper(c), upper(d)}};
  }
};
struct Signed {
  typedef Bytes W;
  static constexpr int kOffset = 0, kUnits = 1;
  static constexpr int64_t kPacked8 = 128, kWide8 = 128;
  static AO_INLINE Two<W> load(const uint8_t* p) { return {load_bytes(p), load_bytes(p + 64)}; }
};
// Widened, the rows of a panel follow each other, each with its eight columns: only smmla (dots_i8mm.h) wants that.
template <class Packed>
struct Widened : Packed {
  static AO_INLINE Two<Bytes> load_wide(const uint8_t* p) {
    const auto row4 = [](const uint8_t* q) AO_ALWAYS { return vld2q_s32((const int32_t*)q); };
    const int32x4x2_t a = row4(p), b = row4(p + 32), c = row4(p + 64), d = row4(p + 96);
    const auto bytes = [](int32x4_t v) AO_ALWAYS { return vreinterpretq_s8_s32(v); };
    return {{bytes(a.val[0]), bytes(b.val[0]), bytes(c.val[0]), bytes(d.val[0])},
            {bytes(a.val[1]), bytes(b.val[1]), bytes(c.val[1]), bytes(d.val[1])}};
  }
  static void store_wide(uint8_t* p, const Bytes& first, const Bytes& second) {
    const auto row4 = [](uint8_t* q, int8x16_t x, int8x16_t y) {
      vst2q_s32((int32_t*)q, {{vreinterpretq_s32_s8(x), vreinterpretq_s32_s8(y)}});
    };
    row4(p, first.a, second.a);
    row4(p + 32, first.b, second.b);
    row4(p + 64, first.c, second.c);
    row4(p + 96, first.d, second.d);
  }
};

AO_INLINE int8x16_t four_codes(const uint32_t* x) { return vreinterpretq_s8_u32(vdupq_n_u32(*x)); }

#if defined(__ARM_FEATURE_DOTPROD)
// sdot: four products of signed bytes added to an int32 lane.
template <class Packed>
struct Dot : Widened<Packed> {
  typedef VI Acc;
  static constexpr int kSpan = 1 << 30;
  static constexpr bool kStarts = true;
  static AO_INLINE Acc zero() { return vi_zero(); }
  static AO_INLINE Acc start(int32_t offset) { return vi_set1(offset); }
  template <int height>
  static AO_INLINE void dot(Acc& acc, const Bytes& w, const uint32_t* x) {
    const int8x16_t four = four_codes(x);
    acc = {vdotq_s32(acc.a, w.a, four), vdotq_s32(acc.b, w.b, four), vdotq_s32(acc.c, w.c, four),
           vdotq_s32(acc.d, w.d, four)};
  }
  static AO_INLINE VI finish(const Acc& acc) { return acc; }
};
typedef Dot<Nibbles> Int4;
typedef Dot<Signed> Int8;
constexpr int kTileHeight = 6, kSumsHeight = 6,
              kPairRows = 4; // rows of x per tile, with sums; rows of two panels together
#else
// Products of the halves of w and x, added to acc: a row's four products are two neighbours of each half's sums.
template <class V, class Low, class High>
AO_INLINE void add_halves(Halves<V>& acc, const Bytes& w, int8x16_t x, const Low& low, const High& high) {
  acc.a0 = low(acc.a0, w.a, x), acc.a1 = high(acc.a1, w.a, x);
  acc.b0 = low(acc.b0, w.b, x), acc.b1 = high(acc.b1, w.b, x);
  acc.c0 = low(acc.c0, w.c, x), acc.c1 = high(acc.c1, w.c, x);
  acc.d0 = low(acc.d0, w.d, x), acc.d1 = high(acc.d1, w.d, x);
}

// q + 8 in 0..15 times int8 is at most 1920: eight products fit an int16 sum.
struct Int4 : Widened<Nibbles> {
  typedef Halves<int16x8_t> Acc;
  static constexpr int kSpan = 32;
  static constexpr bool kStarts = false;
  static AO_INLINE Acc zero() { return Acc(); }
  static AO_INLINE Acc start(int32_t) { return Acc(); }
  template <int height>
  static AO_INLINE void dot(Acc& acc, const W& w, const uint32_t* x) {
    add_halves(
        acc, w, four_codes(x),
        [](int16x8_t s, int8x16_t u, int8x16_t v) AO_ALWAYS { return vmlal_s8(s, vget_low_s8(u), vget_low_s8(v)); },
        [](int16x8_t s, int8x16_t u, int8x16_t v) AO_ALWAYS { return vmlal_high_s8(s, u, v); });
  }
  static AO_INLINE VI finish(const Acc& acc) {
    const auto four = [](int16x8_t x, int16x8_t y) AO_ALWAYS { return vpaddq_s32(vpaddlq_s16(x), vpaddlq_s16(y)); };
    return {four(acc.a0, acc.a1), four(acc.b0, acc.b1), four(acc.c0, acc.c1), four(acc.d0, acc.d1)};
  }
};

struct Int8 : Widened<Signed> {
  typedef Halves<int32x4_t> Acc;
  static constexpr int kSpan = 1 << 30;
  static constexpr bool kStarts = false;
  static AO_INLINE Acc zero() { return Acc(); }
  static AO_INLINE Acc start(int32_t) { return Acc(); }
  template <int height>
  static AO_INLINE void dot(Acc& acc, const W& w, const uint32_t* x) {
    add_halves(
        acc, w, four_codes(x),
        [](int32x4_t s, int8x16_t u, int8x16_t v)
            AO_ALWAYS { return vpadalq_s16(s, vmull_s8(vget_low_s8(u), vget_low_s8(v))); },
        [](int32x4_t s, int8x16_t u, int8x16_t v) AO_ALWAYS { return vpadalq_s16(s, vmull_high_s8(u, v)); });
  }
  static AO_INLINE VI finish(const Acc& acc) {
    return {vpaddq_s32(acc.a0, acc.a1), vpaddq_s32(acc.b0, acc.b1), vpaddq_s32(acc.c0, acc.c1),
            vpaddq_s32(acc.d0, acc.d1)};
  }
};
constexpr int kTileHeight = 3, kSumsHeight = 3,
              kPairRows = 2; // rows of x per tile, with sums; rows of two panels together
#endif

inline constexpr bool kPairs = false;
AO_INLINE VF v_dot_pairs(VF acc, VI, uint32_t) { return acc; }

constexpr int kFloatPanels = 1; // of a tile of float products
#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr bool kWidens = true; // codes become operands once per block of rows
#else
constexpr bool kWidens = false;
#endif
constexpr bool kSumsInRegisters = false;

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
