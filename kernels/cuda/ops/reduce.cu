// reduce, sum_of_squares, argmax and topk; the formulas open kernels/cpu/ops/reduce.cc, gradient_norm.cc and argmax.cc. Float sums: double
// sums of a thread's elements, then a block's threads in a fixed order.
#include "base/block.h"
#include "base/elements.h"

namespace ao {
namespace {

enum ReduceOp { SUM, MEAN, AMAX, AMIN, PROD, REDUCE_OPS };

__device__ double start_of(int op) { return op == AMAX ? -INFINITY : op == AMIN ? INFINITY : op == PROD ? 1 : 0; }

struct Combine {
  int op;
  __device__ double operator()(double a, double b) const {
    switch (op) {
    case AMAX:
      return a != a ? a : b != b || b > a ? b : a;
    case AMIN:
      return a != a ? a : b != b || b < a ? b : a;
    case PROD:
      return a * b;
    default:
      return a + b;
    }
  }
};

// Output o, i by one block where inner is 1, else by one thread.
__global__ void reduce_rows_kernel(void* out, const void* x, int64_t n, int64_t x_dtype, int64_t out_dtype, int op) {
  const Combine combine{op};
  const int64_t base = int64_t{blockIdx.x} * n;
  double v = start_of(op);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) v = combine(v, load_float(x_dtype, x, base + i));
  v = reduce_block(v, start_of(op), combine);
  if (threadIdx.x == 0) store_float(out_dtype, out, blockIdx.x, static_cast<float>(op == MEAN ? v / n : v));
}

// Rows that blocks share: parts of [outer][parts], then one thread an output in order.
__global__ void reduce_parts_kernel(double* parts, const void* x, int64_t n, int64_t x_dtype, int op, int64_t part) {
  const Combine combine{op};
  const int64_t from = int64_t{blockIdx.y} * part, to = from + part < n ? from + part : n;
  double v = start_of(op);
  for (int64_t i = from + threadIdx.x; i < to; i += blockDim.x)
    v = combine(v, load_float(x_dtype, x, int64_t{blockIdx.x} * n + i));
  v = reduce_block(v, start_of(op), combine);
  if (threadIdx.x == 0) parts[int64_t{blockIdx.x} * gridDim.y + blockIdx.y] = v;
}

__global__ void join_parts_kernel(void* out, const double* parts, int64_t outer, int64_t count, int64_t n,
                                  int64_t out_dtype, int op) {
  const Combine combine{op};
  for (int64_t o = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; o < outer; o += int64_t{gridDim.x} * blockDim.x) {
    double v = start_of(op);
    for (int64_t p = 0; p < count; p++) v = combine(v, parts[o * count + p]);
    store_float(out_dtype, out, o, static_cast<float>(op == MEAN ? v / n : v));
  }
}

__global__ void reduce_inner_kernel(void* out, const void* x, int64_t outer, int64_t n, int64_t inner, int64_t x_dtype,
                                    int64_t out_dtype, int op) {
  const Combine combine{op};
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < outer * inner;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t first = p / inner * n * inner + p % inner;
    double v = start_of(op);
    for (int64_t i = 0; i < n; i++) v = combine(v, load_float(x_dtype, x, first + i * inner));
    store_float(out_dtype, out, p, static_cast<float>(op == MEAN ? v / n : v));
  }
}

__global__ void reduce_integers_kernel(void* out, const void* x, int64_t outer, int64_t n, int64_t inner,
                                       int64_t x_dtype, int64_t out_dtype, int op) {
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < outer * inner;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t first = p / inner * n * inner + p % inner;
    uint64_t total = op == PROD ? 1 : 0;
    int64_t extreme = op == AMAX ? INT64_MIN : INT64_MAX;
    for (int64_t i = 0; i < n; i++) {
      const int64_t v = load_integer(x_dtype, x, first + i * inner);
      if (op == PROD)
        total *= static_cast<uint64_t>(v);
      else
        total += static_cast<uint64_t>(v);
      extreme = (op == AMAX ? v > extreme : v < extreme) ? v : extreme;
    }
    const int64_t value = op == AMAX || op == AMIN ? extreme : static_cast<int64_t>(total);
    if (is_float_dtype(out_dtype)) {
      const double v = static_cast<double>(value);
      store_float(out_dtype, out, p, static_cast<float>(op == MEAN ? v / n : v));
    } else {
      store_integer(out_dtype, out, p, value);
    }
  }
}

// --- argmax ---

// Whether b at j comes before a at i: NaN first, then the larger (least: smaller), then the lower index.
template <class T>
__device__ bool ahead(T a, int64_t i, T b, int64_t j, bool least) {
  if (j < 0) return false;
  if (i < 0) return true;
  const bool an = a != a, bn = b != b;
  if (an || bn) return an == bn ? j < i : bn;
  if (a != b) return least ? b < a : b > a;
  return j < i;
}

template <class T>
__device__ T load_number(int64_t dtype, const void* x, int64_t i) {
  if constexpr (sizeof(T) == 4)
    return load_float(dtype, x, i);
  else
    return load_integer(dtype, x, i);
}

template <class T>
__global__ void argmax_kernel(int32_t* out, const void* x, int64_t n, int64_t inner, int64_t dtype, bool least) {
  __shared__ T values[kThreads];
  __shared__ int64_t places[kThreads];
  const int64_t p = blockIdx.x, first = p / inner * n * inner + p % inner;
  T best{};
  int64_t at = -1;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const T v = load_number<T>(dtype, x, first + i * inner);
    if (ahead(best, at, v, i, least)) best = v, at = i;
  }
  values[threadIdx.x] = best, places[threadIdx.x] = at;
  __syncthreads();
  for (int d = blockDim.x / 2; d > 0; d /= 2) {
    if (static_cast<int>(threadIdx.x) < d &&
        ahead(values[threadIdx.x], places[threadIdx.x], values[threadIdx.x + d], places[threadIdx.x + d], least)) {
      values[threadIdx.x] = values[threadIdx.x + d];
      places[threadIdx.x] = places[threadIdx.x + d];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) out[p] = static_cast<int32_t>(places[0]);
}

// Round by round the first of those that come after the last one found.
__global__ void topk_kernel(void* values, int32_t* indices, const void* x, int64_t n, int64_t k, int64_t dtype) {
  __shared__ float best_value[kThreads];
  __shared__ int64_t best_place[kThreads];
  const int64_t base = int64_t{blockIdx.x} * n;
  float last = 0;
  int64_t last_at = -1;
  for (int64_t found = 0; found < k; found++) {
    float best = 0;
    int64_t at = -1;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
      const float v = load_float(dtype, x, base + i);
      if (last_at >= 0 && !ahead(v, i, last, last_at, false)) continue; // not after the last one
      if (i != last_at && ahead(best, at, v, i, false)) best = v, at = i;
    }
    best_value[threadIdx.x] = best, best_place[threadIdx.x] = at;
    __syncthreads();
    for (int d = blockDim.x / 2; d > 0; d /= 2) {
      if (static_cast<int>(threadIdx.x) < d && ahead(best_value[threadIdx.x], best_place[threadIdx.x],
                                                     best_value[threadIdx.x + d], best_place[threadIdx.x + d], false)) {
        best_value[threadIdx.x] = best_value[threadIdx.x + d];
        best_place[threadIdx.x] = best_place[threadIdx.x + d];
      }
      __syncthreads();
    }
    last = best_value[0], last_at = best_place[0];
    __syncthreads();
    if (threadIdx.x == 0) {
      store_float(dtype, values, blockIdx.x * k + found, last);
      indices[blockIdx.x * k + found] = static_cast<int32_t>(last_at);
    }
  }
}

__global__ void squares_kernel(double* parts, const void* x, int64_t n, int64_t dtype, int64_t part) {
  const int64_t from = blockIdx.x * part, to = from + part < n ? from + part : n;
  double sum = 0;
  for (int64_t i = from + threadIdx.x; i < to; i += blockDim.x) {
    const double v = load_float(dtype, x, i);
    sum += v * v;
  }
  sum = sum_block(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void join_squares_kernel(float* out, double* total, const double* parts, int64_t count, bool first) {
  double sum = first ? 0 : *total;
  for (int64_t p = 0; p < count; p++) sum += parts[p];
  *total = sum;
  *out = static_cast<float>(sum);
}

unsigned grid_of(int64_t n) { return static_cast<unsigned>(n); }

int need_grid(ao_ctx* ctx, const char* op, int64_t rows) {
  if (rows <= INT32_MAX) return 0;
  return ao_fail(ctx, "%s: %lld rows; the GPU takes 2^31 - 1 in one call", op, static_cast<long long>(rows));
}

constexpr int64_t kPart = 1 << 15;

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_reduce(const ao_reduce_args* a, ao_ctx* ctx) {
  const int op = static_cast<int>(a->op);
  if (a->op < 0 || a->op >= REDUCE_OPS)
    return ao_fail(ctx, "reduce: code %lld is not known", static_cast<long long>(a->op));
  if (need_known(ctx, "reduce", a->x_dtype) || need_known(ctx, "reduce", a->out_dtype)) return 1;
  if (a->n == 0 && op != SUM && op != PROD)
    return ao_fail(ctx, "reduce: the dimension is empty; mean, amax and amin need elements");
  const bool floats = is_float_dtype(a->x_dtype);
  if ((floats || op == MEAN) && need_float(ctx, "reduce", a->out_dtype)) return 1;
  if (floats && need_float(ctx, "reduce", a->x_dtype)) return 1;
  const int64_t count = a->outer * a->inner;
  if (count == 0) return 0;
  if (!floats)
    return launch(ctx, "reduce", reduce_integers_kernel, blocks_for(ctx, count), kThreads, 0, a->out, a->x, a->outer,
                  a->n, a->inner, a->x_dtype, a->out_dtype, op);
  if (a->inner > 1 || a->n == 0)
    return launch(ctx, "reduce", reduce_inner_kernel, blocks_for(ctx, count), kThreads, 0, a->out, a->x, a->outer, a->n,
                  a->inner, a->x_dtype, a->out_dtype, op);
  if (need_grid(ctx, "reduce", a->outer)) return 1;
  const int64_t parts = ceil_div(a->n, kPart);
  if (parts == 1 || a->outer >= 4 * ctx->multiprocessors || parts > 65535)
    return launch(ctx, "reduce", reduce_rows_kernel, grid_of(a->outer), threads_for(a->n), 0, a->out, a->x, a->n,
                  a->x_dtype, a->out_dtype, op);
  double* room = scratch<double>(ctx, a->outer * parts);
  if (!room) return 1;
  const dim3 grid(grid_of(a->outer), grid_of(parts));
  if (launch(ctx, "reduce", reduce_parts_kernel, grid, kThreads, 0, room, a->x, a->n, a->x_dtype, op, kPart)) return 1;
  return launch(ctx, "reduce", join_parts_kernel, blocks_for(ctx, a->outer), kThreads, 0, a->out, room, a->outer, parts,
                a->n, a->out_dtype, op);
}

extern "C" int ao_cuda_argmax(const ao_argmax_args* a, ao_ctx* ctx) {
  if (need_known(ctx, "argmax", a->dtype)) return 1;
  if (a->n == 0) return ao_fail(ctx, "argmax: the dimension is empty");
  if (a->n > INT32_MAX)
    return ao_fail(ctx, "argmax: %lld elements do not fit int32 indices", static_cast<long long>(a->n));
  const int64_t count = a->outer * a->inner;
  if (count == 0) return 0;
  if (need_grid(ctx, "argmax", count)) return 1;
  const auto run = is_float_dtype(a->dtype) ? argmax_kernel<float> : argmax_kernel<int64_t>;
  int threads = kWarp; // a power of two
  while (threads < kThreads && threads < a->n) threads *= 2;
  return launch(ctx, "argmax", run, grid_of(count), threads, 0, static_cast<int32_t*>(a->out), a->x, a->n, a->inner,
                a->dtype, a->least != 0);
}

extern "C" int ao_cuda_topk(const ao_topk_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "topk", a->dtype) || need_grid(ctx, "topk", a->rows)) return 1;
  if (a->k < 1 || a->k > a->n || a->n > INT32_MAX)
    return ao_fail(ctx, "topk: k is %lld and the row has %lld elements; k takes 1..n", static_cast<long long>(a->k),
                   static_cast<long long>(a->n));
  if (a->rows == 0) return 0;
  return launch(ctx, "topk", topk_kernel, grid_of(a->rows), kThreads, 0, a->values, static_cast<int32_t*>(a->indices),
                a->x, a->n, a->k, a->dtype);
}

extern "C" int ao_cuda_sum_of_squares(const ao_sum_of_squares_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "sum_of_squares", a->dtype)) return 1;
  const int64_t parts = ceil_div(a->n, kPart);
  double* room = scratch<double>(ctx, parts + 1);
  if (!room) return 1;
  if (parts &&
      launch(ctx, "sum_of_squares", squares_kernel, grid_of(parts), kThreads, 0, room, a->x, a->n, a->dtype, kPart))
    return 1;
  return launch(ctx, "sum_of_squares", join_squares_kernel, 1, 1, 0, static_cast<float*>(a->out),
                static_cast<double*>(a->total), room, parts, a->first != 0);
}
