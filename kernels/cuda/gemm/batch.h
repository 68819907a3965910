// The kernel of batch.cu, compiled for forms in files of their own (batch_*.cu).
#pragma once
#include "gemm/columns.h"
#include "gemm/forms.h"
#include "gemm/groups.h"
#include "gemm/linear.h"
#include "gemm/odd.h"

namespace ao {

constexpr int kBatchTiles = 4, kBatchDepth = 4; // most tiles of 8 columns; stages of the rings

struct BatchTarget {
  Weight w;
  Store store;
  float* sums;    // [splits][m][n] where blocks share the columns
  int64_t blocks; // for its rows
};
struct Batch {
  BatchTarget at[kMostTargets];
  Rows x;
  const uint2* columns;
  Shape shape;
  int tiles_a_split, count, warps, splits, used, parts;
};

int run_batch(ao_ctx* ctx, const char* op, int form, int tiles_n, int64_t blocks, const Batch& b);
int run_batch_ints(ao_ctx* ctx, const char* op, int form, int tiles_n, int64_t blocks, const Batch& b);
int run_batch_floats(ao_ctx* ctx, const char* op, int form, int tiles_n, int64_t blocks, const Batch& b);
int run_batch_sparse(ao_ctx* ctx, const char* op, int form, int tiles_n, int64_t blocks, const Batch& b);

template <int form, int tiles_n>
__global__ __launch_bounds__(8 * kWarp) void batch_kernel(__grid_constant__ const Batch b) {
  AO_SHARED(uint8_t, shared);
  constexpr int x_bytes = tiles_n * 1024 * x_tiles_of(form), steps = 4 * x_tiles_of(form);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const Shape& shape = b.shape;
  const int tile_room = tile_bytes_of(form) + shape.room(), stage = x_bytes + 2 * b.warps * tile_room;
  uint32_t* const selectors = reinterpret_cast<uint32_t*>(shared + kBatchDepth * stage);

  int64_t block = blockIdx.x;
  int target = 0;
  while (block >= b.at[target].blocks) block -= b.at[target++].blocks;
  const BatchTarget& of = b.at[target];
  const Weight& w = of.w;
  const int64_t panel = (block * b.warps + warp) * 2, left = w.panels() - panel;
  const int there = left < 0 ? 0 : left < 2 ? static_cast<int>(left) : 2; // of the warp's two panels
  const int first = static_cast<int>(blockIdx.y) * b.tiles_a_split;
  const int end = first + b.tiles_a_split < shape.tiles ? first + b.tiles_a_split : shape.tiles;
  const Panel<form> panels[2] = {Panel<form>(w, shape, panel), Panel<form>(w, shape, panel + 1)};
  const uint8_t* const columns = reinterpret_cast<const uint8_t*>(b.columns);

  const auto fetch = [&](int tile) {
    if (tile < end) {
      uint8_t* const to = shared + (tile - first) % kBatchDepth * stage;
      const uint8_t* from = columns + int64_t{tile} * x_bytes;
      for (int i = threadIdx.x; i < x_bytes / 16; i += blockDim.x) copy_async(to + 16 * i, from + 16 * i);
#pragma unroll
      for (int p = 0; p < 2; p++)
        if (p < there) panels[p].template fetch<1>(to + x_bytes + (2 * warp + p) * tile_room, shape, tile, lane);
    }
    copy_async_commit();
  };
  for (int i = 0; i < kBatchDepth - 1; i++) fetch(first + i);
  if (is_sparse(form) && threadIdx.x < kSelectors) selectors[threadIdx.x] = selector_of(threadIdx.x);

  const Numbers numbers = numbers_of(w);
  float total[2][tiles_n][4] = {}, d[2][tiles_n][4] = {}, e[tiles_n][4] = {};
  for (int tile = first; tile < end; tile++) {
    copy_async_wait<kBatchDepth - 2>();
    __syncthreads();
    fetch(tile + kBatchDepth - 1);
    const uint8_t* const at = shared + (tile - first) % kBatchDepth * stage;
    const uint2* const x_at = reinterpret_cast<const uint2*>(at) + lane;
    const uint8_t* const mine = at + x_bytes + 2 * warp * tile_room;
    const LaneTile<form> top(mine, lane), bottom(mine + tile_room, lane);
    const uint32_t first_step = static_cast<uint32_t>(tile * 4);
    uint32_t group = shape.group_of(first_step);
    const uint32_t first_group = group;
#pragma unroll
    for (int half = 0; half < steps / 2; half++) {
      uint32_t a[2][2][4];
      top.two_steps(a[0], half, numbers, selectors);
      bottom.two_steps(a[1], half, numbers, selectors);
#pragma unroll
      for (int j = 0; j < 2; j++) {
        const int s = 2 * half + j;
#pragma unroll
        for (int n = 0; n < tiles_n; n++) {
          const uint2 v = x_at[(s * tiles_n + n) * 32];
          const uint32_t side[2] = {v.x, v.y};
          mma_bf16(d[0][n], a[0][j], side);
          mma_bf16(d[1][n], a[1][j], side);
          if (shape.zero_size) add_x(e[n], side);
        }
        constexpr int each = x_tiles_of(form); // steps of x in one of codes
        if (!(shape.small || s == steps - 1) || s % each != each - 1) continue;
        const uint32_t after = shape.group_of(first_step + static_cast<uint32_t>(s / each) + 1);
        const bool last = s == steps - 1 && tile + 1 == end;
        // a group that goes on in the next tile has its scale there too
        if (after != group || last) {
          for (int p = 0; p < 2; p++) {
            if (static_cast<int>(group) < shape.groups)
              join<tiles_n>(total[p], d[p], e, shape, mine + p * tile_room + tile_bytes_of(form), group - first_group,
                            lane);
            clear_sums(d[p]);
          }
          clear_sums(e);
        }
        group = after;
      }
    }
  }
  // [column][row] through shared memory, so that threads write side by side
  const int rows = b.warps * 2 * kTileRows, stride = rows + 4;
  float* const sums = reinterpret_cast<float*>(shared);
  copy_async_wait<0>();
  __syncthreads();
  for (int p = 0; p < 2; p++)
    for (int n = 0; n < tiles_n; n++)
      for (int i = 0; i < 4; i++) {
        const int c = n * 8 + lane % 4 * 2 + i % 2;
        if (c < b.used) sums[c * stride + (2 * warp + p) * kTileRows + lane / 4 + i / 2 * 8] = total[p][n][i];
      }
  __syncthreads();
  for (int i = threadIdx.x; i < static_cast<int>(b.x.m) * rows; i += blockDim.x) {
    const int m = i / rows, r = i % rows;
    const int64_t row = block * rows + r;
    if (row >= w.n) continue;
    float sum = 0;
    for (int p = 0; p < b.parts; p++) sum += sums[(m * b.parts + p) * stride + r];
    if (b.splits > 1) {
      of.sums[(blockIdx.y * b.x.m + m) * w.n + row] = sum;
    } else {
      if (is_small(form) && w.odd[row]) sum = odd_sum(w, row, b.x, m);
      put(of.store, m, row, sum);
    }
  }
}

template <int form, int tiles_n>
int launch_batch(ao_ctx* ctx, const char* op, int64_t blocks, const Batch& b) {
  const int stage = tiles_n * 1024 * x_tiles_of(form) + 2 * b.warps * (tile_bytes_of(form) + b.shape.room());
  const int rings = kBatchDepth * stage, sums = b.used * (b.warps * 2 * kTileRows + 4) * 4;
  const size_t bytes = static_cast<size_t>(rings > sums ? rings : sums) + kSelectors * 4;
  return launch(ctx, op, batch_kernel<form, tiles_n>,
                dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(b.splits)),
                static_cast<unsigned>(b.warps * kWarp), bytes, b);
}

template <int form>
int batch_of_form(ao_ctx* ctx, const char* op, int tiles_n, int64_t blocks, const Batch& b) {
  return tiles_n == 2 ? launch_batch<form, 2>(ctx, op, blocks, b) : launch_batch<form, 4>(ctx, op, blocks, b);
}

} // namespace ao
