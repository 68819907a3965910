// The integer modes' panels as floats, for single rows that a weight multiplies exactly: w = (q - z) s, or q s + z with both steps
// rounded. A lane of 32 bits holds four codes of a row, or eight nibbles stored as q + 8 (gemm/packed.h).
#pragma once
#include "gemm/isa/vec.h"
#include "gemm/packed.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

template <int kCode>
struct DecodeLanes {
  static constexpr int64_t kBytes8 = kCode == AO_INT4 ? 64 : 128;

  // Codes of column j of eight; int4 has all eight in one vector.
  static AO_INLINE VF code(const VI& first, const VI& second, int j) {
    if (kCode == AO_INT4) return v_cvt(vi_sar(vi_shl(first, 28 - 8 * (j & 3) - 4 * (j >> 2)), 28));
    return v_cvt(vi_sar(vi_shl(j < 4 ? first : second, 24 - 8 * (j & 3)), 24));
  }

  template <class Take>
  static AO_INLINE void run(const Packed* w, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    const int64_t scale_bytes = kPanelRows * ao_dtype_size(w->scale_dtype),
                  zero_bytes = kPanelRows * ao_dtype_size(w->zero_dtype), distance = fetch_distance(w);
    const uint8_t* at = panel + k0 / 8 * kBytes8;
    for (int64_t k = k0; k < k1;) {
      const int64_t group = k / w->group, end = (group + 1) * w->group, stop = end < k1 ? end : k1;
      const VF s = v_load_scale(w->scale_dtype, panel + w->scale_at + group * scale_bytes);
      const VF z = w->zero_domain == AO_ZERO_NONE ? v_zero()
                                                  : v_load_zero(w->zero_dtype, panel + w->zero_at + group * zero_bytes);
      const VF before = w->zero_domain == AO_ZERO_INT ? z : v_zero(),
               after = w->zero_domain == AO_ZERO_FLOAT ? z : v_zero();
      for (; k < stop; at += kBytes8) {
        VI first = vi_load(at), second = first;
        if (kCode == AO_INT4)
          first = vi_xor(first, vi_set1((int32_t)0x88888888));
        else
          second = vi_load(at + 64);
        v_prefetch(at + distance);
        const int here = stop - k < 8 ? (int)(stop - k) : 8;
        for (int j = 0; j < here; j++, k++) take(k, v_add(v_mul(v_sub(code(first, second, j), before), s), after));
      }
    }
  }
};

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
