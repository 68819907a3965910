// The kernel of gemv.cu: a team of a block's warps has 16 rows of w, each warp a unit of tiles of every stage of a ring (base/ring.h), which is
// filled across rows and, where weights are known to lie still, before the kernels ahead have ended. float32 sums, a team's added in order.
#pragma once
#include "base/early.h"
#include "gemm/gemv_stage.h"
#include "gemm/odd.h"

namespace ao {

// What the warps of a team have found, added and written by one of them: lane % 16 a row.
__device__ inline void add_up(const float* found, int team, const GemvPlan& plan, const Item& item, const Rows& x,
                              int64_t x_row, int64_t out_row, int rows, float scale, bool odd) {
  const int lane = threadIdx.x % kWarp, r = lane % kTileRows;
  const int64_t row = item.panel * kTileRows + r;
  if (row >= item.weight->n) return;
  for (int m = lane / kTileRows; m < rows; m += kWarp / kTileRows) {
    float sum = 0;
    for (int p = 0; p < plan.parts; p++) {
      const int c = m * plan.parts + p;
      const float* from = found + ((team * plan.team * plan.pairs + c / 2) * kTileRows + r) * plan.wide + c % 2;
      for (int v = 0; v < plan.team; v++) sum += from[v * plan.pairs * kTileRows * plan.wide];
    }
    sum *= scale;
    if (odd) sum = odd_sum(*item.weight, row, x, x_row + m);
    put(*item.store, out_row + m, row, sum);
  }
}

template <int form, int join_by, class Pick>
__device__ void gemv_block(const Pick& pick, int items, const Rows& x, int64_t x_row, int64_t out_row, int rows,
                           const Shape& shape, const GemvPlan& plan) {
  AO_SHARED(uint8_t, shared);
  constexpr int unit = unit_of<form>(), calls = calls_of<form>();
  constexpr bool fine = beat_of<form>() == 16 && !is_sparse(form); // two beats a call
  const int warp = kept(threadIdx.x / kWarp), lane = kept(threadIdx.x % kWarp);
  const int teams = kGemvWarps >> plan.team_log2, team = kept(warp >> plan.team_log2);
  const int member = kept(warp & (plan.team - 1));
  const int stage_tiles = plan.team * unit, across = static_cast<int>(gridDim.x), stride = across * teams;
  uint32_t* const selectors = reinterpret_cast<uint32_t*>(shared + plan.selectors_at);
  uint64_t* const barriers = reinterpret_cast<uint64_t*>(shared + plan.barriers_at);

  // stage k: of turn k / stages
  const auto fetch = [&](const Ring& ring, uint8_t* slot, int k) {
    const int of_turn = k / plan.stages, tile = (k - of_turn * plan.stages) * stage_tiles;
    const int first = static_cast<int>(blockIdx.x) + of_turn * stride;
    if (first >= items) return;
    for (int t = Ring::together ? 0 : team; t < (Ring::together ? teams : team + 1); t++) {
      const int i = first + t * across;
      if (i >= items)
        ring.expect(0);
      else if (Ring::together)
        bring<form, join_by>(ring, slot, pick(i), shape, plan, tile, plan.team, t * plan.team);
      else
        bring<form, join_by>(ring, slot, pick(i), shape, plan, tile + member * unit, 1, warp);
    }
  };
  const Handover handover(barriers + 2 * kMostStages, kGemvWarps, teams);
  Ring ring(shared + plan.stages_at, barriers, plan.depth, plan.stage, kGemvWarps, teams, fetch);
  if (plan.settled) await_previous();
  place_x<form, join_by>(shared, x, x_row, shape.k * x_tiles_of(form), plan);
  if (is_sparse(form) && threadIdx.x < kSelectors) selectors[threadIdx.x] = selector_of(threadIdx.x);
  __syncthreads();

  const Numbers& numbers = plan.numbers;
  // what is subtracted from the sums of kScaled, whose integers are beside 128
  const float beside =
      bits_of(form) == 8 || is_sparse(form) ? 0 : 128.0f + static_cast<float>(1 << (bits_of(form) - 1));
  // lanes without a column of their own see the last one's, and their sums are left
  const int column = lane / 4 < plan.columns ? lane / 4 : plan.columns - 1;
  const int pair = lane % 4 < plan.pairs ? lane % 4 : plan.pairs - 1;
  const int row_stride = plan.team * 2 * kTileColumns + kRowPad; // of plain weights
  const int x_first = kept((member * plan.columns + column) * plan.column_bytes + lane % 4 * 16);
  const int x_step = kept(plan.team * plan.columns * plan.column_bytes);
  const int group_step = plan.pairs * 2 * 4, unit_groups = unit * calls * 4 / plan.group_pieces;
  const int sums_first = kept(plan.sums_at + member * unit_groups * group_step + pair * 8);
  const int sums_step = kept(plan.team * unit_groups * group_step);
  const int mine =
      kept(plan.stages_at + (is_plain(form) ? (team * kTileRows + lane / 4) * row_stride + member * 128 + lane % 4 * 16
                                            : warp * unit * tile_bytes_of(form)));
  const int entry = team * plan.groups + (member * plan.groups >> plan.team_log2); // of the unit's first group
  const int scales_at = kept(plan.stages_at + plan.codes + entry * kTileRows * shape.scale_size +
                             (join_by == kScaled ? lane / 4 * 2 : 0));
  const int zeros_at = (teams * plan.groups - entry) * kTileRows * shape.scale_size +
                       entry * kTileRows * shape.zero_size - (join_by == kScaled ? lane / 4 * 2 : 0);
  const auto found_at = [&](int t) {
    return reinterpret_cast<float*>(shared + plan.partials_at) +
           t % Handover::buffers * kGemvWarps * plan.pairs * kTileRows * plan.wide;
  };
  const auto add_turn = [&](int t) { // by one warp of a team
    if (t < 0 || (t & (plan.team - 1)) != member) return;
    const int i = static_cast<int>(blockIdx.x) + t * stride + team * across;
    if (i < items) {
      const Item item = pick(i);
      const Weight& w = *item.weight;
      const int64_t row = item.panel * kTileRows + lane % kTileRows;
      const bool odd = is_small(form) && w.odd && row < w.n && w.odd[row];
      float scale = 1;
      if (!is_plain(form) && join_by == kWhole)
        scale = group_value(shape.scale_dtype, static_cast<const uint8_t*>(w.scale), static_cast<int>(row));
      handover.all_written(t);
      add_up(found_at(t), team, plan, item, x, x_row, out_row, rows, scale, odd);
    }
    handover.read(t);
  };
  for (int turn = 0;; turn++) {
    const int top = static_cast<int>(blockIdx.x) + turn * stride;
    if (top + stride >= items) let_next_start(); // not before: what waits would take room from blocks at work
    if (top >= items) return add_turn(turn - 1);
    const bool there = top + team * across < items;
    float total[1][4] = {}, d[1][4] = {};
    int tiles_here = there ? shape.tiles - member * unit : 0; // that are left
    int x_here = x_first, sums_here = sums_first;
    for (int n = plan.stages; n > 0; n--, tiles_here -= stage_tiles, x_here += x_step, sums_here += sums_step) {
      const uint8_t* const at = shared + mine + ring.next();
      const auto x_of = [&](int call) { return *reinterpret_cast<const uint4*>(shared + x_here + call * 64); };
      if constexpr (is_plain(form)) {
        if (tiles_here > 0) {
          const int beyond = shape.tiles * kTileColumns - static_cast<int>(shape.k); // of the last tile's columns
#pragma unroll
          for (int half = 0; half < 2; half++) {
            uint4 high = *reinterpret_cast<const uint4*>(at + half * 64),
                  low = *reinterpret_cast<const uint4*>(at + 8 * row_stride + half * 64);
            if (tiles_here == 1 && half * 32 + lane % 4 * 8 >= kTileColumns - beyond)
              high = low = make_uint4(0, 0, 0, 0);
            const uint32_t a[2][4] = {{high.x, low.x, high.y, low.y}, {high.z, low.z, high.w, low.w}};
            const uint4 v = x_of(half);
            const uint32_t b[2][2] = {{v.x, v.y}, {v.z, v.w}};
#pragma unroll
            for (int s = 0; s < 2; s++)
              if constexpr (form == kPlainF16)
                mma_f16(d[0], a[s], b[s]);
              else
                mma_bf16(d[0], a[s], b[s]);
          }
        }
      } else {
        const uint8_t* const scales = shared + scales_at + (at - shared - mine);
        const auto sums_of = [&](int group) {
          return *reinterpret_cast<const float2*>(shared + sums_here + group * group_step);
        };
        uint32_t ends = plan.ends;
        int group = 0, groups = unit_groups;
        if (join_by == kGroups && tiles_here <= unit) { // the last one
          if (tiles_here > 0 && tiles_here < unit) ends |= 1u << (tiles_here * kTileColumns / beat_of<form>() - 1);
          groups = shape.groups - static_cast<int>(shape.group_of(static_cast<uint32_t>(shape.tiles - tiles_here) * 4));
        }
        const auto beat = [&](int b) {
          if (join_by != kGroups || !(ends >> b & 1)) return;
          if (group < groups) {
            const float2 e = shape.zero_size ? sums_of(group) : float2{0, 0};
            const float both[1][4] = {{e.x, e.y, e.x, e.y}};
            join<1>(total, d, both, shape, scales, scales + zeros_at, static_cast<uint32_t>(group), lane);
          }
          clear_sums(d);
          group++;
        };
#pragma unroll
        for (int u = 0; u < unit; u++) {
          if (u >= tiles_here) break;
          const LaneTile<form> tile(at + u * tile_bytes_of(form), lane);
#pragma unroll
          for (int call = 0; call < calls; call++) {
            uint32_t a[2][4];
            tile.template two_steps<join_by == kScaled>(a, call, numbers, selectors);
            const uint4 v = x_of(u * calls + call);
            const uint32_t b[2][2] = {{v.x, v.y}, {v.z, v.w}};
#pragma unroll
            for (int s = 0; s < 2; s++) {
              mma_bf16(d[0], a[s], b[s]);
              if (fine) beat((u * calls + call) * 2 + s);
            }
            if (!fine) beat(u * calls + call);
          }
        }
        if (join_by == kScaled && tiles_here > 0) {
          const uint16_t* const of = reinterpret_cast<const uint16_t*>(scales);
          const float scale[2] = {ao_from_bf16(of[0]), ao_from_bf16(of[8])};
          const float2 e = sums_of(0);
          for (int j = 0; j < 4; j++)
            total[0][j] = fmaf(scale[j / 2], fmaf(-beside, j % 2 ? e.y : e.x, d[0][j]), total[0][j]);
          if (shape.zero_size) {
            float z[2];
            group_values(z, shape.zero_dtype, scales + zeros_at, lane / 4);
            for (int j = 0; j < 4; j++)
              total[0][j] = fmaf(shape.zero_domain == AO_ZERO_INT ? -scale[j / 2] * z[j / 2] : z[j / 2],
                                 j % 2 ? e.y : e.x, total[0][j]);
          }
          clear_sums(d);
        }
      }
      ring.release(fetch);
    }
    handover.may_write(turn);
    if (lane % 4 < plan.pairs) {
      const float (&of)[4] = join_by == kWhole ? d[0] : total[0];
      float* const to = found_at(turn) + ((warp * plan.pairs + lane % 4) * kTileRows + lane / 4) * plan.wide;
      if (plan.wide == 1)
        to[0] = of[0], to[8] = of[2];
      else
        reinterpret_cast<float2*>(to)[0] = {of[0], of[1]}, reinterpret_cast<float2*>(to)[8] = {of[2], of[3]};
    }
    handover.written(turn);
    add_turn(turn - 1);
  }
}

} // namespace ao
