// sdpa_backward (kernels/cpu/ops/sdpa_backward.cc): which kernels take a call, and the general ones, without atomics: first the maximum and
// sum of each row's exponentials and its delta = g . out, then dq by a warp for each query row, then dk and dv by a warp for each key,
// rows ascending. Scores are computed anew each time.
#include "libraries/cudnn_sdpa.h"
#include "ops/sdpa_gradient.h"

namespace ao {
namespace {

constexpr int kWarps = 4;

__device__ int64_t row_of(const Attention& p, int64_t b, int64_t t, int64_t h) {
  return (b * p.tokens + t) * p.q_heads + h;
}

// The score of a query and a key, and the slope of the soft cap there.
__device__ float score(const Attention& p, int64_t b, int64_t t, int64_t h, int64_t j, float* slope) {
  const int64_t q = p.q_at(b, t, h);
  const uint8_t* k = p.k_row(b, h / p.group(), j);
  float s = 0;
  for (int64_t i = 0; i < p.dim; i++) s = fmaf(load_float(p.dtype, p.q, q + i), load_float(p.dtype, k, i), s);
  s *= p.scale;
  *slope = 1;
  if (p.softcap > 0) {
    const float tanh = tanhf(s / p.softcap);
    *slope = 1 - tanh * tanh;
    s = p.softcap * tanh;
  }
  return s + p.mask_of(b, h, t, j);
}

__device__ float grad_dot(const Gradient& s, int64_t row, int64_t b, int64_t head, int64_t j) {
  const Attention& p = s.p;
  const uint8_t* v = p.v_row(b, head, j);
  float sum = 0;
  for (int64_t i = 0; i < p.v_dim; i++)
    sum = fmaf(load_float(p.dtype, s.g, row * p.v_dim + i), load_float(p.dtype, v, i), sum);
  return sum;
}

__global__ void sdpa_grad_rows_kernel(Gradient s) {
  const Attention& p = s.p;
  const int lane = threadIdx.x % kWarp;
  const int64_t rows = p.batch * p.tokens * p.q_heads, step = int64_t{gridDim.x} * kWarps;
  for (int64_t row = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarp; row < rows; row += step) {
    const int64_t h = row % p.q_heads, t = row / p.q_heads % p.tokens, b = row / p.q_heads / p.tokens;
    const int64_t low = p.low(b, t), high = p.high(b, t);
    float m = -INFINITY, l = 0, slope;
    for (int64_t j = low + lane; j < high; j += kWarp) {
      const float v = score(p, b, t, h, j, &slope), next = v > m || v != v ? v : m;
      if (next == -INFINITY) continue;
      l = l * (m == -INFINITY ? 0.0f : expf(m - next)) + expf(v - next);
      m = next;
    }
    const float most = reduce_warp(m, Larger());
    l = reduce_warp(m == -INFINITY ? 0.0f : l * expf(m - most), Sum());
    float dot = 0;
    for (int64_t i = lane; i < p.v_dim; i += kWarp)
      dot = fmaf(load_float(p.dtype, s.g, row * p.v_dim + i), load_float(p.dtype, s.out, row * p.v_dim + i), dot);
    dot = reduce_warp(dot, Sum());
    if (lane == 0) s.m[row] = most, s.l[row] = l, s.delta[row] = dot;
  }
}

__device__ float probability(const Gradient& s, int64_t row, float v) {
  return s.m[row] == -INFINITY || v == -INFINITY ? 0.0f : expf(v - s.m[row]) / s.l[row];
}

template <int slots>
__global__ void sdpa_grad_query_kernel(Gradient s) {
  __shared__ float shared_ds[kWarps][kWarp];
  const Attention& p = s.p;
  const int lane = threadIdx.x % kWarp;
  const int64_t rows = p.batch * p.tokens * p.q_heads, step = int64_t{gridDim.x} * kWarps;
  for (int64_t row = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarp; row < rows; row += step) {
    const int64_t h = row % p.q_heads, t = row / p.q_heads % p.tokens, b = row / p.q_heads / p.tokens;
    const int64_t head = h / p.group(), low = p.low(b, t), high = p.high(b, t);
    float dq[slots];
    for (int c = 0; c < slots; c++) dq[c] = 0;
    for (int64_t at = low; at < high; at += kWarp) {
      const int64_t j = at + lane;
      float ds = 0;
      if (j < high) {
        float slope;
        const float weight = probability(s, row, score(p, b, t, h, j, &slope));
        ds = weight * (grad_dot(s, row, b, head, j) - s.delta[row]) * slope * p.scale;
      }
      const int64_t count = high - at < kWarp ? high - at : kWarp;
      const int warp = threadIdx.x / kWarp;
      __syncwarp(); // those of the keys before have been read
      shared_ds[warp][lane] = ds;
      __syncwarp();
      for (int key = 0; key < count; key++) {
        const float w = shared_ds[warp][key];
        const uint8_t* k = p.k_row(b, head, at + key);
        for (int c = 0; c < slots; c++)
          if (c * kWarp + lane < p.dim) dq[c] = fmaf(w, load_float(p.dtype, k, c * kWarp + lane), dq[c]);
      }
    }
    for (int c = 0; c < slots; c++)
      if (c * kWarp + lane < p.dim) store_float(p.dtype, s.dq, row * p.dim + c * kWarp + lane, dq[c]);
  }
}

template <int slots>
__global__ void sdpa_grad_key_kernel(Gradient s) {
  __shared__ float shared_ds[kWarps][kWarp], shared_weight[kWarps][kWarp];
  const Attention& p = s.p;
  const int lane = threadIdx.x % kWarp;
  const int64_t group = p.group(), total = p.tokens * group, keys = p.batch * p.kv_heads * p.keys;
  const int64_t step = int64_t{gridDim.x} * kWarps;
  for (int64_t key = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarp; key < keys; key += step) {
    const int64_t j = key % p.keys, head = key / p.keys % p.kv_heads, b = key / p.keys / p.kv_heads;
    float dk[slots], dv[slots];
    for (int c = 0; c < slots; c++) dk[c] = dv[c] = 0;
    for (int64_t at = 0; at < total; at += kWarp) {
      const int64_t n = at + lane, t = n / group, h = head * group + n % group, mine = row_of(p, b, t, h);
      float weight = 0, ds = 0;
      if (n < total && j >= p.low(b, t) && j < p.high(b, t)) {
        float slope;
        weight = probability(s, mine, score(p, b, t, h, j, &slope));
        ds = weight * (grad_dot(s, mine, b, head, j) - s.delta[mine]) * slope * p.scale;
      }
      const int64_t count = total - at < kWarp ? total - at : kWarp;
      const int warp = threadIdx.x / kWarp;
      __syncwarp(); // those of the rows before have been read
      shared_ds[warp][lane] = ds, shared_weight[warp][lane] = weight;
      __syncwarp();
      for (int i = 0; i < count; i++) {
        const float w = shared_weight[warp][i], d = shared_ds[warp][i];
        if (w == 0 && d == 0) continue;
        const int64_t ti = (at + i) / group, hi = head * group + (at + i) % group;
        const int64_t q = p.q_at(b, ti, hi), g = row_of(p, b, ti, hi) * p.v_dim;
        for (int c = 0; c < slots; c++) {
          const int64_t column = c * kWarp + lane;
          if (column < p.dim) dk[c] = fmaf(d, load_float(p.dtype, p.q, q + column), dk[c]);
          if (column < p.v_dim) dv[c] = fmaf(w, load_float(p.dtype, s.g, g + column), dv[c]);
        }
      }
    }
    for (int c = 0; c < slots; c++) {
      const int64_t column = c * kWarp + lane;
      if (column < p.dim) store_float(p.dtype, s.dk, key * p.dim + column, dk[c]);
      if (column < p.v_dim) store_float(p.dtype, s.dv, key * p.v_dim + column, dv[c]);
    }
  }
}

template <int slots>
int run(ao_ctx* ctx, const Gradient& s, int64_t rows, int64_t keys) {
  if (launch(ctx, "sdpa_backward", sdpa_grad_query_kernel<slots>, blocks_for(ctx, rows, kWarps), kWarps * kWarp, 0, s))
    return 1;
  return launch(ctx, "sdpa_backward", sdpa_grad_key_kernel<slots>, blocks_for(ctx, keys, kWarps), kWarps * kWarp, 0, s);
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_sdpa_backward(const ao_sdpa_backward_args* a, ao_ctx* ctx) {
  if (need_attention(ctx, "sdpa_backward", a)) return 1;
  const int64_t rows = a->batch * a->tokens * a->q_heads, keys = a->batch * a->kv_heads * a->keys;
  if (a->batch == 0) return 0;
  if (rows == 0) {
    const size_t size = static_cast<size_t>(ao_dtype_size(a->dtype));
    return clear(ctx, a->dk, static_cast<size_t>(keys * a->dim) * size) ||
           clear(ctx, a->dv, static_cast<size_t>(keys * a->v_dim) * size);
  }
  bool done = false;
  if (const int failed = cudnn_sdpa_backward(ctx, a, &done); failed || done) return failed;
  Gradient s{attention_of(a), a->g,    a->out,  a->dq,   a->dk,
             a->dv,           nullptr, nullptr, nullptr, static_cast<const float*>(a->lse)};
  if (a->pos && launch(ctx, "sdpa_backward", check_attention_kernel, 1, kWarp, 0, s.p, ctx->site)) return 1;
  if (takes_flash_gradient(s)) return run_flash_gradient(ctx, s);
  s.m = scratch<float>(ctx, rows), s.l = scratch<float>(ctx, rows), s.delta = scratch<float>(ctx, rows);
  if (!s.m || !s.l || !s.delta) return 1;
  if (launch(ctx, "sdpa_backward", sdpa_grad_rows_kernel, blocks_for(ctx, rows, kWarps), kWarps * kWarp, 0, s))
    return 1;
  const int64_t widest = a->dim > a->v_dim ? a->dim : a->v_dim;
  return widest <= 128 ? run<4>(ctx, s, rows, keys) : run<16>(ctx, s, rows, keys);
}
