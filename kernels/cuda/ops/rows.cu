// Rows of floats: softmax, cross entropy and norms, and their gradients; the formulas open kernels/cpu/ops/softmax.cc, norm.cc,
// softmax_backward.cc and norm_backward.cc. One block a row, float32 sums in a fixed order.
#include "base/block.h"
#include "base/elements.h"
#include "ops/map.h"

namespace ao {
namespace {

template <int d>
__device__ float row_max(const void* x, int64_t base, int64_t n) {
  float m = -INFINITY;
  const Larger larger;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) m = larger(m, load<d>(x, base + i));
  return reduce_block(m, -INFINITY, larger);
}

template <int d>
__device__ double row_exponentials(const void* x, int64_t base, int64_t n, float top) {
  float sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += expf(load<d>(x, base + i) - top);
  return sum_block(static_cast<double>(sum));
}

template <int d>
__global__ void softmax_kernel(void* out, const void* x, int64_t n, bool log_form) {
  const int64_t base = int64_t{blockIdx.x} * n;
  const float top = row_max<d>(x, base, n);
  const double total = row_exponentials<d>(x, base, n, top);
  const float sum = static_cast<float>(total), shift = static_cast<float>(log(total));
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float v = load<d>(x, base + i) - top;
    store<d>(out, base + i, log_form ? v - shift : expf(v) / sum);
  }
}

template <int d>
__global__ void cross_entropy_kernel(float* nll, const void* logits, const int32_t* targets, int64_t vocab,
                                     int64_t stride, int64_t ignore, Site site) {
  const int64_t r = blockIdx.x, target = targets[r], base = r * stride;
  if (target == ignore || target < 0 || target >= vocab) {
    if (threadIdx.x == 0) {
      if (target != ignore) report(site, kTargetOutside, target, r, vocab);
      nll[r] = 0;
    }
    return;
  }
  const float top = row_max<d>(logits, base, vocab);
  const double total = row_exponentials<d>(logits, base, vocab, top);
  if (threadIdx.x == 0)
    nll[r] =
        static_cast<float>(static_cast<double>(top) + log(total) - static_cast<double>(load<d>(logits, base + target)));
}

template <int d>
__global__ void rms_norm_kernel(void* out, const void* x, const void* weight, int64_t n, int64_t stride, float eps,
                                float offset) {
  const int64_t from = int64_t{blockIdx.x} * stride, to = int64_t{blockIdx.x} * n;
  float squares = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float v = load<d>(x, from + i);
    squares += v * v;
  }
  const float scale = 1.0f / sqrtf(sum_block(squares) / static_cast<float>(n) + eps);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float v = load<d>(x, from + i) * scale;
    if (weight && offset != 0)
      store<d>(out, to + i, v * (offset + load<d>(weight, i)));
    else
      store<d>(out, to + i, weight ? rounded<d>(v) * load<d>(weight, i) : v);
  }
}

// The same for rows of whole 16-byte pieces, which stay in registers between the two passes.
constexpr int kWideThreads = 512, kWidePieces = 4;
template <int d>
__global__ void rms_norm_wide_kernel(void* out, const void* x, const void* weight, int64_t pieces, int64_t stride,
                                     float eps, float offset) {
  constexpr int count = Piece<d>::count;
  const int64_t from = int64_t{blockIdx.x} * stride / count, to = int64_t{blockIdx.x} * pieces;
  let_next_start();
  await_previous();
  Piece<d> held[kWidePieces], w[kWidePieces];
  float squares = 0;
#pragma unroll
  for (int p = 0; p < kWidePieces; p++) {
    const int64_t i = threadIdx.x + int64_t{p} * blockDim.x;
    if (i >= pieces) continue;
    held[p].load(x, from + i);
    if (weight) w[p].load(weight, i);
    for (int k = 0; k < count; k++) squares += held[p].v[k] * held[p].v[k];
  }
  const float scale = 1.0f / sqrtf(sum_block(squares) / static_cast<float>(pieces * count) + eps);
#pragma unroll
  for (int p = 0; p < kWidePieces; p++) {
    const int64_t i = threadIdx.x + int64_t{p} * blockDim.x;
    if (i >= pieces) continue;
    for (int k = 0; k < count; k++) {
      const float v = held[p].v[k] * scale;
      held[p].v[k] = !weight ? v : offset != 0 ? v * (offset + w[p].v[k]) : rounded<d>(v) * w[p].v[k];
    }
    held[p].store(out, to + i);
  }
}

template <int d>
__global__ void layer_norm_kernel(void* out, const void* x, const void* weight, const void* bias, int64_t n,
                                  int64_t stride, float eps) {
  const int64_t from = int64_t{blockIdx.x} * stride, to = int64_t{blockIdx.x} * n;
  float sum = 0, squares = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += load<d>(x, from + i);
  const float mean = sum_block(sum) / static_cast<float>(n);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float v = load<d>(x, from + i) - mean;
    squares += v * v;
  }
  const float scale = 1.0f / sqrtf(sum_block(squares) / static_cast<float>(n) + eps);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    float y = (load<d>(x, from + i) - mean) * scale;
    if (weight) y = y * load<d>(weight, i);
    if (bias) y = y + load<d>(bias, i);
    store<d>(out, to + i, y);
  }
}

template <int d>
__global__ void softmax_backward_kernel(void* dx, const void* g, const void* y, int64_t n, bool log_form) {
  const int64_t base = int64_t{blockIdx.x} * n;
  float sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
    sum += log_form ? load<d>(g, base + i) : load<d>(g, base + i) * load<d>(y, base + i);
  const float total = static_cast<float>(sum_block(static_cast<double>(sum)));
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float gi = load<d>(g, base + i), yi = load<d>(y, base + i);
    store<d>(dx, base + i, log_form ? gi - expf(yi) * total : yi * (gi - total));
  }
}

template <int d>
__global__ void cross_entropy_backward_kernel(void* dx, const float* g, const void* logits, const int32_t* targets,
                                              int64_t vocab, int64_t ignore, Site site) {
  const int64_t r = blockIdx.x, target = targets[r], base = r * vocab;
  if (target == ignore || target < 0 || target >= vocab) {
    if (threadIdx.x == 0 && target != ignore) report(site, kTargetOutside, target, r, vocab);
    for (int64_t i = threadIdx.x; i < vocab; i += blockDim.x) store<d>(dx, base + i, 0);
    return;
  }
  const float top = row_max<d>(logits, base, vocab);
  const float total = static_cast<float>(row_exponentials<d>(logits, base, vocab, top)), grad = g[r];
  const float factor = grad / total;
  for (int64_t i = threadIdx.x; i < vocab; i += blockDim.x) {
    const float e = expf(load<d>(logits, base + i) - top);
    store<d>(dx, base + i, i == target ? (e / total - 1.0f) * grad : e * factor);
  }
}

// What the gradient of a norm's row needs; sums of the whole row are the same for all threads.
struct NormRow {
  float mean, scale, a, b; // dx = scale (g w - a - y b), y = (x - mean) scale
};

template <int d>
__device__ NormRow norm_row(const void* g, const void* x, const void* weight, int64_t base, int64_t n, float eps,
                            float offset, bool layer) {
  NormRow row{};
  const float count = static_cast<float>(n);
  float sum = 0, squares = 0, first = 0, second = 0;
  if (layer) {
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += load<d>(x, base + i);
    row.mean = sum_block(sum) / count;
  }
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float v = load<d>(x, base + i) - row.mean;
    squares += v * v;
  }
  row.scale = 1.0f / sqrtf(sum_block(squares) / count + eps);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float w = load<d>(g, base + i) * (weight ? offset + load<d>(weight, i) : 1.0f);
    first += w;
    second += w * ((load<d>(x, base + i) - row.mean) * row.scale);
  }
  if (layer) row.a = sum_block(first) / count;
  row.b = sum_block(second) / count;
  return row;
}

// Rows [block of rows]: dx, and the block's sums for dw and db in parts [blocks][n].
template <int d>
__global__ void norm_backward_kernel(void* dx, float* dw, float* db, const void* g, const void* x, const void* weight,
                                     int64_t rows, int64_t n, int64_t per_block, float eps, float offset, bool layer) {
  const int64_t begin = blockIdx.x * per_block, end = begin + per_block < rows ? begin + per_block : rows;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    if (dw) dw[blockIdx.x * n + i] = 0;
    if (db) db[blockIdx.x * n + i] = 0;
  }
  for (int64_t r = begin; r < end; r++) {
    const int64_t base = r * n;
    const NormRow row = norm_row<d>(g, x, weight, base, n, eps, offset, layer);
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) { // a thread has the same columns in each row
      const float gi = load<d>(g, base + i), y = (load<d>(x, base + i) - row.mean) * row.scale;
      if (dw) dw[blockIdx.x * n + i] += gi * y;
      if (db) db[blockIdx.x * n + i] += gi;
      const float w = gi * (weight ? offset + load<d>(weight, i) : 1.0f);
      if (dx) store<d>(dx, base + i, (w - row.a - y * row.b) * row.scale);
    }
  }
}

// norm_backward_kernel of an RMS norm whose rows are one piece a thread: x, g and the block's sums for dw stay in registers, the next row
// is on its way while one is worked on, and both sums of a row meet in shared memory that rows take in turns.
template <int d>
__global__ void rms_norm_backward_kernel(void* dx, float* dw, const void* g, const void* x, const void* weight,
                                         int64_t rows, int64_t n, int64_t per_block, float eps, float offset) {
  constexpr int count = Piece<d>::count;
  __shared__ float2 parts[2][kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const int64_t begin = blockIdx.x * per_block, end = begin + per_block < rows ? begin + per_block : rows;
  const int64_t pieces = n / count;
  const bool mine = threadIdx.x < pieces;
  const uint4 *from_x = static_cast<const uint4*>(x) + threadIdx.x,
              *from_g = static_cast<const uint4*>(g) + threadIdx.x;
  Piece<d> factors{};
  if (weight && mine) factors.load(weight, threadIdx.x);
  for (int k = 0; k < count; k++) factors.v[k] = weight ? offset + factors.v[k] : 1.0f;
  float sums[count] = {};
  uint4 raw_x{}, raw_g{};
  if (mine && begin < end) raw_x = from_x[begin * pieces], raw_g = from_g[begin * pieces];
  for (int64_t r = begin; r < end; r++) {
    Piece<d> xs, gs;
    xs.take(raw_x), gs.take(raw_g);
    if (mine && r + 1 < end) raw_x = from_x[(r + 1) * pieces], raw_g = from_g[(r + 1) * pieces];
    float squares = 0, products = 0;
    for (int k = 0; k < count; k++) {
      squares += xs.v[k] * xs.v[k];
      products += gs.v[k] * factors.v[k] * xs.v[k];
    }
    squares = reduce_warp(squares, Sum()), products = reduce_warp(products, Sum());
    float2* const shares = parts[(r - begin) % 2];
    if (lane == 0) shares[warp] = {squares, products};
    __syncthreads();
    const float2 share = lane < warps ? shares[lane] : float2{};
    const float scale = 1.0f / sqrtf(reduce_warp(share.x, Sum()) / static_cast<float>(n) + eps);
    const float slope = reduce_warp(share.y, Sum()) * scale / static_cast<float>(n);
    for (int k = 0; k < count; k++) {
      const float y = xs.v[k] * scale;
      sums[k] += gs.v[k] * y;
      xs.v[k] = (gs.v[k] * factors.v[k] - y * slope) * scale;
    }
    if (dx && mine) xs.store(dx, r * pieces + threadIdx.x);
  }
  if (!dw || !mine) return;
  for (int k = 0; k < count; k++) dw[blockIdx.x * n + threadIdx.x * count + k] = sums[k];
}

// A block has 32 columns; each warp every eighth part, then the warps in order.
__global__ void join_columns_kernel(void* out, const float* parts, int64_t count, int64_t n, int64_t dtype) {
  __shared__ double shares[kThreads / kWarp][kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t i = int64_t{blockIdx.x} * kWarp + lane;
  double sum = 0;
  for (int64_t p = warp; p < count && i < n; p += kThreads / kWarp) sum += static_cast<double>(parts[p * n + i]);
  shares[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || i >= n) return;
  for (int w = 1; w < kThreads / kWarp; w++) sum += shares[w][lane];
  store_float(dtype, out, i, static_cast<float>(sum));
}

unsigned grid_of(int64_t rows) { return static_cast<unsigned>(rows); }

int norm_backward(ao_ctx* ctx, const char* op, void* dx, void* dw, void* db, const void* g, const void* x,
                  const void* weight, int64_t rows, int64_t n, int64_t dtype, double eps, double offset, bool layer) {
  if (n == 0) return 0;
  int64_t per_block = ceil_div(rows, 2 * int64_t{ctx->multiprocessors});
  if (per_block < 1 || (!dw && !db)) per_block = 1;
  const int64_t blocks = rows == 0 ? 1 : ceil_div(rows, per_block);
  float* parts_w = dw ? scratch<float>(ctx, blocks * n) : nullptr;
  float* parts_b = db ? scratch<float>(ctx, blocks * n) : nullptr;
  if ((dw && !parts_w) || (db && !parts_b)) return 1;
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const bool wide = !layer && rows > 0 && aligned(dx) && aligned(g) && aligned(x) && aligned(weight);
  if (by_dtype(dtype, [&](auto tag) {
        constexpr int each = Piece<decltype(tag)::dtype>::count;
        if (wide && n % each == 0 && n / each <= 1024)
          return launch(ctx, op, rms_norm_backward_kernel<decltype(tag)::dtype>, grid_of(blocks),
                        threads_for(n / each, 1024), 0, dx, parts_w, g, x, weight, rows, n, per_block,
                        static_cast<float>(eps), static_cast<float>(offset));
        return launch(ctx, op, norm_backward_kernel<decltype(tag)::dtype>, grid_of(blocks), threads_for(n), 0, dx,
                      parts_w, parts_b, g, x, weight, rows, n, per_block, static_cast<float>(eps),
                      static_cast<float>(offset), layer);
      }))
    return 1;
  if (dw &&
      launch(ctx, op, join_columns_kernel, grid_of(ceil_div(n, kWarp)), kThreads, 0, dw, parts_w, blocks, n, dtype))
    return 1;
  return db ? launch(ctx, op, join_columns_kernel, grid_of(ceil_div(n, kWarp)), kThreads, 0, db, parts_b, blocks, n,
                     dtype)
            : 0;
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_softmax(const ao_softmax_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "softmax", a->dtype)) return 1;
  if (a->rows == 0 || a->n == 0) return 0;
  return by_dtype(a->dtype, [&](auto tag) {
    return launch(ctx, "softmax", softmax_kernel<decltype(tag)::dtype>, grid_of(a->rows), threads_for(a->n, 512), 0,
                  a->out, a->x, a->n, a->log != 0);
  });
}

extern "C" int ao_cuda_cross_entropy(const ao_cross_entropy_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "cross_entropy", a->dtype)) return 1;
  if (a->rows == 0) return 0;
  return by_dtype(a->dtype, [&](auto tag) {
    return launch(ctx, "cross_entropy", cross_entropy_kernel<decltype(tag)::dtype>, grid_of(a->rows),
                  threads_for(a->vocab, 512), 0, static_cast<float*>(a->nll), a->logits,
                  static_cast<const int32_t*>(a->targets), a->vocab, a->row_stride, a->ignore_index, ctx->site);
  });
}

extern "C" int ao_cuda_rms_norm(const ao_rms_norm_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "rms_norm", a->dtype)) return 1;
  if (a->rows == 0 || a->n == 0) return 0;
  const int64_t count = a->dtype == AO_F32 ? 4 : 8, pieces = a->n / count;
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  if (a->n % count == 0 && a->x_stride % count == 0 && pieces <= kWideThreads * kWidePieces && aligned(a->out) &&
      aligned(a->x) && aligned(a->weight)) {
    // a few rows are read by as many threads as there can be, of many each thread has several pieces on their way
    const bool many = a->rows >= 8 * int64_t{ctx->multiprocessors};
    const int threads = threads_for(many ? ceil_div(pieces, kWidePieces) : pieces, kWideThreads);
    return by_dtype(a->dtype, [&](auto tag) {
      return launch_early(ctx, "rms_norm", rms_norm_wide_kernel<decltype(tag)::dtype>, grid_of(a->rows), threads, 0,
                          a->out, a->x, a->weight, pieces, a->x_stride, static_cast<float>(a->eps),
                          static_cast<float>(a->offset));
    });
  }
  return by_dtype(a->dtype, [&](auto tag) {
    return launch(ctx, "rms_norm", rms_norm_kernel<decltype(tag)::dtype>, grid_of(a->rows), threads_for(a->n, 512), 0,
                  a->out, a->x, a->weight, a->n, a->x_stride, static_cast<float>(a->eps),
                  static_cast<float>(a->offset));
  });
}

extern "C" int ao_cuda_layer_norm(const ao_layer_norm_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "layer_norm", a->dtype)) return 1;
  if (a->rows == 0 || a->n == 0) return 0;
  return by_dtype(a->dtype, [&](auto tag) {
    return launch(ctx, "layer_norm", layer_norm_kernel<decltype(tag)::dtype>, grid_of(a->rows), threads_for(a->n, 512),
                  0, a->out, a->x, a->weight, a->bias, a->n, a->x_stride, static_cast<float>(a->eps));
  });
}

extern "C" int ao_cuda_softmax_backward(const ao_softmax_backward_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "softmax_backward", a->dtype)) return 1;
  if (a->rows == 0 || a->n == 0) return 0;
  return by_dtype(a->dtype, [&](auto tag) {
    return launch(ctx, "softmax_backward", softmax_backward_kernel<decltype(tag)::dtype>, grid_of(a->rows),
                  threads_for(a->n, 512), 0, a->dx, a->g, a->y, a->n, a->log != 0);
  });
}

extern "C" int ao_cuda_cross_entropy_backward(const ao_cross_entropy_backward_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "cross_entropy_backward", a->dtype)) return 1;
  if (a->rows == 0) return 0;
  return by_dtype(a->dtype, [&](auto tag) {
    return launch(ctx, "cross_entropy_backward", cross_entropy_backward_kernel<decltype(tag)::dtype>, grid_of(a->rows),
                  threads_for(a->vocab, 512), 0, a->dx, static_cast<const float*>(a->g), a->logits,
                  static_cast<const int32_t*>(a->targets), a->vocab, a->ignore_index, ctx->site);
  });
}

extern "C" int ao_cuda_rms_norm_backward(const ao_rms_norm_backward_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "rms_norm_backward", a->dtype)) return 1;
  return norm_backward(ctx, "rms_norm_backward", a->dx, a->dw, nullptr, a->g, a->x, a->weight, a->rows, a->n, a->dtype,
                       a->eps, a->offset, false);
}

extern "C" int ao_cuda_layer_norm_backward(const ao_layer_norm_backward_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "layer_norm_backward", a->dtype)) return 1;
  return norm_backward(ctx, "layer_norm_backward", a->dx, a->dw, a->db, a->g, a->x, a->weight, a->rows, a->n, a->dtype,
                       a->eps, 0, true);
}
