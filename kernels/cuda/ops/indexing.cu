// embedding, gather and their gradients; kernels/cpu/ops/indexing.cc and indexing_backward.cc. An index outside its range is reported,
// and what it would give is 0. Gradients add up in the order of g: each sum is one thread's.
#include "base/early.h"
#include "base/elements.h"
#include "ops/map.h"

namespace ao {
namespace {

__global__ void embedding_kernel(void* out, const void* table, const int32_t* ids, int64_t n, int64_t vocab,
                                 int64_t dim, int64_t stride, int size, Site site) {
  let_next_start();
  await_previous();
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n * dim; i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t row = i / dim, column = i % dim, id = ids[row];
    const bool good = id >= 0 && id < vocab;
    if (!good && column == 0) report(site, kIndexOutside, id, row, vocab);
    move(out, i, good ? table : nullptr, id * stride + column, size);
  }
}

struct GatherShape {
  int64_t ndim, dim, dim_size;
  int64_t shape[6], x_strides[6], index_strides[6];
};

__global__ void gather_kernel(void* out, const void* x, const int32_t* index, GatherShape s, int64_t n, int size,
                              Site site) {
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < n; p += int64_t{gridDim.x} * blockDim.x) {
    int64_t rest = p, x_at = 0, index_at = 0;
    for (int64_t d = s.ndim - 1; d >= 0; d--) {
      const int64_t i = rest % s.shape[d];
      rest /= s.shape[d];
      index_at += i * s.index_strides[d];
      if (d != s.dim) x_at += i * s.x_strides[d];
    }
    const int64_t chosen = index[index_at];
    const bool good = chosen >= 0 && chosen < s.dim_size;
    if (!good) report(site, kIndexOutside, chosen, p, s.dim_size);
    move(out, p, good ? x : nullptr, x_at + chosen * s.x_strides[s.dim], size);
  }
}

__global__ void check_kernel(const int32_t* index, int64_t n, int64_t size, Site site) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    if (index[i] < 0 || index[i] >= size) report(site, kIndexOutside, index[i], i, size);
}

// Positions of each id in order: next[i] is the one after i with the same id, head[v] the first, -1 for none. A warp looks for an id, 32
// positions at a time from the back.
__global__ void chain_kernel(const int32_t* ids, int64_t n, int64_t vocab, int32_t* head, int32_t* next) {
  const int lane = threadIdx.x % kWarp;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kWarp);
  for (int64_t id = (blockIdx.x * int64_t{blockDim.x} + threadIdx.x) / kWarp; id < vocab; id += step) {
    int32_t after = -1;
    for (int64_t first = (n - 1) / kWarp * kWarp; first >= 0; first -= kWarp) {
      const int64_t i = first + lane;
      const bool here = i < n && ids[i] == id;
      const uint32_t all = __ballot_sync(kAllLanes, here);
      if (all == 0) continue;
      const uint32_t behind = all & ~((2u << lane) - 1);
      if (here) next[i] = behind ? static_cast<int32_t>(first) + __ffs(static_cast<int>(behind)) - 1 : after;
      after = static_cast<int32_t>(first) + __ffs(static_cast<int>(all)) - 1;
    }
    if (lane == 0) head[id] = after;
  }
}

// A thread has a piece of a row of dw.
template <int d>
__global__ void embedding_backward_kernel(void* dw, const void* g, const int32_t* head, const int32_t* next,
                                          int64_t vocab, int64_t dim, bool wide) {
  constexpr int count = Piece<d>::count;
  const int64_t first = blockIdx.x * int64_t{blockDim.x} + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  if (wide) {
    const int64_t pieces = dim / count;
    for (int64_t p = first; p < vocab * pieces; p += step) {
      Piece<d> sum{}, each;
      for (int32_t i = head[p / pieces]; i >= 0; i = next[i]) {
        each.load(g, int64_t{i} * pieces + p % pieces);
        for (int k = 0; k < count; k++) sum.v[k] += each.v[k];
      }
      sum.store(dw, p);
    }
    return;
  }
  for (int64_t p = first; p < vocab * dim; p += step) {
    float sum = 0;
    for (int32_t i = head[p / dim]; i >= 0; i = next[i]) sum += load<d>(g, int64_t{i} * dim + p % dim);
    store<d>(dw, p, sum);
  }
}

struct ScatterShape {
  int64_t ndim, dim, total, inner, x_inner;
  int64_t shape[6], x_shape[6];
};

// One thread a line along `dim`; sums [line][size] in float32.
__global__ void gather_backward_kernel(void* dx, float* sums, const void* g, const int32_t* index, ScatterShape s,
                                       int64_t lines, int64_t dtype, Site site) {
  const int64_t size = s.x_shape[s.dim], count = s.shape[s.dim];
  for (int64_t line = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; line < lines;
       line += int64_t{gridDim.x} * blockDim.x) {
    int64_t rest = line / s.inner, x_at = 0, x_stride = size * s.x_inner;
    for (int64_t d = s.dim - 1; d >= 0; d--) {
      x_at += rest % s.shape[d] * x_stride;
      rest /= s.shape[d], x_stride *= s.x_shape[d];
    }
    int64_t within = line % s.inner, stride = 1;
    for (int64_t d = s.ndim - 1; d > s.dim; d--) {
      x_at += within % s.shape[d] * stride;
      within /= s.shape[d], stride *= s.x_shape[d];
    }
    const int64_t at = line / s.inner * count * s.inner + line % s.inner;
    float* sum = sums + line * size;
    for (int64_t i = 0; i < size; i++) sum[i] = 0;
    for (int64_t i = 0; i < count; i++) {
      const int64_t chosen = index[at + i * s.inner];
      if (chosen < 0 || chosen >= size)
        report(site, kIndexOutside, chosen, at + i * s.inner, size);
      else
        sum[chosen] += load_float(dtype, g, at + i * s.inner);
    }
    for (int64_t i = 0; i < size; i++) store_float(dtype, dx, x_at + i * s.x_inner, sum[i]);
  }
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_embedding(const ao_embedding_args* a, ao_ctx* ctx) {
  if (need_known(ctx, "embedding", a->dtype)) return 1;
  const int64_t n = a->n * a->dim;
  if (n == 0) return 0;
  return launch_early(ctx, "embedding", embedding_kernel, blocks_for(ctx, n), kThreads, 0, a->out, a->table,
                      static_cast<const int32_t*>(a->ids), a->n, a->vocab, a->dim, a->row_stride,
                      ao_dtype_size(a->dtype), ctx->site);
}

extern "C" int ao_cuda_gather(const ao_gather_args* a, ao_ctx* ctx) {
  if (need_known(ctx, "gather", a->dtype) || need_ndim(ctx, "gather", a->ndim)) return 1;
  if (a->dim < 0 || a->dim >= a->ndim)
    return ao_fail(ctx, "gather: dim %lld of %lld", static_cast<long long>(a->dim), static_cast<long long>(a->ndim));
  GatherShape s{a->ndim, a->dim, a->dim_size, {}, {}, {}};
  int64_t n = 1;
  for (int64_t d = 0; d < a->ndim; d++) {
    n *= s.shape[d] = a->shape[d];
    s.x_strides[d] = a->x_strides[d], s.index_strides[d] = a->index_strides[d];
  }
  if (n == 0) return 0;
  return launch(ctx, "gather", gather_kernel, blocks_for(ctx, n), kThreads, 0, a->out, a->x,
                static_cast<const int32_t*>(a->index), s, n, ao_dtype_size(a->dtype), ctx->site);
}

extern "C" int ao_cuda_embedding_backward(const ao_embedding_backward_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "embedding_backward", a->dtype)) return 1;
  if (a->n > INT32_MAX)
    return ao_fail(ctx, "embedding_backward: %lld ids; it takes 2^31 - 1", static_cast<long long>(a->n));
  const int64_t n = a->vocab * a->dim;
  if (n == 0) return 0;
  const int32_t* ids = static_cast<const int32_t*>(a->ids);
  int32_t* head = scratch<int32_t>(ctx, a->vocab);
  int32_t* next = scratch<int32_t>(ctx, a->n + 1);
  if (!head || !next) return 1;
  if (a->n > 0 && launch(ctx, "embedding_backward", check_kernel, blocks_for(ctx, a->n), kThreads, 0, ids, a->n,
                         a->vocab, ctx->site))
    return 1;
  if (launch(ctx, "embedding_backward", chain_kernel, blocks_for(ctx, a->vocab, kThreads / kWarp), kThreads, 0, ids,
             a->n, a->vocab, head, next))
    return 1;
  return by_dtype(a->dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const bool wide = a->dim % Piece<d>::count == 0 && reinterpret_cast<uintptr_t>(a->dw) % 16 == 0 &&
                      reinterpret_cast<uintptr_t>(a->g) % 16 == 0;
    return launch(ctx, "embedding_backward", embedding_backward_kernel<d>,
                  blocks_for(ctx, wide ? n / Piece<d>::count : n), kThreads, 0, a->dw, a->g, head, next, a->vocab,
                  a->dim, wide);
  });
}

extern "C" int ao_cuda_gather_backward(const ao_gather_backward_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "gather_backward", a->dtype) || need_ndim(ctx, "gather_backward", a->ndim)) return 1;
  if (a->dim < 0 || a->dim >= a->ndim)
    return ao_fail(ctx, "gather_backward: dim %lld of %lld", static_cast<long long>(a->dim),
                   static_cast<long long>(a->ndim));
  ScatterShape s{a->ndim, a->dim, 1, 1, 1, {}, {}};
  int64_t x_total = 1;
  for (int64_t d = 0; d < a->ndim; d++) {
    s.total *= s.shape[d] = a->shape[d];
    x_total *= s.x_shape[d] = a->x_shape[d];
    if (d > a->dim) s.inner *= a->shape[d], s.x_inner *= a->x_shape[d];
  }
  if (clear(ctx, a->dx, static_cast<size_t>(x_total * ao_dtype_size(a->dtype)))) return 1;
  if (s.total == 0) return 0;
  const int64_t lines = s.total / s.shape[a->dim];
  float* sums = scratch<float>(ctx, lines * s.x_shape[a->dim]);
  if (!sums) return 1;
  return launch(ctx, "gather_backward", gather_backward_kernel, blocks_for(ctx, lines), kThreads, 0, a->dx, sums, a->g,
                static_cast<const int32_t*>(a->index), s, lines, a->dtype, ctx->site);
}
