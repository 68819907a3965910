// What gemv.cu brings to shared memory: stages of weights, and x with its sums over groups.
#pragma once
#include "gemm/columns.h"
#include "gemm/gemv_plan.h"

namespace ao {

// Starts the copies of tiles [tile, tile + units of `unit`) of an item, for the warps from `warp` on.
template <int form, int join>
__device__ void bring(const Ring& ring, uint8_t* slot, const Item& item, const Shape& s, const GemvPlan& plan, int tile,
                      int units, int warp) {
  constexpr int unit = unit_of<form>();
  const Weight& w = *item.weight;
  const int left = s.tiles - tile, tiles = left < units * unit ? left : units * unit;
  if (tiles <= 0) return ring.expect(0);
  if constexpr (is_plain(form)) {
    const int64_t first = int64_t{tile} * kTileColumns, rows = w.n - item.panel * kTileRows;
    const int64_t columns = s.k - first < tiles * kTileColumns ? s.k - first : tiles * kTileColumns;
    const int bytes = static_cast<int>(columns) * 2, count = rows < kTileRows ? static_cast<int>(rows) : kTileRows;
    const int stride = plan.team * 2 * kTileColumns + kRowPad;
    ring.expect(count * bytes);
    ring.copy_rows(slot + (warp >> plan.team_log2) * kTileRows * stride + (warp & (plan.team - 1)) * 2 * kTileColumns,
                   stride, w.codes + item.panel * kTileRows * s.row_bytes + first * 2, s.row_bytes, bytes, count);
  } else {
    const int bytes = tiles * tile_bytes_of(form);
    const uint8_t* const codes = w.codes + (item.panel * s.tiles + tile) * tile_bytes_of(form);
    uint8_t* const to = slot + warp * unit * tile_bytes_of(form);
    if constexpr (join == kWhole) {
      ring.expect(bytes);
      ring.copy(to, codes, bytes);
    } else {
      const int first = static_cast<int>(s.group_of(static_cast<uint32_t>(tile) * 4));
      const int last = static_cast<int>(s.group_of(static_cast<uint32_t>(tile + tiles) * 4 - 1));
      const int values = ((last < s.groups ? last + 1 : s.groups) - first) * kTileRows;
      // where a warp brings its own, several may bring the same to the same place
      const int team = warp >> plan.team_log2, skipped = (warp & (plan.team - 1)) * plan.groups >> plan.team_log2;
      const int64_t from = (item.panel * s.groups + first) * kTileRows;
      ring.expect(bytes + values * (s.scale_size + s.zero_size));
      ring.copy(to, codes, bytes);
      ring.copy(slot + plan.codes + (team * plan.groups + skipped) * kTileRows * s.scale_size,
                static_cast<const uint8_t*>(w.scale) + from * s.scale_size, values * s.scale_size);
      if (s.zero_size)
        ring.copy(slot + plan.codes + (kGemvWarps >> plan.team_log2) * plan.groups * kTileRows * s.scale_size +
                      (team * plan.groups + skipped) * kTileRows * s.zero_size,
                  static_cast<const uint8_t*>(w.zero) + from * s.zero_size, values * s.zero_size);
    }
  }
}

// Adds the sums of pieces of x over groups: [groups][columns, made even]. Lanes have pieces side by side.
template <int form>
__device__ void place_sums(uint8_t* shared, const GemvPlan& plan, uint4 v, int u, int p, int c, bool there) {
  constexpr int pieces = unit_of<form>() * calls_of<form>() * 4;
  constexpr bool fine = beat_of<form>() == 16 && !is_sparse(form);
  const auto of = [](uint32_t two) { return ao_float(two << 16) + ao_float(two & 0xffff0000u); };
  float a = of(v.x) + of(v.y), b = of(v.z) + of(v.w);
  const bool two = fine && plan.group_pieces < 4; // groups of 16: one for each step
  if (!two) a += b;
  const int lanes = two ? 4 : plan.group_pieces;
  for (int d = 1; d < lanes; d *= 2) {
    a += __shfl_xor_sync(kAllLanes, a, d);
    if (two) b += __shfl_xor_sync(kAllLanes, b, d);
  }
  if (!there || (p & (lanes - 1))) return;
  float* const to =
      reinterpret_cast<float*>(shared + plan.sums_at) + ((u * pieces + p) >> plan.group_log2) * plan.pairs * 2 + c;
  to[0] = a;
  if (two) to[plan.pairs * 2] = b;
}

// x to shared memory as the lanes take it, and its sums.
template <int form, int join>
__device__ void place_x(uint8_t* shared, const Rows& x, int64_t x_row, int64_t columns_of_x, const GemvPlan& plan) {
  constexpr int pieces = unit_of<form>() * calls_of<form>() * 4; // of a unit and column
  const int count = plan.x_units * pieces;
  const auto place = [&](int i, int c, uint4 v) {
    const int u = i / pieces, p = i % pieces;
    if (i < count) *reinterpret_cast<uint4*>(shared + (u * plan.columns + c) * plan.column_bytes + p * 16) = v;
    if (join != kWhole) place_sums<form>(shared, plan, v, u, p, c, i < count);
  };
  // whole warps stay together
  const int last = count + static_cast<int>(threadIdx.x) % kWarp;
  if (plan.quick) {
    constexpr int batch = 4;
    const int64_t second = x_column<form>(0, 0, 0, 4);
    for (int c = 0; c < plan.columns; c++) {
      const uint16_t* const from = static_cast<const uint16_t*>(x.data) + (x_row + c) * x.stride;
      for (int first = threadIdx.x; first < last; first += batch * kGemvWarps * kWarp) {
        uint2 v[batch][2];
#pragma unroll
        for (int j = 0; j < batch; j++) {
          const int i = first + j * kGemvWarps * kWarp, half = i / 4;
          const int64_t at = x_column<form>(half / 2, half % 2, i % 4, 0);
          const bool there = at < columns_of_x;
          v[j][0] = there ? *reinterpret_cast<const uint2*>(from + at) : uint2{0, 0};
          v[j][1] = there ? *reinterpret_cast<const uint2*>(from + at + second) : uint2{0, 0};
        }
#pragma unroll
        for (int j = 0; j < batch; j++) {
          const int i = first + j * kGemvWarps * kWarp;
          if (i < last) place(i, c, make_uint4(v[j][0].x, v[j][0].y, v[j][1].x, v[j][1].y));
        }
      }
    }
    return;
  }
  for (int c = 0; c < plan.columns; c++)
    for (int i = threadIdx.x; i < last; i += kGemvWarps * kWarp) {
      const int half = i / 4;
      place(i, c,
            i < count ? x_piece<form>(x, columns_of_x, x_row + c / plan.parts, c % plan.parts, plan.parts, half / 2,
                                      half % 2, i % 4, plan.aligned)
                      : make_uint4(0, 0, 0, 0));
    }
}

} // namespace ao
