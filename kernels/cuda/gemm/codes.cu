// scaled_mm and int_mm, the products of codes: on cuBLASLt where it takes them, which wants k side by side, so codes that lie the other way
// are turned first. Else float8 is widened to bfloat16, which is exact, and int8 has a kernel of its own.
#include "base/block.h"
#include "gemm/linear.h"
#include "libraries/blas.h"

namespace ao {
namespace {

constexpr int kTile = 32;

// to [columns][rows] of from [rows][columns], bytes.
__global__ void turn_kernel(uint8_t* to, const uint8_t* from, int64_t rows, int64_t columns) {
  __shared__ uint8_t tile[kTile][kTile + 4];
  const int x = threadIdx.x % kTile, y = threadIdx.x / kTile;
  const int64_t left = int64_t{blockIdx.x} * kTile;
  for (int64_t top = int64_t{blockIdx.y} * kTile; top < rows; top += int64_t{gridDim.y} * kTile) {
    __syncthreads();
    for (int i = y; i < kTile; i += kThreads / kTile)
      if (top + i < rows && left + x < columns) tile[i][x] = from[(top + i) * columns + left + x];
    __syncthreads();
    for (int i = y; i < kTile; i += kThreads / kTile)
      if (left + i < columns && top + x < rows) to[(left + i) * rows + top + x] = tile[x][i];
  }
}

// A side of bytes whose k lies side by side: itself, or turned in scratch; false with the error recorded.
bool along_k(ao_ctx* ctx, const char* op, Side* s, int64_t rows, int64_t k) {
  if (s->column == 1 || s->row != 1 || s->column != rows) return true;
  uint8_t* to = scratch<uint8_t>(ctx, rows * k);
  if (!to) return false;
  const int64_t down = ceil_div(k, kTile);
  const dim3 grid(static_cast<unsigned>(ceil_div(rows, kTile)), static_cast<unsigned>(down < 65535 ? down : 65535));
  if (launch(ctx, op, turn_kernel, grid, kThreads, 0, to, static_cast<const uint8_t*>(s->data), k, rows)) return false;
  *s = {to, s->dtype, k, 1};
  return true;
}

struct Factors {
  float* to;
  const float* scale;
  int64_t n;
  bool by_rows, divides;
};

__global__ void factors_kernel(Factors a, Factors b) {
  const int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  for (const Factors& f : {a, b}) {
    if (i >= f.n) continue;
    const float s = f.scale[f.by_rows ? i : 0];
    f.to[i] = f.divides ? 1.0f / s : s;
  }
}

__global__ void widen_kernel(uint16_t* to, const uint8_t* from, int64_t n, int64_t f8) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    to[i] = ao_to_bf16(f8 == AO_F8E4M3 ? ao_from_f8e4m3(from[i]) : ao_from_f8e5m2(from[i]));
}

// sums times the factors, in out's dtype.
__global__ void scale_sums_kernel(void* out, int64_t out_dtype, const float* sums, const float* a, const float* b,
                                  bool by_rows, int64_t m, int64_t n) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < m * n; i += int64_t{gridDim.x} * blockDim.x)
    store_float(out_dtype, out, i, sums[i] * a[by_rows ? i / n : 0] * b[by_rows ? i % n : 0]);
}

int widened_product(ao_ctx* ctx, const char* op, const ao_scaled_mm_args* s, const Multiply& p) {
  Term term{p.a, p.b, p.k};
  const int64_t rows[2] = {p.m, p.n};
  for (int i = 0; i < 2; i++) {
    Side& side = i ? term.b : term.a;
    uint16_t* wide = scratch<uint16_t>(ctx, rows[i] * p.k);
    if (!wide || launch(ctx, op, widen_kernel, blocks_for(ctx, rows[i] * p.k), kThreads, 0, wide,
                        static_cast<const uint8_t*>(side.data), rows[i] * p.k, side.dtype))
      return 1;
    side.data = wide, side.dtype = AO_BF16;
  }
  float* sums = scratch<float>(ctx, p.m * p.n);
  if (!sums || run_product(ctx, op, &term, 1, p.m, plain_store(sums, p.n, AO_F32))) return 1;
  return launch(ctx, op, scale_sums_kernel, blocks_for(ctx, p.m * p.n), kThreads, 0, s->out, s->out_dtype, sums,
                p.a_scale, p.b_scale, p.by_rows, p.m, p.n);
}

// 32 x 32 sums of exact products.
__global__ void int_mm_kernel(int32_t* out, Side a, Side b, int64_t m, int64_t n, int64_t k) {
  __shared__ int8_t as[kTile][kTile + 4], bs[kTile][kTile + 4];
  const int tx = threadIdx.x % kTile, ty = threadIdx.x / kTile;
  const int64_t across = (n + kTile - 1) / kTile;
  const int64_t row0 = blockIdx.x / across * kTile, column0 = blockIdx.x % across * kTile;
  const auto at = [&](const Side& s, int64_t row, int64_t rows, int64_t c) {
    return row < rows && c < k ? static_cast<const int8_t*>(s.data)[row * s.row + c * s.column] : int8_t{0};
  };
  int acc[4] = {};
  for (int64_t k0 = 0; k0 < k; k0 += kTile) {
    __syncthreads();
    for (int i = ty; i < kTile; i += 8)
      as[i][tx] = at(a, row0 + i, m, k0 + tx), bs[i][tx] = at(b, column0 + i, n, k0 + tx);
    __syncthreads();
    for (int j = 0; j < kTile; j++)
      for (int i = 0; i < 4; i++) acc[i] += as[ty + 8 * i][j] * bs[tx][j];
  }
  for (int i = 0; i < 4; i++)
    if (row0 + ty + 8 * i < m && column0 + tx < n) out[(row0 + ty + 8 * i) * n + column0 + tx] = acc[i];
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_scaled_mm(const ao_scaled_mm_args* a, ao_ctx* ctx) {
  const char* op = "scaled_mm";
  if (need_float(ctx, op, a->out_dtype)) return 1;
  if (a->m == 0 || a->n == 0) return 0;
  if (a->k == 0) return clear(ctx, a->out, static_cast<size_t>(a->m * a->n * ao_dtype_size(a->out_dtype)));
  const bool by_rows = a->a_rows || a->b_rows;
  const Factors fa{scratch<float>(ctx, by_rows ? a->m : 1), static_cast<const float*>(a->a_scale), by_rows ? a->m : 1,
                   a->a_rows != 0, a->divides != 0};
  const Factors fb{scratch<float>(ctx, by_rows ? a->n : 1), static_cast<const float*>(a->b_scale), by_rows ? a->n : 1,
                   a->b_rows != 0, a->divides != 0};
  const int64_t most = fa.n > fb.n ? fa.n : fb.n;
  if (!fa.to || !fb.to ||
      launch(ctx, op, factors_kernel, static_cast<unsigned>(ceil_div(most, kThreads)), kThreads, 0, fa, fb))
    return 1;
  Multiply p{{a->a, a->a_f8, a->a_row, a->a_col},
             {a->b, a->b_f8, a->b_row, a->b_col},
             a->m,
             a->n,
             a->k,
             a->out,
             a->out_dtype,
             a->n};
  p.a_scale = fa.to, p.b_scale = fb.to, p.by_rows = by_rows, p.fast = a->fast != 0;
  if (!along_k(ctx, op, &p.a, a->m, a->k) || !along_k(ctx, op, &p.b, a->n, a->k)) return 1;
  bool done;
  if (blas_multiply(ctx, op, p, &done)) return 1;
  return done ? 0 : widened_product(ctx, op, a, p);
}

extern "C" int ao_cuda_int_mm(const ao_int_mm_args* a, ao_ctx* ctx) {
  const char* op = "int_mm";
  if (a->m == 0 || a->n == 0) return 0;
  Multiply p{
      {a->a, AO_I8, a->a_row, a->a_col}, {a->b, AO_I8, a->b_row, a->b_col}, a->m, a->n, a->k, a->out, AO_I32, a->n};
  if (!along_k(ctx, op, &p.a, a->m, a->k) || !along_k(ctx, op, &p.b, a->n, a->k)) return 1;
  bool done;
  if (blas_multiply(ctx, op, p, &done)) return 1;
  if (done) return 0;
  const int64_t tiles = ceil_div(a->m, kTile) * ceil_div(a->n, kTile);
  if (tiles > INT32_MAX) return ao_fail(ctx, "int_mm: [%lld, %lld] is too large", (long long)a->m, (long long)a->n);
  return launch(ctx, op, int_mm_kernel, static_cast<unsigned>(tiles), 8 * kTile, 0, static_cast<int32_t*>(a->out), p.a,
                p.b, a->m, a->n, a->k);
}
