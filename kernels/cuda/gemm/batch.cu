// 9 to 32 columns of x (gemm/columns.h) times weights as they are packed, by tensor cores: out^T [N, M] = w x^T. A warp has 32 rows of w
// and all columns, the warps of a block other rows; tiles of w and of x come through rings that run ahead. Where there are few rows of w,
// blocks share the columns of w among them and a second kernel adds what they found, in order. float32 sums.
#include "gemm/batch.h"

namespace ao {
namespace {

// x as columns, step by step: for each 16 columns of x, column of the product and t = lane % 4: 4 values, 8 bytes.
template <bool near>
__global__ void columns_kernel(uint2* out, Rows x, int64_t columns, int64_t tiles, int all, int used, int parts,
                               bool aligned) {
  constexpr int form = near ? static_cast<int>(kPlainBf16) : static_cast<int>(kIntForm) + 4;
  const int64_t count = tiles * 2 * all * 4;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    const int t = static_cast<int>(i % 4), c = static_cast<int>(i / 4 % all), half = static_cast<int>(i / 4 / all % 2);
    const int64_t tile = i / 8 / all;
    uint4 v = make_uint4(0, 0, 0, 0);
    if (c < used) v = x_piece<form>(x, columns, c / parts, c % parts, parts, tile, half, t, aligned);
    uint2* const to = out + ((tile * 4 + half * 2) * all + c) * 4 + t;
    to[0] = {v.x, v.y}, to[4 * all] = {v.z, v.w};
  }
}

__global__ void merge_kernel(BatchTarget target, Rows x, const float* sums, int splits) {
  const Weight& w = target.w;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < x.m * w.n;
       i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t m = i / w.n, row = i % w.n;
    float sum = 0;
    for (int s = 0; s < splits; s++) sum += sums[s * x.m * w.n + i];
    if (w.values == kSmallFloat && w.odd[row]) sum = odd_sum(w, row, x, m);
    put(target.store, m, row, sum);
  }
}

struct Plan {
  int warps, splits;
};

// The shares of the work that take least time: a multiprocessor's tiles come at the rate of memory or of products.
Plan plan_of(const ao_ctx* ctx, const Targets& targets, int count, int tile_bytes, int tiles_n, int64_t rows) {
  const double fetch = 2.0 * tile_bytes / 30, product = 2.0 * 4 * tiles_n * 2 / 1.6; // ns of a warp's pair of tiles
  const double each = fetch > product ? fetch : product;
  const int64_t tiles = targets.at[0].w.tiles();
  Plan best{8, 1};
  double least = INFINITY;
  for (int warps = 4; warps <= 8; warps++)
    for (int splits = 1; splits <= 16 && splits <= tiles; splits++) {
      int64_t blocks = 0, n = 0;
      for (int i = 0; i < count; i++) blocks += ceil_div(targets.at[i].w.panels(), 2 * warps), n += targets.at[i].w.n;
      const double turns = static_cast<double>(ceil_div(blocks * splits, ctx->multiprocessors));
      const double merge = splits > 1 ? 2500 + static_cast<double>(8 * splits * rows * n) / 2500 : 0;
      const double time = turns * warps * static_cast<double>(ceil_div(tiles, splits)) * each + merge;
      if (time < least) least = time, best = {warps, splits};
    }
  return best;
}

} // namespace

int run_batch(ao_ctx* ctx, const char* op, int form, int tiles_n, int64_t blocks, const Batch& b) {
  return is_sparse(form)  ? run_batch_sparse(ctx, op, form, tiles_n, blocks, b)
         : is_small(form) ? run_batch_floats(ctx, op, form, tiles_n, blocks, b)
                          : run_batch_ints(ctx, op, form, tiles_n, blocks, b);
}

bool batch_takes(const Weight& w, const Rows& x) {
  const int form = form_of(w, x.dtype);
  return form != kNoForm && !is_plain(form) && x.m * x_parts(x.dtype, false) <= 8 * kBatchTiles;
}

int batch(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x) {
  const Weight& first = targets.at[0].w;
  const int form = form_of(first, x.dtype);
  Batch b{};
  b.parts = x_parts(x.dtype, false), b.used = static_cast<int>(x.m) * b.parts;
  const int tiles_n = b.used <= 16 ? 2 : 4;
  const int64_t x_tiles = first.tiles() * (first.sparse ? 2 : 1);
  uint2* columns = scratch<uint2>(ctx, x_tiles * 16 * 8 * tiles_n);
  if (!columns) return 1;
  const auto turn = first.sparse ? columns_kernel<true> : columns_kernel<false>;
  if (launch(ctx, op, turn, blocks_for(ctx, x_tiles * 64 * tiles_n), kThreads, 0, columns, x, first.columns(), x_tiles,
             8 * tiles_n, b.used, b.parts, x_aligned(x)))
    return 1;
  const Plan plan = plan_of(ctx, targets, count, tile_bytes_of(form), tiles_n, x.m);
  b.shape = shape_of(first, 1);
  b.columns = columns, b.x = x;
  b.warps = plan.warps, b.splits = plan.splits, b.count = count;
  b.tiles_a_split = static_cast<int>(ceil_div(first.tiles(), plan.splits));
  int64_t blocks = 0;
  for (int i = 0; i < count; i++) {
    BatchTarget& t = b.at[i];
    t.w = targets.at[i].w, t.store = targets.at[i].store;
    t.blocks = ceil_div(t.w.panels(), 2 * plan.warps);
    blocks += t.blocks;
    if (plan.splits > 1 && !(t.sums = scratch<float>(ctx, plan.splits * x.m * t.w.n))) return 1;
  }
  if (run_batch(ctx, op, form, tiles_n, blocks, b)) return 1;
  for (int i = 0; plan.splits > 1 && i < count; i++)
    if (launch(ctx, op, merge_kernel, blocks_for(ctx, x.m * b.at[i].w.n), kThreads, 0, b.at[i], x, b.at[i].sums,
               plan.splits))
      return 1;
  return 0;
}

} // namespace ao
