// One decoder per weight code (those of tables: decode_table.h): columns [k0, k1) of a panel in ascending order as float32 vectors of 16 rows, handed to
// take(k, vector). k0 is a multiple of 8.
#pragma once
#include "gemm/isa/decode_table.h"
#include "gemm/isa/vec.h"
#include "gemm/packed.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

struct DecodeF32 {
  template <class Take>
  static AO_INLINE void run(const Packed* w, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    const uint8_t* ahead = panel + fetch_distance(w);
    for (int64_t k = k0; k < k1; k++) {
      v_prefetch(ahead + k * 64);
      take(k, v_load((const float*)panel + k * kPanelRows));
    }
  }
};

struct DecodeF16 {
  template <class Take>
  static AO_INLINE void run(const Packed* w, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    const uint8_t* ahead = panel + fetch_distance(w);
    for (int64_t k = k0; k < k1; k += 2) {
      v_prefetch(ahead + k * 32);
      take(k, v_load_f16(panel + k * 2 * kPanelRows));
      if (k + 1 < k1) take(k + 1, v_load_f16(panel + (k + 1) * 2 * kPanelRows));
    }
  }
};

struct DecodeBF16 {
  template <class Take>
  static AO_INLINE void run(const Packed* w, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    const VI high = vi_set1((int32_t)0xffff0000);
    const uint8_t* ahead = panel + fetch_distance(w);
    for (int64_t k = k0; k < k1; k += 2) {
      v_prefetch(ahead + k * 32);
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

  // Columns 0..3 and 4..7 of eight; int4 holds all in one and is turned from q + 8 to two's complement.
  static AO_INLINE VI load_first(const uint8_t* p) {
    return kCode == AO_INT4 ? vi_xor(vi_load(p), vi_set1((int32_t)0x88888888)) : vi_load(p);
  }
  static AO_INLINE VI load_second(const uint8_t* p) { return vi_load(p + (kCode == AO_INT4 ? 0 : 64)); }

  template <class Take>
  static AO_INLINE void column(int64_t k, int j, const VI& first, const VI& second, const VF& scale, const VF& zero,
                               const VI& offset, Take& take) {
    VI q;
    if (kCode == AO_INT4)
      q = vi_sar(vi_shl(first, 28 - 8 * (j & 3) - 4 * (j >> 2)), 28);
    else if (j < 4)
      q = vi_sar(vi_shl(first, 24 - 8 * j), 24);
    else
      q = vi_sar(vi_shl(second, 24 - 8 * (j - 4)), 24);
    if (kDomain == AO_ZERO_INT) q = vi_sub(q, offset);
    const VF product = v_mul(v_cvt(q), scale);
    if (kDomain == AO_ZERO_FLOAT)
      take(k, v_add(product, zero));
    else
      take(k, product);
  }

  template <class Take>
  static AO_INLINE void run(const Packed* w, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    const int zero_size = kDomain == AO_ZERO_INT    ? 1
                          : w->zero_dtype == AO_F32 ? 4
                                                    : 2,
              scale_size = ao_dtype_size(w->scale_dtype);
    const int64_t distance = fetch_distance(w), size = w->group;
    const uint8_t* scale = panel + w->scale_at + k0 / size * kPanelRows * scale_size;
    const uint8_t* zero = panel + w->zero_at + k0 / size * kPanelRows * zero_size;
    const uint8_t* at = panel + k0 / 8 * kBytes8;
    int64_t end = (k0 / size + 1) * size;
    for (int64_t k = k0; k < k1; end += size, scale += kPanelRows * scale_size, zero += kPanelRows * zero_size) {
      const int64_t stop = end < k1 ? end : k1;
      const VF s = v_load_scale(w->scale_dtype, scale);
      VF z = v_zero();
      VI offset = vi_zero();
      v_prefetch(scale + distance);
      if (kDomain == AO_ZERO_INT) offset = vi_from_i8(zero);
      if (kDomain == AO_ZERO_FLOAT) {
        z = v_load_as(w->zero_dtype, zero);
        v_prefetch(zero + distance);
      }
      for (; k + 8 <= stop; k += 8, at += kBytes8) {
        const VI first = load_first(at), second = load_second(at);
        v_prefetch(at + distance);
        if (kCode == AO_I8) v_prefetch(at + distance + 64);
        column(k, 0, first, second, s, z, offset, take);
        column(k + 1, 1, first, second, s, z, offset, take);
        column(k + 2, 2, first, second, s, z, offset, take);
        column(k + 3, 3, first, second, s, z, offset, take);
        column(k + 4, 4, first, second, s, z, offset, take);
        column(k + 5, 5, first, second, s, z, offset, take);
        column(k + 6, 6, first, second, s, z, offset, take);
        column(k + 7, 7, first, second, s, z, offset, take);
      }
      if (k < stop) {
        const VI first = load_first(at), second = load_second(at);
        for (int j = 0; k < stop; j++, k++) column(k, j, first, second, s, z, offset, take);
      }
    }
  }
};

// Calls run(Decoder()) with the decoder of w, whose codes are no table's.
template <class Run>
AO_INLINE void with_decoder(const Packed* w, const Run& run) {
  switch (w->code) {
  case AO_F32:
    return run(DecodeF32());
  case AO_F16:
    return run(DecodeF16());
  case AO_BF16:
    return run(DecodeBF16());
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

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
