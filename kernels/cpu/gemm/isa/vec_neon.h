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
  return each(a, b, [](float32x4_t x, float32x4_t y) { return vaddq_f32(x, y); });
}
inline VF v_mul(VF a, VF b) {
  return each(a, b, [](float32x4_t x, float32x4_t y) { return vmulq_f32(x, y); });
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
  return each(a, b, [](int32x4_t x, int32x4_t y) { return vaddq_s32(x, y); });
}
inline VI vi_sub(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) { return vsubq_s32(x, y); });
}
inline VI vi_mul(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) { return vmulq_s32(x, y); });
}
inline VI vi_and(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) { return vandq_s32(x, y); });
}
inline VI vi_xor(VI a, VI b) {
  return each(a, b, [](int32x4_t x, int32x4_t y) { return veorq_s32(x, y); });
}
AO_INLINE VI vi_shl(VI v, int n) {
  return each(v, [=](int32x4_t x) { return vshlq_s32(x, vdupq_n_s32(n)); });
}
AO_INLINE VI vi_shr(VI v, int n) {
  return each(v,
              [=](int32x4_t x) { return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(x), vdupq_n_s32(-n))); });
}
AO_INLINE VI vi_sar(VI v, int n) {
  return each(v, [=](int32x4_t x) { return vshlq_s32(x, vdupq_n_s32(-n)); });
}
inline VF v_cvt(VI v) { return {vcvtq_f32_s32(v.a), vcvtq_f32_s32(v.b), vcvtq_f32_s32(v.c), vcvtq_f32_s32(v.d)}; }
inline VF v_bits(VI v) {
  return {vreinterpretq_f32_s32(v.a), vreinterpretq_f32_s32(v.b), vreinterpretq_f32_s32(v.c),
          vreinterpretq_f32_s32(v.d)};
}
inline VI vi_from_i8(const void* p) {
  const int8x16_t b = vld1q_s8((const int8_t*)p);
  const int16x8_t x = vmovl_s8(vget_low_s8(b)), y = vmovl_high_s8(b);
  return {vmovl_s16(vget_low_s16(x)), vmovl_high_s16(x), vmovl_s16(vget_low_s16(y)), vmovl_high_s16(y)};
}

AO_INLINE void v_prefetch(const void* p) { __builtin_prefetch(p); }

inline int8x16_t bytes4(const int8_t* x) {
  int32_t four;
  memcpy(&four, x, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

// Sixteen bytes of each register.
struct Bytes {
  int8x16_t a, b, c, d;
};
inline Bytes load_bytes(const uint8_t* p) {
  const int8_t* b = (const int8_t*)p;
  return {vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)};
}

// The two integer codes: how four columns (a quad) of a panel become operands, and their dot product with x.
//   kOffset  what the operand adds to the code;  kSpan  columns one accumulator may take;  X  the form of x
struct Bytes4 {
  typedef int8_t X;
  typedef Bytes W;
  static constexpr int64_t kWide8 = 128; // bytes of 8 columns, widened
  template <int quad>
  static W load_wide(const uint8_t* p) {
    return load_bytes(p + 64 * quad);
  }
  static void store_wide(uint8_t* p, W w) {
    int8_t* b = (int8_t*)p;
    vst1q_s8(b, w.a);
    vst1q_s8(b + 16, w.b);
    vst1q_s8(b + 32, w.c);
    vst1q_s8(b + 48, w.d);
  }
};

// q + 8 in 0..15.
struct Nibbles : Bytes4 {
  static constexpr int kOffset = 8;
  static constexpr int64_t kPacked8 = 64; // bytes of 8 columns, packed
  template <int quad>
  static W load(const uint8_t* p) {
    const auto take = [](uint8x16_t v) {
      return vreinterpretq_s8_u8(quad == 0 ? vandq_u8(v, vdupq_n_u8(15)) : vshrq_n_u8(v, 4));
    };
    return {take(vld1q_u8(p)), take(vld1q_u8(p + 16)), take(vld1q_u8(p + 32)), take(vld1q_u8(p + 48))};
  }
};
struct Signed : Bytes4 {
  static constexpr int kOffset = 0;
  static constexpr int64_t kPacked8 = 128;
  template <int quad>
  static W load(const uint8_t* p) {
    return load_wide<quad>(p);
  }
};

#if defined(__ARM_FEATURE_DOTPROD)
// sdot: four products of signed bytes added to an int32 lane.
struct Dot {
  typedef VI Acc;
  static constexpr int kSpan = 1 << 30;
  static Acc zero() { return vi_zero(); }
  static AO_INLINE void dot(Acc& acc, const Bytes& w, const int8_t* x) {
    const int8x16_t four = bytes4(x);
    acc = {vdotq_s32(acc.a, w.a, four), vdotq_s32(acc.b, w.b, four), vdotq_s32(acc.c, w.c, four),
           vdotq_s32(acc.d, w.d, four)};
  }
  static VI finish(const Acc& acc) { return acc; }
};
struct Int4 : Nibbles, Dot {};
struct Int8 : Signed, Dot {};
constexpr int kRowsPacked = 4, kRowsWide = 6, kRowsFloat = 6; // rows of x per tile
#else
// A panel row's four products as two sums of pairs, or (int4) as themselves: the halves of eight registers.
template <class V>
struct Halves {
  V a0, a1, b0, b1, c0, c1, d0, d1;
  // fn(sum, w, x) where w and x are the low, then the high halves.
  template <class Low, class High>
  AO_INLINE void add(const Bytes& w, int8x16_t x, const Low& low, const High& high) {
    a0 = low(a0, w.a, x), a1 = high(a1, w.a, x);
    b0 = low(b0, w.b, x), b1 = high(b1, w.b, x);
    c0 = low(c0, w.c, x), c1 = high(c1, w.c, x);
    d0 = low(d0, w.d, x), d1 = high(d1, w.d, x);
  }
};

// q + 8 in 0..15 times int8 is at most 1920: sixteen products fit an int16 sum.
struct Int4 : Nibbles {
  typedef Halves<int16x8_t> Acc;
  static constexpr int kSpan = 32;
  static Acc zero() { return Acc(); }
  static AO_INLINE void dot(Acc& acc, const W& w, const X* x) {
    acc.add(
        w, bytes4(x), [](int16x8_t s, int8x16_t u, int8x16_t v) { return vmlal_s8(s, vget_low_s8(u), vget_low_s8(v)); },
        [](int16x8_t s, int8x16_t u, int8x16_t v) { return vmlal_high_s8(s, u, v); });
  }
  static VI finish(const Acc& acc) {
    const auto four = [](int16x8_t x, int16x8_t y) { return vpaddq_s32(vpaddlq_s16(x), vpaddlq_s16(y)); };
    return {four(acc.a0, acc.a1), four(acc.b0, acc.b1), four(acc.c0, acc.c1), four(acc.d0, acc.d1)};
  }
};

struct Int8 : Signed {
  typedef Halves<int32x4_t> Acc;
  static constexpr int kSpan = 1 << 30;
  static Acc zero() { return Acc(); }
  static AO_INLINE void dot(Acc& acc, const W& w, const X* x) {
    acc.add(
        w, bytes4(x),
        [](int32x4_t s, int8x16_t u, int8x16_t v) { return vpadalq_s16(s, vmull_s8(vget_low_s8(u), vget_low_s8(v))); },
        [](int32x4_t s, int8x16_t u, int8x16_t v) { return vpadalq_s16(s, vmull_high_s8(u, v)); });
  }
  static VI finish(const Acc& acc) {
    return {vpaddq_s32(acc.a0, acc.a1), vpaddq_s32(acc.b0, acc.b1), vpaddq_s32(acc.c0, acc.c1),
            vpaddq_s32(acc.d0, acc.d1)};
  }
};
constexpr int kRowsPacked = 2, kRowsWide = 3, kRowsFloat = 6; // rows of x per tile
#endif

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
