// A few rows of x times weights as they are packed, each byte of a weight read once, by tensor cores: out^T [N, M] = w x^T, 16 rows of w
// and up to 8 columns (gemm/columns.h) at a time. A block's warps share 16 rows: warp v has tiles v, v + warps, .. of them, copied ahead
// of use into a ring of its own; their sums are added in order. float32 sums.
#include "gemm/columns.h"
#include "gemm/forms.h"
#include "gemm/groups.h"
#include "gemm/linear.h"
#include "gemm/odd.h"

namespace ao {
namespace {

constexpr int kWarps = 8, kColumns = 8, kBlocks = 3; // of a block; of a multiprocessor
constexpr int kDepth = 3;                            // units of tiles that are on their way or in use

// Tiles that a warp takes at once: up to 2 kB.
template <int form>
constexpr int unit_of() {
  constexpr int bytes = tile_bytes_of(form);
  return bytes <= 512 ? 4 : bytes <= 1024 ? 2 : 1;
}

// The parts of shared memory, in bytes.
struct Sizes {
  int x, stage;
  int columns, parts;
  bool aligned;
  AO_HD int partials_at() const { return x + kWarps * kDepth * stage; }
  AO_HD int selectors_at() const { return partials_at() + 2 * kWarps * columns * kTileRows * 4; }
  AO_HD int bytes() const { return selectors_at() + kSelectors * 4; }
};

// What an item of 16 rows is of.
struct Item {
  const Weight* weight;
  const Store* store;
  int64_t panel;
};

template <int form, class Pick>
__device__ void rows_block(const Pick& pick, int items, const Rows& x, int64_t x_row, int64_t out_row, int rows,
                           const Shape& shape, const Sizes& sizes) {
  AO_SHARED(uint8_t, shared);
  constexpr int unit = unit_of<form>(), steps = 4 * x_tiles_of(form);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, columns = sizes.columns, tiles = shape.tiles;
  uint8_t* const ring = shared + sizes.x + warp * kDepth * sizes.stage;
  float* const partials = reinterpret_cast<float*>(shared + sizes.partials_at());
  uint32_t* const selectors = reinterpret_cast<uint32_t*>(shared + sizes.selectors_at());

  const auto panel_of = [&](int i) {
    const Item item = pick(i < items ? i : 0);
    return Panel<form>(*item.weight, shape, item.panel);
  };
  int next_item = warp * unit < tiles ? static_cast<int>(blockIdx.x) : items, next_tile = warp * unit;
  Panel<form> next = panel_of(next_item);
  const auto fetch = [&](int slot) {
    if (next_item < items) {
      next.template fetch<unit>(ring + slot * sizes.stage, shape, next_tile, lane);
      next_tile += kWarps * unit;
      if (next_tile >= tiles) {
        next_tile = warp * unit, next_item += gridDim.x;
        next = panel_of(next_item);
      }
    }
    copy_async_commit();
  };
  for (int i = 0; i < kDepth - 1; i++) fetch(i);

  uint4* const pieces = reinterpret_cast<uint4*>(shared);
  for (int i = threadIdx.x; i < sizes.x / 16; i += blockDim.x) {
    const int t = i % 4, c = i / 4 % columns, half = i / 4 / columns;
    pieces[i] = x_piece<form>(x, shape.k * x_tiles_of(form), x_row + c / sizes.parts, c % sizes.parts, sizes.parts,
                              half / 2, half % 2, t, sizes.aligned);
  }
  if (is_sparse(form) && threadIdx.x < kSelectors) selectors[threadIdx.x] = selector_of(threadIdx.x);
  __syncthreads();

  const Numbers numbers = numbers_of(*pick(0).weight);
  int slot = 0, turn = 0;
  for (int i = blockIdx.x; i < items; i += gridDim.x, turn ^= 1) {
    float total[1][4] = {}, d[1][4] = {}, e[1][4] = {};
    for (int first = warp * unit; first < tiles; first += kWarps * unit) {
      copy_async_wait<kDepth - 2>();
      __syncwarp();
      fetch(slot ? slot - 1 : kDepth - 1);
      const uint8_t* at = ring + slot * sizes.stage;
      const uint8_t* const parts = at + unit * tile_bytes_of(form);
      const uint4* x_at = pieces + (first * (steps / 2) * columns + lane / 4) * 4 + lane % 4;
      const uint32_t first_group = is_plain(form) ? 0 : shape.group_of(static_cast<uint32_t>(first) * 4);
      uint32_t group = first_group;
      const auto end_group = [&](uint32_t after) { // as the group of what comes is another, or kept apart
        if (static_cast<int>(group) < shape.groups) join<1>(total, d, e, shape, parts, group - first_group, lane);
        clear_sums(d), clear_sums(e);
        group = after;
      };
      const auto load_tile = [&](int u, uint32_t (*a)[4], uint32_t (*b)[2]) {
        const LaneTile<form> mine(at + u * tile_bytes_of(form), lane);
#pragma unroll
        for (int half = 0; half < steps / 2; half++) {
          mine.two_steps(a + 2 * half, half, numbers, selectors);
          const uint4 v = lane / 4 < columns ? x_at[(u * (steps / 2) + half) * columns * 4] : make_uint4(0, 0, 0, 0);
          b[2 * half][0] = v.x, b[2 * half][1] = v.y, b[2 * half + 1][0] = v.z, b[2 * half + 1][1] = v.w;
        }
      };
      if (is_plain(form) || !shape.small) {
#pragma unroll 2
        for (int u = 0; u < unit && first + u < tiles; u++) {
          uint32_t a[steps][4], b[steps][2];
          load_tile(u, a, b);
#pragma unroll
          for (int s = 0; s < steps; s++) {
            if constexpr (form == kPlainF16)
              mma_f16(d[0], a[s], b[s]);
            else
              mma_bf16(d[0], a[s], b[s]);
          }
          if (is_plain(form)) continue;
          if (shape.zero_size)
#pragma unroll
            for (int s = 0; s < steps; s++) add_x(e[0], b[s]);
          const uint32_t after = shape.group_of(static_cast<uint32_t>(first + u + 1) * 4);
          if (after != group || u == unit - 1 || first + u + 1 == tiles) end_group(after);
        }
      } else {
#pragma unroll 1
        for (int u = 0; u < unit && first + u < tiles; u++) {
          uint32_t a[steps][4], b[steps][2];
          load_tile(u, a, b);
          constexpr int each = x_tiles_of(form); // steps of x in one of codes
#pragma unroll
          for (int s = 0; s < steps; s++) {
            mma_bf16(d[0], a[s], b[s]);
            if (shape.zero_size) add_x(e[0], b[s]);
            if (s % each != each - 1) continue;
            const uint32_t after = shape.group_of(static_cast<uint32_t>((first + u) * 4 + s / each + 1));
            if (after != group || (s == steps - 1 && (u == unit - 1 || first + u + 1 == tiles))) end_group(after);
          }
        }
      }
      slot = slot + 1 == kDepth ? 0 : slot + 1;
    }
    float* const mine = partials + (turn * kWarps + warp) * columns * kTileRows;
    for (int j = 0; j < 4; j++) {
      const int c = lane % 4 * 2 + j % 2;
      if (c < columns) mine[c * kTileRows + lane / 4 + j / 2 * 8] = is_plain(form) ? d[0][j] : total[0][j];
    }
    __syncthreads();
    const Item item = pick(i);
    const Weight& w = *item.weight;
    const float* all = partials + turn * kWarps * columns * kTileRows;
    for (int j = threadIdx.x; j < rows * kTileRows; j += blockDim.x) {
      const int r = j % kTileRows, m = j / kTileRows;
      const int64_t row = item.panel * kTileRows + r;
      if (row >= w.n) continue;
      float sum = 0;
      for (int p = 0; p < sizes.parts; p++)
        for (int v = 0; v < kWarps; v++) sum += all[(v * columns + m * sizes.parts + p) * kTileRows + r];
      if (is_small(form) && w.odd && w.odd[row]) sum = odd_sum(w, row, x, x_row + m);
      put(*item.store, out_row + m, row, sum);
    }
  }
}

// All weights of a layer, or for row blockIdx.y of out the expert that was chosen for it.
struct Work {
  Weight at[kMostExperts];
  Store stores[kMostTargets];
  const int32_t* index; // null where all are meant
  int64_t first, count, per_x;
};

template <int form>
__global__ __launch_bounds__(kWarps* kWarp, kBlocks) void few_rows_kernel(__grid_constant__ const Work work, int items,
                                                                          Rows x, int rows, Shape shape, Sizes sizes) {
  const int64_t row = blockIdx.y, expert = work.index ? work.index[row] - work.first : -1;
  if (work.index && (expert < 0 || expert >= work.count)) return;
  const auto pick = [&](int64_t i) -> Item {
    if (work.index) return Item{&work.at[expert], &work.stores[0], i};
    int t = 0;
    while (i >= work.at[t].panels()) i -= work.at[t++].panels();
    return Item{&work.at[t], &work.stores[t], i};
  };
  rows_block<form>(pick, items, x, work.index ? row / work.per_x : 0, row, rows, shape, sizes);
}

template <int form>
Sizes sizes_of(const Weight& w, const Shape& shape, const Rows& x, int rows) {
  Sizes s{};
  s.parts = x_parts(x.dtype, form == kPlainF16), s.columns = s.parts * rows;
  s.x = static_cast<int>(w.tiles() * x_tiles_of(form) * s.columns * 128);
  s.stage = unit_of<form>() * tile_bytes_of(form) + shape.room();
  s.aligned = x_aligned(x);
  return s;
}

// Blocks that run at once.
int64_t resident(const ao_ctx* ctx, const Sizes& s) {
  const int64_t fit = (226 << 10) / (s.bytes() + 1024);
  return ctx->multiprocessors * (fit < 1 ? 1 : fit < kBlocks ? fit : kBlocks);
}

} // namespace

bool gemv_takes(const Weight& w, const Rows& x) {
  const int form = form_of(w, x.dtype);
  if (form == kNoForm) return false;
  const int64_t columns = x.m * x_parts(x.dtype, form == kPlainF16);
  return columns <= kColumns && columns * w.columns() * 2 <= 96 << 10;
}

namespace {
int run(ao_ctx* ctx, const char* op, const Work& work, int64_t items, int64_t down, const Rows& x, int rows) {
  const Weight& first = work.at[0];
  return by_form(form_of(first, x.dtype), [&](auto tag) {
    constexpr int form = decltype(tag)::value;
    const Shape shape = shape_of(first, unit_of<form>());
    const Sizes sizes = sizes_of<form>(first, shape, x, rows);
    const int64_t most = ceil_div(resident(ctx, sizes), down), blocks = items < most ? items : most;
    return launch(ctx, op, few_rows_kernel<form>, dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(down)),
                  kWarps * kWarp, static_cast<size_t>(sizes.bytes()), work, static_cast<int>(items), x, rows, shape,
                  sizes);
  });
}
} // namespace

int gemv(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x) {
  Work work{};
  int64_t items = 0;
  for (int i = 0; i < count; i++) {
    work.at[i] = targets.at[i].w, work.stores[i] = targets.at[i].store;
    items += targets.at[i].w.panels();
  }
  return run(ctx, op, work, items, 1, x, static_cast<int>(x.m));
}

int gemv_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                    const Store& store) {
  Work work{};
  for (int64_t i = 0; i < experts.count; i++) work.at[i] = experts.at[i];
  work.stores[0] = store;
  work.index = experts.index, work.first = experts.first, work.count = experts.count, work.per_x = experts.per_x;
  return run(ctx, op, work, experts.at[0].panels(), rows, x, 1);
}

} // namespace ao
