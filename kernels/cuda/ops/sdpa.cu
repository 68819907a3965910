// sdpa (kernels/cpu/ops/sdpa.cc): which kernel takes a call, and the general one, flash attention in float32: a block takes a few query
// rows (token, head within the group) of one head of keys and a split of the keys, 32 keys at a time through shared memory; splits merge
// in order. Splits are counted from position 0 and their number depends on the shapes alone, so that a captured step replays with any position.
#include "libraries/cudnn_sdpa.h"
#include "ops/sdpa.h"

namespace ao {

__global__ void check_attention_kernel(Attention p, Site site) {
  for (int64_t b = threadIdx.x; b < p.batch; b += blockDim.x) {
    const int64_t first = p.first(b);
    if (first < 0 || (p.causal && first + p.tokens > p.keys)) report(site, kKeysShort, p.tokens, first, p.keys);
  }
}

namespace {

constexpr int kWarps = 4, kTile = 32;

// A warp has `rows` rows, a lane of it the values lane, lane + 32, .. of their sums.
template <int slots>
constexpr int rows_of() {
  return slots >= 16 ? 1 : 16 / slots / 2;
}

// Partial results [item][split][row]: m, l, then v_dim sums.
template <int slots>
__global__ void sdpa_kernel(void* out, float* partials, Attention p, int64_t split_keys) {
  constexpr int rows = rows_of<slots>(), block_rows = rows * kWarps;
  AO_SHARED(float, shared);
  __shared__ float weights[kWarps][kTile];
  float* q = shared;                  // [block_rows][dim]
  float* k = q + block_rows * p.dim;  // [kTile][dim + 1]
  float* v = k + kTile * (p.dim + 1); // [kTile][v_dim]
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t b = blockIdx.z / p.kv_heads, head = blockIdx.z % p.kv_heads, group = p.group();
  const int64_t total = p.tokens * group, begin = int64_t{blockIdx.x} * block_rows;
  const int64_t count = total - begin < block_rows ? total - begin : block_rows;
  for (int64_t i = threadIdx.x; i < block_rows * p.dim; i += blockDim.x) {
    const int64_t row = begin + i / p.dim;
    q[i] = row < total ? load_float(p.dtype, p.q, p.q_at(b, row / group, head * group + row % group) + i % p.dim) : 0;
  }
  // the keys that any row of the block sees, within this split
  const int64_t first_token = begin / group, last_token = (begin + count - 1) / group;
  int64_t from = p.low(b, first_token), to = p.high(b, last_token);
  const int64_t split = blockIdx.y, split_from = split * split_keys, split_to = split_from + split_keys;
  from = from > split_from ? from : split_from;
  to = to < split_to ? to : split_to;
  float m[rows], l[rows], acc[rows][slots];
  for (int r = 0; r < rows; r++) {
    m[r] = -INFINITY, l[r] = 0;
    for (int c = 0; c < slots; c++) acc[r][c] = 0;
  }
  for (int64_t at = from; at < to; at += kTile) {
    __syncthreads();
    for (int64_t i = threadIdx.x; i < kTile * p.dim; i += blockDim.x) {
      const int64_t j = at + i / p.dim;
      k[i / p.dim * (p.dim + 1) + i % p.dim] = j < to ? p.k_value(p.k_row(b, head, j), i % p.dim) : 0;
    }
    for (int64_t i = threadIdx.x; i < kTile * p.v_dim; i += blockDim.x) {
      const int64_t j = at + i / p.v_dim;
      v[i] = j < to ? p.v_value(p.v_row(b, head, j), i % p.v_dim) : 0;
    }
    __syncthreads();
    float s[rows];
    for (int r = 0; r < rows; r++) s[r] = 0;
    for (int64_t i = 0; i < p.dim; i++) {
      const float key = k[lane * (p.dim + 1) + i];
      for (int r = 0; r < rows; r++) s[r] = fmaf(q[(warp * rows + r) * p.dim + i], key, s[r]);
    }
    for (int r = 0; r < rows; r++) {
      const int64_t row = begin + warp * rows + r;
      if (row >= total) continue;
      const int64_t t = row / group, h = head * group + row % group, j = at + lane;
      const bool seen = j < to && j >= p.low(b, t) && j < p.high(b, t);
      const float score = seen ? p.capped(s[r] * p.scale) + p.mask_of(b, h, t, j) : -INFINITY;
      const float most = reduce_warp(score, Larger()), next = Larger()(m[r], most);
      if (next == -INFINITY) continue;
      const float before = m[r] == -INFINITY ? 0.0f : expf(m[r] - next);
      const float weight = score == -INFINITY ? 0.0f : expf(score - next);
      l[r] = l[r] * before + reduce_warp(weight, Sum());
      m[r] = next;
      for (int c = 0; c < slots; c++) acc[r][c] *= before;
      __syncwarp(); // those of the row before have been read
      weights[warp][lane] = weight;
      __syncwarp();
      for (int key = 0; key < kTile; key++) {
        const float w = weights[warp][key];
        for (int c = 0; c < slots; c++)
          if (c * kWarp + lane < p.v_dim) acc[r][c] = fmaf(w, v[key * p.v_dim + c * kWarp + lane], acc[r][c]);
      }
    }
  }
  for (int r = 0; r < rows; r++) {
    const int64_t row = begin + warp * rows + r;
    if (row >= total) continue;
    const int64_t t = row / group, h = head * group + row % group;
    if (partials) {
      float* to_partial = partials + ((blockIdx.z * int64_t{gridDim.y} + split) * total + row) * (p.v_dim + 2);
      if (lane == 0) to_partial[0] = m[r], to_partial[1] = l[r];
      for (int c = 0; c < slots; c++)
        if (c * kWarp + lane < p.v_dim) to_partial[2 + c * kWarp + lane] = acc[r][c];
      continue;
    }
    const int64_t at = ((b * p.tokens + t) * p.q_heads + h) * p.v_dim;
    for (int c = 0; c < slots; c++)
      if (c * kWarp + lane < p.v_dim)
        store_float(p.dtype, out, at + c * kWarp + lane, m[r] == -INFINITY ? 0.0f : acc[r][c] / l[r]);
  }
}

// One warp a row.
__global__ void sdpa_merge_kernel(void* out, const float* partials, Attention p, int64_t splits) {
  const int lane = threadIdx.x % kWarp;
  const int64_t group = p.group(), total = p.tokens * group, size = p.v_dim + 2;
  const int64_t items = p.batch * p.kv_heads * total;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kWarp);
  for (int64_t n = blockIdx.x * int64_t{blockDim.x / kWarp} + threadIdx.x / kWarp; n < items; n += step) {
    const int64_t item = n / total, row = n % total, b = item / p.kv_heads, head = item % p.kv_heads;
    const float* at = partials + (item * splits * total + row) * size;
    float m = -INFINITY;
    for (int64_t s = 0; s < splits; s++) m = Larger()(m, at[s * total * size]);
    const int64_t t = row / group, h = head * group + row % group;
    const int64_t to = ((b * p.tokens + t) * p.q_heads + h) * p.v_dim;
    float l = 0;
    for (int64_t s = 0; s < splits; s++) {
      const float part = at[s * total * size];
      if (part != -INFINITY) l += at[s * total * size + 1] * expf(part - m);
    }
    for (int64_t i = lane; i < p.v_dim; i += kWarp) {
      float sum = 0;
      for (int64_t s = 0; s < splits; s++) {
        const float part = at[s * total * size];
        if (part != -INFINITY) sum += at[s * total * size + 2 + i] * expf(part - m);
      }
      store_float(p.dtype, out, to + i, m == -INFINITY ? 0.0f : sum / l);
    }
  }
}

template <int slots>
int run(const ao_sdpa_args* a, ao_ctx* ctx, const Attention& p) {
  constexpr int block_rows = rows_of<slots>() * kWarps;
  const int64_t total = a->tokens * (a->q_heads / a->kv_heads), items = a->batch * a->kv_heads;
  const int64_t blocks = ceil_div(total, block_rows);
  if (items > 65535) return ao_fail(ctx, "sdpa: %lld heads of all sequences; the GPU takes 65535", (long long)items);
  int64_t splits = 1;
  const int64_t wanted = 4 * int64_t{ctx->multiprocessors};
  if (blocks * items < wanted) splits = ceil_div(a->keys, 256);
  const int64_t most = ceil_div(4 * wanted, blocks * items);
  splits = splits > most ? most : splits;
  int64_t split_keys = splits > 1 ? ceil_div(ceil_div(a->keys, splits), kTile) * kTile : a->keys;
  if (split_keys < 1) split_keys = 1;
  if (splits > 1) splits = ceil_div(a->keys, split_keys);
  const size_t shared =
      static_cast<size_t>(block_rows * a->dim + kTile * (a->dim + 1) + kTile * a->v_dim) * sizeof(float);
  float* partials = splits > 1 ? scratch<float>(ctx, items * splits * total * (a->v_dim + 2)) : nullptr;
  if (splits > 1 && !partials) return 1;
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(splits), static_cast<unsigned>(items));
  if (launch(ctx, "sdpa", sdpa_kernel<slots>, grid, kWarps * kWarp, shared, a->out, partials, p, split_keys)) return 1;
  if (splits == 1) return 0;
  return launch(ctx, "sdpa", sdpa_merge_kernel, blocks_for(ctx, items * total, kWarps), kWarps * kWarp, 0, a->out,
                partials, p, splits);
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_sdpa(const ao_sdpa_args* a, ao_ctx* ctx) {
  if (need_attention(ctx, "sdpa", a)) return 1;
  if ((!a->k_bits || !a->v_bits) && need_float(ctx, "sdpa", a->kv_dtype)) return 1;
  Attention p = attention_of(a);
  p.kv_dtype = a->kv_dtype;
  p.k_rows = {static_cast<int>(a->k_bits), a->k_asymmetric != 0};
  p.v_rows = {static_cast<int>(a->v_bits), a->v_asymmetric != 0};
  if (need_code_rows(ctx, "sdpa", p.k_rows, a->dim) || need_code_rows(ctx, "sdpa", p.v_rows, a->v_dim)) return 1;
  if (a->tokens == 0 || a->batch == 0 || a->q_heads == 0) return 0;
  bool done = false;
  if (const int failed = cudnn_sdpa(ctx, a, &done); failed || done) return failed;
  float* lse = static_cast<float*>(a->lse);
  if (!lse && takes_decode(p)) return run_decode(ctx, a->out, p);
  if (takes_flash(p)) return run_flash(ctx, a->out, lse, p);
  if (a->pos && launch(ctx, "sdpa", check_attention_kernel, 1, kWarp, 0, p, ctx->site)) return 1;
  const int failed = a->v_dim <= 64    ? run<2>(a, ctx, p)
                     : a->v_dim <= 128 ? run<4>(a, ctx, p)
                     : a->v_dim <= 256 ? run<8>(a, ctx, p)
                                       : run<16>(a, ctx, p);
  return failed || !lse ? failed : run_lse(ctx, lse, p);
}
