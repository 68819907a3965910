// What kernels on tensor cores read of weights that are alike, and how scales and zero points join sums: with d = sum of q x and e = sum of x
// over a group, s d, s (d - z e) or s d + z e.
#pragma once
#include "gemm/fragment.h"

namespace ao {

// What weights of one launch have in common.
struct Shape {
  int64_t k, row_bytes;  // row_bytes: of plain rows
  int tiles, groups;     // of a row
  uint32_t steps, magic; // steps of 16 columns in a group; 2^32 / steps, so that there is no division
  int entries;           // groups that a unit of tiles may meet
  int scale_size, zero_size, scale_dtype, zero_dtype, zero_domain;
  bool small; // a group may end inside a tile
  AO_HD uint32_t group_of(uint32_t step) const {
#if defined(__CUDA_ARCH__) || defined(AO_EMULATE)
    return steps == 1 ? step : __umulhi(step, magic);
#else
    return step / steps;
#endif
  }
  // Those that a unit meets from `first` on.
  AO_HD int groups_from(int first) const { return entries < groups - first ? entries : groups - first; }
  AO_HD int scale_room() const { return entries * kTileRows * scale_size; }
  AO_HD int room() const { return entries * kTileRows * (scale_size + zero_size); }
};

inline Shape shape_of(const Weight& w, int unit) {
  Shape s{};
  s.k = w.k, s.row_bytes = w.row_bytes, s.tiles = static_cast<int>(w.tiles());
  if (w.values == kFloats) return s;
  const bool one = w.groups == 1;
  s.groups = static_cast<int>(w.groups);
  s.steps = one ? 1u << 28 : static_cast<uint32_t>(w.group / 16);
  s.magic = static_cast<uint32_t>(((uint64_t{1} << 32) + s.steps - 1) / s.steps);
  s.small = !one && w.group % kTileColumns;
  const int64_t columns = unit * kTileColumns;
  s.entries = one ? 1 : static_cast<int>((columns - 16) / w.group) + (columns % w.group && w.group % columns ? 2 : 1);
  s.scale_size = ao_dtype_size(w.scale_dtype);
  s.zero_size = w.zero_domain == AO_ZERO_NONE ? 0 : ao_dtype_size(w.zero_dtype);
  s.scale_dtype = w.scale_dtype, s.zero_dtype = w.zero_dtype, s.zero_domain = w.zero_domain;
  return s;
}

// 16 rows of a weight, for copies of their tiles to shared memory that a warp starts.
template <int form>
struct Panel {
  const uint8_t *codes, *scale, *zero;
  int rows; // that are there
  __device__ Panel(const Weight& w, const Shape& s, int64_t panel) {
    if constexpr (is_plain(form)) {
      codes = w.codes + panel * kTileRows * s.row_bytes;
      const int64_t left = w.n - panel * kTileRows;
      rows = left < kTileRows ? static_cast<int>(left) : kTileRows;
    } else {
      const int64_t parts = panel * s.groups * kTileRows;
      codes = w.codes + panel * s.tiles * tile_bytes_of(form);
      scale = static_cast<const uint8_t*>(w.scale) + parts * s.scale_size;
      zero = static_cast<const uint8_t*>(w.zero) + parts * s.zero_size;
    }
  }
  // `unit` tiles from `tile` on, as far as they are there: codes, then scales and zero points of the groups that they meet. Plain rows
  // go by pieces of 8 columns: [half][row][t].
  template <int unit>
  __device__ void fetch(uint8_t* to, const Shape& s, int tile, int lane) const {
    if constexpr (is_plain(form)) {
      static_assert(unit == 1);
      const int piece = lane % 8;
      const int64_t column = int64_t{tile} * kTileColumns + piece * 8;
      const uint8_t* from = codes + column * 2;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int row = i * 4 + lane / 8;
        const bool there = row < rows && column < s.k;
        copy_async(to + ((piece / 4 * 16 + row) * 4 + piece % 4) * 16, there ? from + row * s.row_bytes : codes, there);
      }
    } else {
      constexpr int pieces = unit * tile_bytes_of(form) / 16;
      const uint8_t* from = codes + int64_t{tile} * tile_bytes_of(form) + lane * 16;
      uint8_t* at = to + lane * 16;
      if (pieces % 32 == 0 && (unit == 1 || tile + unit <= s.tiles)) {
#pragma unroll
        for (int i = 0; i < pieces / 32; i++) copy_async(at + i * 512, from + i * 512);
      } else {
        const int left = (s.tiles - tile) * (tile_bytes_of(form) / 16), count = left < pieces ? left : pieces;
#pragma unroll
        for (int i = 0; i < (pieces + 31) / 32; i++)
          if (i * 32 + lane < count) copy_async(at + i * 512, from + i * 512);
      }
      const int first = static_cast<int>(s.group_of(static_cast<uint32_t>(tile) * 4)), groups = s.groups_from(first);
      at += unit * tile_bytes_of(form);
      if (lane < groups * s.scale_size) copy_async(at, scale + (first * s.scale_size + lane) * int64_t{16});
      for (int i = 32 + lane; i < groups * s.scale_size; i += 32)
        copy_async(at + (i - lane) * 16, scale + (first * s.scale_size + i) * int64_t{16});
      if (s.zero_size)
        for (int i = lane; i < groups * s.zero_size; i += 32)
          copy_async(at + s.scale_room() + (i - lane) * 16, zero + (first * s.zero_size + i) * int64_t{16});
    }
  }
};

// load_float, short enough to stand in loops.
__device__ inline float group_value(int dtype, const uint8_t* p, int i) {
  if (dtype == AO_BF16) return ao_from_bf16(reinterpret_cast<const uint16_t*>(p)[i]);
  if (dtype == AO_F32) return reinterpret_cast<const float*>(p)[i];
  if (dtype == AO_F16) return from_f16(reinterpret_cast<const uint16_t*>(p)[i]);
  const uint32_t c = p[i];
  if (dtype == AO_F8E8M0) return ao_from_f8e8m0(static_cast<uint8_t>(c));
  if (dtype == AO_F8E4M3) {
    const float v = ao_float((c & 127) << 20 | (c & 128) << 24) * 0x1p120f;
    return (c & 127) == 127 ? ao_float(0x7fc00000u) : v;
  }
  return dtype == AO_I8 ? static_cast<float>(static_cast<int8_t>(c)) : static_cast<float>(c);
}
// Those of rows `row` and row + 8.
__device__ inline void group_values(float (&v)[2], int dtype, const uint8_t* p, int row) {
  if (dtype == AO_BF16) {
    const uint16_t* const at = reinterpret_cast<const uint16_t*>(p) + row;
    v[0] = ao_from_bf16(at[0]), v[1] = ao_from_bf16(at[8]);
  } else {
    v[0] = group_value(dtype, p, row), v[1] = group_value(dtype, p, row + 8);
  }
}
template <int tiles>
__device__ inline void clear_sums(float (&d)[tiles][4]) {
#pragma unroll
  for (int n = 0; n < tiles; n++) d[n][0] = d[n][1] = d[n][2] = d[n][3] = 0;
}
// Adds the sums of a group, whose scales and zero points are the 16 `at` groups on.
template <int tiles>
__device__ inline void join(float (&total)[tiles][4], const float (&d)[tiles][4], const float (&e)[tiles][4],
                            const Shape& s, const uint8_t* scales, const uint8_t* zeros, uint32_t at, int lane) {
  const int row = static_cast<int>(at) * kTileRows + lane / 4;
  float scale[2];
  group_values(scale, s.scale_dtype, scales, row);
  if (s.zero_size) {
    float z[2];
    group_values(z, s.zero_dtype, zeros, row);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float before = s.zero_domain == AO_ZERO_INT ? -scale[i / 2] * z[i / 2] : z[i / 2];
#pragma unroll
      for (int n = 0; n < tiles; n++) total[n][i] = fmaf(before, e[n][i], total[n][i]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int n = 0; n < tiles; n++) total[n][i] = fmaf(scale[i / 2], d[n][i], total[n][i]);
}
// `at` entries from those behind a tile.
template <int tiles>
__device__ inline void join(float (&total)[tiles][4], const float (&d)[tiles][4], const float (&e)[tiles][4],
                            const Shape& s, const uint8_t* parts, uint32_t at, int lane) {
  join<tiles>(total, d, e, s, parts, parts + s.scale_room(), at, lane);
}

} // namespace ao
