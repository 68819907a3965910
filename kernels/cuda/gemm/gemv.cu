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

// Tiles that are on their way or in use.
template <int form>
constexpr int depth_of() {
  constexpr int stages = 32768 / (kWarps * tile_bytes_of(form));
  return stages < 3 ? 3 : stages > 8 ? 8 : stages;
}

// The parts of shared memory, in bytes.
struct Sizes {
  int x, stage, depth;
  int columns, parts;
  bool aligned;
  AO_HD int partials_at() const { return x + kWarps * depth * stage; }
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
__device__ void rows_block(const Pick& pick, int64_t items, const Rows& x, int64_t x_row, int64_t out_row, int rows,
                           const Groups& groups, const Sizes& sizes) {
  AO_SHARED(uint8_t, shared);
  constexpr int depth = depth_of<form>(), steps = 4 * x_tiles_of(form);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, columns = sizes.columns;
  uint8_t* const ring = shared + sizes.x + warp * depth * sizes.stage;
  float* const partials = reinterpret_cast<float*>(shared + sizes.partials_at());
  uint32_t* const selectors = reinterpret_cast<uint32_t*>(shared + sizes.selectors_at());
  const Weight& any = *pick(0).weight;
  const int64_t tiles = any.tiles();

  int64_t next_item = warp < tiles ? int64_t{blockIdx.x} : items, next_tile = warp;
  Item next = pick(next_item < items ? next_item : 0);
  const auto fetch = [&](int slot) {
    if (next_item < items) {
      uint8_t* to = ring + slot * sizes.stage;
      fetch_tile<form>(to, *next.weight, next.panel, next_tile, lane);
      if constexpr (!is_plain(form))
        fetch_groups(to + tile_bytes_of(form), *next.weight, groups, next.panel, next_tile, lane);
      next_tile += kWarps;
      if (next_tile >= tiles) {
        next_tile = warp, next_item += gridDim.x;
        if (next_item < items) next = pick(next_item);
      }
    }
    copy_async_commit();
  };
  for (int i = 0; i < depth - 1; i++) fetch(i);

  uint4* const pieces = reinterpret_cast<uint4*>(shared);
  for (int i = threadIdx.x; i < sizes.x / 16; i += blockDim.x) {
    const int t = i % 4, c = i / 4 % columns, half = i / 4 / columns;
    pieces[i] = x_piece<form>(x, any.columns(), x_row + c / sizes.parts, c % sizes.parts, sizes.parts, half / 2,
                              half % 2, t, sizes.aligned);
  }
  if (is_sparse(form) && threadIdx.x < kSelectors) selectors[threadIdx.x] = selector_of(threadIdx.x);
  __syncthreads();

  int slot = 0, turn = 0;
  for (int64_t i = blockIdx.x; i < items; i += gridDim.x, turn ^= 1) {
    const Item item = pick(i);
    const Weight& w = *item.weight;
    const Numbers numbers = numbers_of(w);
    float total[1][4] = {}, d[1][4] = {}, e[1][4] = {};
    for (int64_t tile = warp; tile < tiles; tile += kWarps) {
      copy_async_wait<depth - 2>();
      __syncwarp();
      fetch(slot ? slot - 1 : depth - 1);
      const uint8_t* at = ring + slot * sizes.stage;
      const uint4* x_at = pieces + (tile * (steps / 2) * columns + lane / 4) * 4 + lane % 4;
      const uint32_t first_step = static_cast<uint32_t>(tile * 4);
      uint32_t group = is_plain(form) ? 0 : groups.of_step(first_step);
      const uint32_t first_group = group;
      uint4 v{};
      each_step<form>(at, lane, numbers, selectors, [&](const uint32_t (&a)[4], int s) {
        if (s % 2 == 0) v = lane / 4 < columns ? x_at[s / 2 * columns * 4] : make_uint4(0, 0, 0, 0);
        const uint32_t b[2] = {s % 2 ? v.z : v.x, s % 2 ? v.w : v.y};
        if constexpr (form == kPlainF16)
          mma_f16(d[0], a, b);
        else
          mma_bf16(d[0], a, b);
        if constexpr (!is_plain(form)) {
          if (groups.zero_size) {
            const uint32_t ones[4] = {0x3f803f80u, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u};
            mma_bf16(e[0], ones, b);
          }
          constexpr int each = x_tiles_of(form); // steps of x in one of codes
          if ((groups.small || s == steps - 1) && s % each == each - 1) {
            const uint32_t after = groups.of_step(first_step + static_cast<uint32_t>(s / each) + 1);
            if (after != group || s == steps - 1)
              join<1>(total, d, e, w, groups, at + tile_bytes_of(form), group - first_group, lane);
            group = after;
          }
        }
      });
      slot = slot + 1 == depth ? 0 : slot + 1;
    }
    float* const mine = partials + (turn * kWarps + warp) * columns * kTileRows;
    for (int j = 0; j < 4; j++) {
      const int c = lane % 4 * 2 + j % 2;
      if (c < columns) mine[c * kTileRows + lane / 4 + j / 2 * 8] = is_plain(form) ? d[0][j] : total[0][j];
    }
    __syncthreads();
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
__global__ __launch_bounds__(kWarps* kWarp, kBlocks) void few_rows_kernel(__grid_constant__ const Work work, int64_t items,
                                                                          Rows x, int rows, Groups groups,
                                                                          Sizes sizes) {
  const int64_t row = blockIdx.y, expert = work.index ? work.index[row] - work.first : -1;
  if (work.index && (expert < 0 || expert >= work.count)) return;
  const auto pick = [&](int64_t i) {
    if (work.index) return Item{&work.at[expert], &work.stores[0], i};
    int t = 0;
    while (i >= work.at[t].panels()) i -= work.at[t++].panels();
    return Item{&work.at[t], &work.stores[t], i};
  };
  rows_block<form>(pick, items, x, work.index ? row / work.per_x : 0, row, rows, groups, sizes);
}

template <int form>
Sizes sizes_of(const Weight& w, const Groups& groups, const Rows& x, int rows) {
  Sizes s{};
  s.parts = x_parts(x.dtype, form == kPlainF16), s.columns = s.parts * rows, s.depth = depth_of<form>();
  s.x = static_cast<int>(w.tiles() * x_tiles_of(form) * s.columns * 128);
  s.stage = tile_bytes_of(form) + groups.room();
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
  const Groups groups = groups_of(first);
  return by_form(form_of(first, x.dtype), [&](auto tag) {
    constexpr int form = decltype(tag)::value;
    const Sizes sizes = sizes_of<form>(first, groups, x, rows);
    const int64_t most = ceil_div(resident(ctx, sizes), down), blocks = items < most ? items : most;
    return launch(ctx, op, few_rows_kernel<form>, dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(down)),
                  kWarps * kWarp, static_cast<size_t>(sizes.bytes()), work, items, x, rows, groups, sizes);
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
