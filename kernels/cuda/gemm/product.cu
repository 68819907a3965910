// Dense products: cuBLASLt where it is there and takes the operands, else a kernel of 64 x 64 tiles in float32 that takes any strides
// and dtypes. matmul, and the gradients of linear.
#include "base/block.h"
#include "gemm/linear.h"
#include "libraries/blas.h"

namespace ao {
namespace {

constexpr int kTile = 64, kDepth = 16;

struct Terms {
  Term at[kMostTerms];
  int count;
};

__device__ inline int64_t ceil_tiles(int64_t n) { return (n + kTile - 1) / kTile; }

struct Batches {
  int64_t ndim, shape[4], a[4], b[4], out[4];
};

// Adds a tile's share: as [kDepth][kTile + 4] of rows, bs of columns.
__device__ void add_term(const Term& t, int64_t m, int64_t n, int64_t row0, int64_t column0, int64_t a_at, int64_t b_at,
                         float (*as)[kTile + 4], float (*bs)[kTile + 4], float (&acc)[4][4]) {
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  // neighbouring threads walk along the side's own memory
  const bool a_down = t.a.column != 1, b_down = t.b.column != 1;
  for (int64_t k0 = 0; k0 < t.k; k0 += kDepth) {
    __syncthreads();
    for (int i = threadIdx.x; i < kTile * kDepth; i += blockDim.x) {
      const int ra = a_down ? i % kTile : i / kDepth, ka = a_down ? i / kTile : i % kDepth;
      as[ka][ra] = row0 + ra < m && k0 + ka < t.k
                       ? load_float(t.a.dtype, t.a.data, a_at + (row0 + ra) * t.a.row + (k0 + ka) * t.a.column)
                       : 0.0f;
      const int rb = b_down ? i % kTile : i / kDepth, kb = b_down ? i / kTile : i % kDepth;
      bs[kb][rb] = column0 + rb < n && k0 + kb < t.k
                       ? load_float(t.b.dtype, t.b.data, b_at + (column0 + rb) * t.b.row + (k0 + kb) * t.b.column)
                       : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < kDepth; k++) {
      float a[4], b[4];
      for (int i = 0; i < 4; i++) a[i] = as[k][ty * 4 + i], b[i] = bs[k][tx * 4 + i];
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) acc[i][j] = fmaf(a[i], b[j], acc[i][j]);
    }
  }
}

__device__ void put_tile(const Store& store, int64_t m, int64_t n, int64_t row0, int64_t column0, float (&acc)[4][4]) {
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      const int64_t row = row0 + ty * 4 + i, column = column0 + tx * 4 + j;
      if (row < m && column < n) put(store, row, column, acc[i][j]);
    }
}

__global__ void product_kernel(Terms terms, int64_t m, int64_t n, Store store) {
  __shared__ float as[kDepth][kTile + 4], bs[kDepth][kTile + 4];
  const int64_t across = ceil_tiles(n), row0 = blockIdx.x / across * kTile, column0 = blockIdx.x % across * kTile;
  float acc[4][4] = {};
  for (int t = 0; t < terms.count; t++) add_term(terms.at[t], m, n, row0, column0, 0, 0, as, bs, acc);
  put_tile(store, m, n, row0, column0, acc);
}

__global__ void batch_kernel(Term term, int64_t m, int64_t n, Store store, Batches batches, int64_t first) {
  __shared__ float as[kDepth][kTile + 4], bs[kDepth][kTile + 4];
  const int64_t across = ceil_tiles(n), row0 = blockIdx.x / across * kTile, column0 = blockIdx.x % across * kTile;
  int64_t rest = first + blockIdx.y, a = 0, b = 0, out = 0;
  for (int64_t d = batches.ndim - 1; d >= 0; d--) {
    const int64_t i = rest % batches.shape[d];
    rest /= batches.shape[d];
    a += i * batches.a[d], b += i * batches.b[d], out += i * batches.out[d];
  }
  store.out = element(store.out, store.out_dtype, out);
  float acc[4][4] = {};
  add_term(term, m, n, row0, column0, a, b, as, bs, acc);
  put_tile(store, m, n, row0, column0, acc);
}

int tiles_of(ao_ctx* ctx, const char* op, int64_t m, int64_t n, unsigned* tiles) {
  const int64_t count = ceil_div(m, kTile) * ceil_div(n, kTile);
  if (count > INT32_MAX)
    return ao_fail(ctx, "%s: a product of [%lld, %lld] is too large for one call", op, (long long)m, (long long)n);
  *tiles = static_cast<unsigned>(count);
  return 0;
}

__global__ void finish_kernel(Store store, const float* sums, int64_t m) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < m * store.n;
       i += int64_t{gridDim.x} * blockDim.x)
    put(store, i / store.n, i % store.n, sums[i]);
}

Multiply multiply(const Term& t, int64_t m, int64_t n, void* out, int64_t out_dtype, int64_t out_stride) {
  return {t.a, t.b, m, n, t.k, out, out_dtype, out_stride};
}

// Bias and residual join in the library where it takes them, each further term what the output holds by then.
int library_product(ao_ctx* ctx, const char* op, const Term* terms, int count, int64_t m, const Store& store,
                    bool* done) {
  if (!store.bias || store.bias_dtype == store.out_dtype) {
    for (int i = 0; i < count; i++) {
      Multiply p = multiply(terms[i], m, store.n, store.out, store.out_dtype, store.out_stride);
      if (i == 0)
        p.bias = store.bias, p.add = store.residual, p.add_stride = store.residual_stride;
      else
        p.add = store.out, p.add_stride = store.out_stride;
      if (blas_multiply(ctx, op, p, done)) return 1;
      if (!*done) break;
    }
    if (*done) return 0;
  }
  if (!store.bias && !store.residual && count == 1) return 0;
  const size_t used = ctx->used;
  float* sums = scratch<float>(ctx, m * store.n);
  if (!sums) return 1;
  for (int i = 0; i < count; i++) {
    Multiply p = multiply(terms[i], m, store.n, sums, AO_F32, store.n);
    if (i) p.add = sums, p.add_stride = store.n;
    if (blas_multiply(ctx, op, p, done)) return 1;
    if (!*done) {
      if (ctx->used > used) ctx->used = used;
      return 0;
    }
  }
  return launch(ctx, op, finish_kernel, blocks_for(ctx, m * store.n), kThreads, 0, store,
                static_cast<const float*>(sums), m);
}

} // namespace

int run_product(ao_ctx* ctx, const char* op, const Term* terms, int count, int64_t m, const Store& store) {
  if (m == 0 || store.n == 0) return 0;
  bool done = false;
  if (library_product(ctx, op, terms, count, m, store, &done)) return 1;
  if (done) return 0;
  unsigned tiles;
  if (tiles_of(ctx, op, m, store.n, &tiles)) return 1;
  Terms all{{}, count};
  for (int i = 0; i < count; i++) all.at[i] = terms[i];
  return launch(ctx, op, product_kernel, tiles, 256, 0, all, m, store.n, store);
}

} // namespace ao

using namespace ao;

extern "C" int ao_cuda_matmul(const ao_matmul_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "matmul", a->dtype) || need_float(ctx, "matmul", a->out_dtype)) return 1;
  if (a->batch_ndim < 0 || a->batch_ndim > 4)
    return ao_fail(ctx, "matmul: %lld batch dimensions; it takes up to 4, fold some", (long long)a->batch_ndim);
  Batches batches{a->batch_ndim, {}, {}, {}, {}};
  int64_t count = 1;
  for (int64_t d = 0; d < a->batch_ndim; d++) {
    count *= batches.shape[d] = a->batch[d];
    batches.a[d] = a->a_batch[d], batches.b[d] = a->b_batch[d], batches.out[d] = a->out_batch[d];
  }
  if (count <= 0 || a->m <= 0 || a->n <= 0) return 0;
  const Term term{{a->a, a->dtype, a->a_row, a->a_col}, {a->b, a->dtype, a->b_col, a->b_row}, a->k};
  Store store = plain_store(a->out, a->n, a->out_dtype);
  store.out_stride = a->out_row;
  if (count == 1) return run_product(ctx, "matmul", &term, 1, a->m, store);
  unsigned tiles;
  if (tiles_of(ctx, "matmul", a->m, a->n, &tiles)) return 1;
  for (int64_t first = 0; first < count; first += 65535) {
    const dim3 grid(tiles, static_cast<unsigned>(count - first < 65535 ? count - first : 65535));
    if (launch(ctx, "matmul", batch_kernel, grid, 256, 0, term, a->m, a->n, store, batches, first)) return 1;
  }
  return 0;
}

extern "C" int ao_cuda_linear_grad_input(const ao_linear_grad_input_args* a, ao_ctx* ctx) {
  const char* op = "linear_grad_input";
  if (a->count < 1 || a->count > kMostTerms)
    return ao_fail(ctx, "linear_grad_input: %lld weights; one call takes 1 to %d", (long long)a->count, kMostTerms);
  if (need_float(ctx, op, a->g_dtype) || need_float(ctx, op, a->out_dtype)) return 1;
  const void* gs[] = {a->g0, a->g1, a->g2, a->g3};
  const void* weights[] = {a->weight0, a->weight1, a->weight2, a->weight3};
  const int64_t ns[] = {a->n0, a->n1, a->n2, a->n3}, codes[] = {a->code0, a->code1, a->code2, a->code3};
  Term terms[kMostTerms];
  for (int i = 0; i < a->count; i++) {
    const void* dense = weights[i];
    int64_t dtype = codes[i];
    if (codes[i] < 0) {
      const Weight* w = find_weight(ctx, op, weights[i], ns[i], a->k);
      dtype = w && w->values == kFloats ? w->source : int64_t{AO_F32};
      dense = !w ? nullptr : w->values == kFloats ? w->codes : dense_weight(ctx, op, *w, dtype);
      if (!dense) return 1;
    } else if (need_float(ctx, op, codes[i])) {
      return 1;
    }
    terms[i] = {{gs[i], a->g_dtype, ns[i], 1}, {dense, dtype, 1, a->k}, ns[i]};
  }
  return run_product(ctx, op, terms, static_cast<int>(a->count), a->m, plain_store(a->out, a->k, a->out_dtype));
}

extern "C" int ao_cuda_linear_grad_weight(const ao_linear_grad_weight_args* a, ao_ctx* ctx) {
  const char* op = "linear_grad_weight";
  if (need_float(ctx, op, a->g_dtype) || need_float(ctx, op, a->x_dtype) || need_float(ctx, op, a->out_dtype)) return 1;
  const Term term{{a->g, a->g_dtype, 1, a->n}, {a->x, a->x_dtype, 1, a->k}, a->m};
  return run_product(ctx, op, &term, 1, a->n, plain_store(a->out, a->k, a->out_dtype));
}
