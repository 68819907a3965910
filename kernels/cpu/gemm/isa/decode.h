// One decoder per float code (decode_lanes.h, decode_table.h: of the others): columns [k0, k1) of a panel in ascending order as
// float32 vectors of 16 rows, handed to take(k, vector). k0 is a multiple of 8.
#pragma once
#include "gemm/isa/decode_lanes.h"
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

// Calls run(Decoder()) with the decoder of w, whose codes are not those of a table.
template <class Run>
AO_INLINE void with_decoder(const Packed* w, const Run& run) {
  switch (w->code) {
  case AO_F32:
    return run(DecodeF32());
  case AO_F16:
    return run(DecodeF16());
  case AO_I8:
    return run(DecodeLanes<AO_I8>());
  case AO_INT4:
    return run(DecodeLanes<AO_INT4>());
  default:
    return run(DecodeBF16());
  }
}

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
