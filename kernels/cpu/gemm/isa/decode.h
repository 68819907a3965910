// One decoder per weight code: columns [k0, k1) of a panel in ascending order as float32 vectors of 16 rows, handed to
// take(k, vector). k0 is a multiple of 8.
#pragma once
#include "gemm/isa/vec.h"
#include "gemm/packed.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

struct DecodeF32 {
  template <class Take>
  static AO_INLINE void run(const Packed*, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    for (int64_t k = k0; k < k1; k++) take(k, v_load((const float*)panel + k * kPanelRows));
  }
};

struct DecodeF16 {
  template <class Take>
  static AO_INLINE void run(const Packed*, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    for (int64_t k = k0; k < k1; k++) take(k, v_load_f16(panel + k * 2 * kPanelRows));
  }
};

struct DecodeBF16 {
  template <class Take>
  static AO_INLINE void run(const Packed*, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    const VI high = vi_set1((int32_t)0xffff0000);
    for (int64_t k = k0; k < k1; k += 2) {
      const VI pair = vi_load(panel + k * 2 * kPanelRows);
      take(k, v_bits(vi_shl(pair, 16)));
      if (k + 1 < k1) take(k + 1, v_bits(vi_and(pair, high)));
    }
  }
};

// w = (q - z) s, or q s + z with both steps rounded; kDomain is the zero domain.
template <int kCode, int kDomain>
struct DecodeInt {
  static constexpr int64_t kBytes8 = kCode == AO_INT4 ? 64 : 128;

  static AO_INLINE VI code(const VI& first, const VI& second, int j) {
    if (kCode == AO_INT4) return vi_and(vi_shr(first, 8 * (j & 3) + 4 * (j >> 2)), vi_set1(15));
    return vi_sar(vi_shl(j < 4 ? first : second, 24 - 8 * (j & 3)), 24);
  }

  template <class Take>
  static AO_INLINE void run(const Packed* w, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    const int zero_size = kDomain == AO_ZERO_INT ? 1 : w->zero_dtype == AO_F32 ? 4 : 2, scale_size = w->scale_dtype == AO_F32 ? 4 : 2;
    for (int64_t k = k0; k < k1;) {
      const int64_t group = k / w->group, end = (group + 1) * w->group < k1 ? (group + 1) * w->group : k1;
      const VF s = v_load_as(w->scale_dtype, panel + w->scale_at + group * kPanelRows * scale_size);
      const uint8_t* zero = panel + w->zero_at + group * kPanelRows * zero_size;
      VI offset = vi_set1(kCode == AO_INT4 ? 8 : 0);
      VF z = v_zero();
      if (kDomain == AO_ZERO_INT) offset = vi_add(offset, vi_from_i8(zero));
      if (kDomain == AO_ZERO_FLOAT) z = v_load_as(w->zero_dtype, zero);
      const auto value = [&](const VI& first, const VI& second, int j) {
        const VI q = code(first, second, j);
        const bool plain = kCode == AO_I8 && kDomain != AO_ZERO_INT;
        const VF product = v_mul(v_cvt(plain ? q : vi_sub(q, offset)), s);
        return kDomain == AO_ZERO_FLOAT ? v_add(product, z) : product;
      };
      for (; k + 8 <= end; k += 8) {
        const VI first = vi_load(panel + k / 8 * kBytes8), second = kCode == AO_I8 ? vi_load(panel + k / 8 * kBytes8 + 64) : first;
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) take(k + j, value(first, second, j));
      }
      if (k < end) {
        const VI first = vi_load(panel + k / 8 * kBytes8), second = kCode == AO_I8 ? vi_load(panel + k / 8 * kBytes8 + 64) : first;
        for (int j = 0; k < end; j++, k++) take(k, value(first, second, j));
      }
    }
  }
};

// Calls run(Decoder()) with the decoder of w.
template <class Run>
AO_INLINE void with_decoder(const Packed* w, const Run& run) {
  switch (w->code) {
    case AO_F32: return run(DecodeF32());
    case AO_F16: return run(DecodeF16());
    case AO_BF16: return run(DecodeBF16());
    case AO_I8:
      return w->zero_domain == AO_ZERO_NONE  ? run(DecodeInt<AO_I8, AO_ZERO_NONE>())
             : w->zero_domain == AO_ZERO_INT ? run(DecodeInt<AO_I8, AO_ZERO_INT>())
                                             : run(DecodeInt<AO_I8, AO_ZERO_FLOAT>());
    default:
      return w->zero_domain == AO_ZERO_NONE  ? run(DecodeInt<AO_INT4, AO_ZERO_NONE>())
             : w->zero_domain == AO_ZERO_INT ? run(DecodeInt<AO_INT4, AO_ZERO_INT>())
                                             : run(DecodeInt<AO_INT4, AO_ZERO_FLOAT>());
  }
}

}  // namespace
}  // namespace AO_ISA_NS
}  // namespace ao
