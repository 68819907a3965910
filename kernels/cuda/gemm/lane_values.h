// What a lane holds of a tile (base/weight.h) as decoded float32 values, for every kind of codes.
#pragma once
#include "gemm/decode.h"
#include "gemm/groups.h"

namespace ao {

// The table of a weight where its codes are looked up, into shared memory; a barrier has to follow.
constexpr int kTableRoom = 256;
__device__ inline void share_table(float* to, const Weight& w) {
  if (w.values >= kSmallFloat)
    for (int i = threadIdx.x; i < 1 << w.bits; i += blockDim.x) to[i] = w.table[i];
}

template <int bits>
__device__ inline float lane_number(const Weight& w, const float* table, uint32_t code) {
  if (w.values >= kSmallFloat) return table[code];
  if constexpr (bits == 8) return static_cast<float>(static_cast<int8_t>(code));
  // 2^23 + code as a float, less 2^23 and the bias: exact
  return ao_float(0x4b000000u | code) - (8388608.0f + static_cast<float>(w.values == kSigned ? 1 << (bits - 1) : 0));
}

// fn(h, k, v): row lane / 4 + 8 h of the panel has v[0 .. 3] at the kept columns k .. k + 3, which may lie beyond the end. Each step
// rounded, as decode.h has it.
template <int bits, class Fn>
__device__ inline void each_value(const Weight& w, const float* table, int64_t panel, int64_t tile, int lane,
                                  const Fn& fn) {
  uint32_t words[bits];
  load_words<bits>(words, w.codes + (panel * w.tiles() + tile) * w.tile_bytes(), lane);
  const uint32_t group = static_cast<uint32_t>(w.group), first = static_cast<uint32_t>(tile * kTileColumns);
  const bool whole = w.groups == 1 || group % kTileColumns == 0; // one group for the tile
  float scale[2], z[2];
  const auto load_group = [&](uint32_t k) {
    const uint32_t g = w.groups == 1 ? 0 : k / group;
    const int64_t part = (panel * w.groups + g) * kTileRows + lane / 4;
    const int scale_size = ao_dtype_size(w.scale_dtype), zero_size = ao_dtype_size(w.zero_dtype);
    for (int h = 0; h < 2; h++) {
      scale[h] = group_value(w.scale_dtype, static_cast<const uint8_t*>(w.scale) + (part + 8 * h) * scale_size, 0);
      z[h] = w.zero_domain == AO_ZERO_NONE
                 ? 0.0f
                 : group_value(w.zero_dtype, static_cast<const uint8_t*>(w.zero) + (part + 8 * h) * zero_size, 0);
    }
  };
  if (whole) load_group(first);
#pragma unroll
  for (int s = 0; s < 4; s++) {
    const uint32_t k = first + 16 * s + lane % 4 * 4;
    if (k >= w.k) break;
    if (!whole) load_group(k);
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float v[4];
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const uint32_t pair = pair_of<bits>(words, 4 * s + j / 2 * 2 + h);
        const float q = lane_number<bits>(w, table, j % 2 ? pair >> 16 : pair & 0xffffu);
        v[j] = w.zero_domain == AO_ZERO_NONE  ? q * scale[h]
               : w.zero_domain == AO_ZERO_INT ? (q - z[h]) * scale[h]
                                              : q * scale[h] + z[h];
      }
      fn(h, static_cast<int64_t>(k), v);
    }
  }
}

// Of the kept columns k .. k + 3 of a 2:4 row, two bits for each: which of its four columns it is.
__device__ inline uint32_t spots_of(const Weight& w, int64_t panel, int64_t tile, int lane, int h, int64_t k) {
  const uint8_t* meta = w.codes + (panel * w.tiles() + tile) * w.tile_bytes() + 128 * w.bits + lane * 8;
  const int pair = static_cast<int>(k % kTileColumns) / 16 * 4 + h;
  const auto nibble = [&](int p) { return static_cast<uint32_t>(meta[p / 2] >> p % 2 * 4 & 15); };
  return nibble(pair) | nibble(pair + 2) << 4;
}

// Calls fn with the bits of codes as a constant.
template <int n>
struct Bits {
  static constexpr int value = n;
};
template <class Fn>
int by_bits(int bits, const Fn& fn) {
  switch (bits) {
  case 1:
    return fn(Bits<1>());
  case 2:
    return fn(Bits<2>());
  case 3:
    return fn(Bits<3>());
  case 4:
    return fn(Bits<4>());
  case 5:
    return fn(Bits<5>());
  case 6:
    return fn(Bits<6>());
  case 7:
    return fn(Bits<7>());
  default:
    return fn(Bits<8>());
  }
}

} // namespace ao
