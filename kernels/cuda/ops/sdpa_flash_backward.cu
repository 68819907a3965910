// sdpa_backward of bfloat16 heads of at most 128 values on the tensor cores, without atomics, so that sums have one order. L is log2 of a
// row's sum of exponentials, delta = g . out; then for each pair of tiles, scores computed anew,
//   P = 2^(score - L), dS = P (g v^T - delta) slope; dv = P^T g, dk = dS^T q, dq = dS k
// one kernel walks over query rows for 64 keys (scores transposed, so that P^T and dS^T stay in registers), one over keys for 64 rows.
#include "base/block.h"
#include "ops/flash.h"
#include "ops/sdpa_gradient.h"

namespace ao {
namespace {

constexpr int kWarps = kFlashThreads / kWarp, kTile = 64, kRowTile = 32;

__device__ inline int64_t row_index(const Attention& p, int64_t b, const QueryRow& row) {
  return (b * p.tokens + row.token) * p.q_heads + row.head;
}

// What a query row needs beside its values: L, delta, the keys it sees. [batch, kv_heads, rows], one a piece of 16 bytes.
struct alignas(16) RowFacts {
  float sum, delta;
  int32_t low, high;
};

__global__ void sdpa_facts_kernel(RowFacts* facts, Gradient s) {
  const Attention& p = s.p;
  const int lane = threadIdx.x % kWarp;
  const int64_t total = p.tokens * p.group(), rows = p.batch * p.kv_heads * total, step = int64_t{gridDim.x} * kWarps;
  for (int64_t n = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarp; n < rows; n += step) {
    const int64_t item = n / total, b = item / p.kv_heads;
    const QueryRow row = query_row(p, item % p.kv_heads, n % total);
    const int64_t at = row_index(p, b, row);
    float sum = 0;
    for (int64_t i = lane; i < p.v_dim; i += kWarp)
      sum = fmaf(load<AO_BF16>(s.g, at * p.v_dim + i), load<AO_BF16>(s.out, at * p.v_dim + i), sum);
    sum = reduce_warp(sum, Sum());
    if (lane != 0) continue;
    const float lse = s.lse[(b * p.q_heads + row.head) * p.tokens + row.token];
    facts[n] = {lse == -INFINITY ? INFINITY : lse * kLog2e, sum, static_cast<int32_t>(p.low(b, row.token)),
                static_cast<int32_t>(p.high(b, row.token))};
  }
}

// The exponent of 2 that makes a product q k^T a probability, and the slope of the cap there.
__device__ inline float exponent(const Attention& p, float product, float scale, float sum, float* slope) {
  *slope = 1;
  if (p.softcap <= 0) return fmaf(product, scale, -sum);
  const float tanh = tanhf(product * p.scale / p.softcap);
  *slope = 1 - tanh * tanh;
  return fmaf(p.softcap * tanh, kLog2e, -sum);
}

template <int width>
__global__ void __launch_bounds__(kWarps* kWarp)
    sdpa_flash_key_kernel(Gradient s, const RowFacts* all_facts, float scale) {
  AO_SHARED(uint16_t, shared);
  __shared__ RowFacts facts[2][kRowTile];
  const Attention& p = s.p;
  uint16_t *const k_tile = shared, *const v_tile = k_tile + kTile * width;
  const auto q_tile = [&](int stage) { return v_tile + (kTile + 2 * stage * kRowTile) * width; };
  const auto g_tile = [&](int stage) { return q_tile(stage) + kRowTile * width; };
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4, own = 16 * warp;
  const int64_t b = blockIdx.y / p.kv_heads, head = blockIdx.y % p.kv_heads, group = p.group(),
                total = p.tokens * group;
  const int64_t begin = int64_t{blockIdx.x} * kTile, end = begin + kTile < p.keys ? begin + kTile : p.keys;
  load_rows<width, kTile>(k_tile, first_key(p, b, head) + begin * p.k_strides[2], p.k_strides[2], end - begin, p.dim);
  load_rows<width, kTile>(v_tile, first_value(p, b, head) + begin * p.v_strides[2], p.v_strides[2], end - begin,
                          p.v_dim);
  const auto fetch = [&](int stage, int64_t at) {
    load_queries<width, kRowTile>(q_tile(stage), g_tile(stage), p, s.g, b, head, at);
    if (threadIdx.x < kRowTile) { // rows that are not there see no key
      const int64_t row = at + threadIdx.x;
      copy_async(&facts[stage][threadIdx.x], all_facts + blockIdx.y * total + row, row < total);
    }
  };
  // the rows that see any of these keys
  const int64_t first = p.first(b);
  int64_t from = p.causal && begin > first ? (begin - first) * group : 0, to = total;
  if (p.window > 0 && (end - first + p.window - 1) * group < to) to = (end - first + p.window - 1) * group;
  from = from / kRowTile * kRowTile;
  float dk[width / 8][4] = {}, dv[width / 8][4] = {};
  if (from < to) fetch(0, from);
  copy_async_commit();
  int stage = 0;
  for (int64_t at = from; at < to; at += kRowTile, stage ^= 1) {
    if (at + kRowTile < to) fetch(stage ^ 1, at + kRowTile);
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    float x[kRowTile / 8][4] = {}, dp[kRowTile / 8][4] = {};
#pragma unroll
    for (int k = 0; k < width / 16; k++) {
      uint32_t keys[4], values[4], one[2], two[2];
      left_side<width>(keys, k_tile, own, k);
      left_side<width>(values, v_tile, own, k);
#pragma unroll
      for (int n = 0; n < kRowTile / 8; n += 2) {
        right_rows<width>(one, two, q_tile(stage), 8 * n, k);
        mma_bf16(x[n], keys, one), mma_bf16(x[n + 1], keys, two);
        right_rows<width>(one, two, g_tile(stage), 8 * n, k);
        mma_bf16(dp[n], values, one), mma_bf16(dp[n + 1], values, two);
      }
    }
#pragma unroll
    for (int n = 0; n < kRowTile / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const RowFacts& row = facts[stage][8 * n + 2 * t + i % 2];
        const int32_t j = static_cast<int32_t>(begin) + own + g + i / 2 * 8;
        float slope;
        const float e = exponent(p, x[n][i], scale, row.sum, &slope);
        const float weight = j >= row.low && j < row.high ? power2(e) : 0.0f;
        x[n][i] = weight;
        dp[n][i] = weight * (dp[n][i] - row.delta) * slope;
      }
#pragma unroll
    for (int k = 0; k < kRowTile / 16; k++) {
      uint32_t weights[4], ds[4], one[2], two[2];
      as_left<AO_BF16>(weights, x[2 * k], x[2 * k + 1]);
      as_left<AO_BF16>(ds, dp[2 * k], dp[2 * k + 1]);
#pragma unroll
      for (int n = 0; n < width / 16; n++) {
        right_columns<width>(one, two, g_tile(stage), 16 * k, n);
        mma_bf16(dv[2 * n], weights, one), mma_bf16(dv[2 * n + 1], weights, two);
        right_columns<width>(one, two, q_tile(stage), 16 * k, n);
        mma_bf16(dk[2 * n], ds, one), mma_bf16(dk[2 * n + 1], ds, two);
      }
    }
    __syncthreads(); // before the tile is written again
  }
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int64_t j = begin + own + g + 8 * r;
    if (j >= end) continue;
    const int64_t key = (b * p.kv_heads + head) * p.keys + j;
#pragma unroll
    for (int c = 0; c < width / 8; c++) {
      if (8 * c < p.dim)
        reinterpret_cast<uint32_t*>(static_cast<uint16_t*>(s.dk) + key * p.dim)[4 * c + t] =
            pack_bf16x2(dk[c][2 * r] * p.scale, dk[c][2 * r + 1] * p.scale);
      if (8 * c < p.v_dim)
        reinterpret_cast<uint32_t*>(static_cast<uint16_t*>(s.dv) + key * p.v_dim)[4 * c + t] =
            pack_bf16x2(dv[c][2 * r], dv[c][2 * r + 1]);
    }
  }
}

template <int width>
__global__ void __launch_bounds__(kWarps* kWarp)
    sdpa_flash_query_kernel(Gradient s, const RowFacts* all_facts, float scale) {
  AO_SHARED(uint16_t, shared);
  const Attention& p = s.p;
  uint16_t *const q_tile = shared, *const g_tile = q_tile + kTile * width;
  const auto k_tile = [&](int stage) { return g_tile + (kTile + 2 * stage * kTile) * width; };
  const auto v_tile = [&](int stage) { return k_tile(stage) + kTile * width; };
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4, own = 16 * warp;
  const int64_t b = blockIdx.y / p.kv_heads, head = blockIdx.y % p.kv_heads, group = p.group(),
                total = p.tokens * group;
  const int64_t begin = (int64_t{gridDim.x} - 1 - blockIdx.x) * kTile,
                end = begin + kTile < total ? begin + kTile : total;
  const int64_t from = p.low(b, begin / group), to = p.high(b, (end - 1) / group);
  load_queries<width, kTile>(q_tile, g_tile, p, s.g, b, head, begin);
  const auto fetch = [&](int stage, int64_t at) {
    load_rows<width, kTile>(k_tile(stage), first_key(p, b, head) + at * p.k_strides[2], p.k_strides[2], to - at, p.dim);
    load_rows<width, kTile>(v_tile(stage), first_value(p, b, head) + at * p.v_strides[2], p.v_strides[2], to - at,
                            p.v_dim);
  };
  RowFacts facts[2];
  for (int r = 0; r < 2; r++) {
    const int64_t row = begin + own + g + 8 * r;
    facts[r] = row < total ? all_facts[blockIdx.y * total + row] : RowFacts{};
  }
  float dq[width / 8][4] = {};
  fetch(0, from);
  copy_async_commit();
  int stage = 0;
  for (int64_t at = from; at < to; at += kTile, stage ^= 1) {
    if (at + kTile < to) fetch(stage ^ 1, at + kTile);
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    float x[kTile / 8][4] = {}, dp[kTile / 8][4] = {};
#pragma unroll
    for (int k = 0; k < width / 16; k++) {
      uint32_t queries[4], grads[4], one[2], two[2];
      left_side<width>(queries, q_tile, own, k);
      left_side<width>(grads, g_tile, own, k);
#pragma unroll
      for (int n = 0; n < kTile / 8; n += 2) {
        right_rows<width>(one, two, k_tile(stage), 8 * n, k);
        mma_bf16(x[n], queries, one), mma_bf16(x[n + 1], queries, two);
        right_rows<width>(one, two, v_tile(stage), 8 * n, k);
        mma_bf16(dp[n], grads, one), mma_bf16(dp[n + 1], grads, two);
      }
    }
#pragma unroll
    for (int n = 0; n < kTile / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const RowFacts& row = facts[i / 2];
        const int32_t j = static_cast<int32_t>(at) + 8 * n + 2 * t + i % 2;
        float slope;
        const float e = exponent(p, x[n][i], scale, row.sum, &slope);
        const float weight = j >= row.low && j < row.high ? power2(e) : 0.0f;
        dp[n][i] = weight * (dp[n][i] - row.delta) * slope;
      }
#pragma unroll
    for (int k = 0; k < kTile / 16; k++) {
      uint32_t ds[4], one[2], two[2];
      as_left<AO_BF16>(ds, dp[2 * k], dp[2 * k + 1]);
#pragma unroll
      for (int n = 0; n < width / 16; n++) {
        right_columns<width>(one, two, k_tile(stage), 16 * k, n);
        mma_bf16(dq[2 * n], ds, one), mma_bf16(dq[2 * n + 1], ds, two);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int64_t n = begin + own + g + 8 * r;
    if (n >= total) continue;
    uint16_t* to_row = static_cast<uint16_t*>(s.dq) + row_index(p, b, query_row(p, head, n)) * p.dim;
#pragma unroll
    for (int c = 0; c < width / 8; c++)
      if (8 * c < p.dim)
        reinterpret_cast<uint32_t*>(to_row)[4 * c + t] =
            pack_bf16x2(dq[c][2 * r] * p.scale, dq[c][2 * r + 1] * p.scale);
  }
}

template <int width>
int run(ao_ctx* ctx, const Gradient& s, const RowFacts* facts) {
  const Attention& p = s.p;
  const int64_t rows = p.tokens * (p.q_heads / p.kv_heads);
  const unsigned items = static_cast<unsigned>(p.batch * p.kv_heads);
  const dim3 key_grid(static_cast<unsigned>(ceil_div(p.keys, kTile)), items);
  const dim3 query_grid(static_cast<unsigned>(ceil_div(rows, kTile)), items);
  const size_t row = width * sizeof(uint16_t);
  if (launch(ctx, "sdpa_backward", sdpa_flash_key_kernel<width>, key_grid, kWarps * kWarp,
             (2 * kTile + 4 * kRowTile) * row, s, facts, p.scale * kLog2e))
    return 1;
  return launch(ctx, "sdpa_backward", sdpa_flash_query_kernel<width>, query_grid, kWarps * kWarp, 6 * kTile * row, s,
                facts, p.scale * kLog2e);
}

} // namespace

bool takes_flash_gradient(const Gradient& s) {
  const Attention& p = s.p;
  const auto aligned = [](const void* at) { return reinterpret_cast<uintptr_t>(at) % 16 == 0; };
  return p.scale > 0 && p.dtype == AO_BF16 && !p.mask && p.dim <= 128 && p.v_dim <= 128 && p.keys > 0 &&
         p.keys < INT32_MAX / 2 && p.batch * p.kv_heads <= 65535 && rows_of_16(p) && aligned(s.g) && aligned(s.dq) &&
         aligned(s.dk) && aligned(s.dv);
}

int run_flash_gradient(ao_ctx* ctx, const Gradient& given) {
  Gradient s = given;
  const Attention& p = s.p;
  const int64_t rows = p.batch * p.tokens * p.q_heads;
  if (!s.lse) {
    float* lse = scratch<float>(ctx, rows);
    if (!lse || run_flash_lse(ctx, lse, p)) return 1;
    s.lse = lse;
  }
  RowFacts* facts = scratch<RowFacts>(ctx, rows);
  if (!facts ||
      launch(ctx, "sdpa_backward", sdpa_facts_kernel, blocks_for(ctx, rows, kWarps), kWarps * kWarp, 0, facts, s))
    return 1;
  return p.dim <= 64 && p.v_dim <= 64 ? run<64>(ctx, s, facts) : run<128>(ctx, s, facts);
}

} // namespace ao
