// sdpa for many query rows of bfloat16 or float16 on the tensor cores (flash attention): a block has 64 or 128 rows (token, head of the group) of a
// head of keys and walks over the keys that any of them sees, tiles of keys and values coming while those before are multiplied. Also, for
// the gradient, the logarithm of each row's sum of exponentials alone. Scores are scaled for exponentials of base 2.
#include "ops/flash.h"
#include "ops/sdpa.h"
#include "ops/sdpa_gradient.h"

namespace ao {
namespace {

constexpr int kWarps = kFlashThreads / kWarp;

// Rows of a warp in sixteens, keys of a tile.
template <int width>
constexpr int tiles_down() {
  return width <= 128 ? 2 : 1;
}
template <int width>
constexpr int tile_keys() {
  return width <= 128 ? 64 : 32;
}
template <int width>
constexpr int block_rows() {
  return kWarps * 16 * tiles_down<width>();
}

template <int dtype, int width, bool sums_only>
__global__ void __launch_bounds__(kWarps* kWarp)
    sdpa_flash_kernel(void* out, float* lse, Attention p, float scale, Site site) {
  constexpr int down = tiles_down<width>(), keys = tile_keys<width>(), rows = block_rows<width>();
  AO_SHARED(uint16_t, shared);
  uint16_t* const q_tile = shared; // [rows][width], then two of keys and values
  uint16_t* const stages = q_tile + rows * width;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
  const int64_t b = blockIdx.y / p.kv_heads, head = blockIdx.y % p.kv_heads, total = p.tokens * p.group();
  const int64_t begin = (int64_t{gridDim.x} - 1 - blockIdx.x) * rows; // those that see most keys first
  if (p.pos && blockIdx.x == 0 && head == 0 && threadIdx.x == 0) {
    const int64_t first = p.first(b);
    if (first < 0 || (p.causal && first + p.tokens > p.keys)) report(site, kKeysShort, p.tokens, first, p.keys);
  }
  const auto key_tile = [&](int stage) { return stages + stage * (sums_only ? 1 : 2) * keys * width; };
  const auto value_tile = [&](int stage) { return key_tile(stage) + keys * width; };
  const int64_t end = begin + rows < total ? begin + rows : total;
  const int64_t from = p.low(b, begin / p.group()), to = p.high(b, (end - 1) / p.group());
  const auto fetch = [&](int stage, int64_t at) {
    load_rows<width, keys>(key_tile(stage), first_key(p, b, head) + at * p.k_strides[2], p.k_strides[2], to - at,
                           p.dim);
    if constexpr (!sums_only)
      load_rows<width, keys>(value_tile(stage), first_value(p, b, head) + at * p.v_strides[2], p.v_strides[2], to - at,
                             p.v_dim);
  };
  load_queries<width, rows>(q_tile, nullptr, p, nullptr, b, head, begin);
  fetch(0, from);
  copy_async_commit();

  const int own = warp * 16 * down;
  const float uncapped = kLog2e / scale; // scores are scaled once more
  int row_low[down][2], row_high[down][2];
  float acc[down][width / 8][4] = {}, most[down][2], sum[down][2];
#pragma unroll
  for (int m = 0; m < down; m++)
    for (int r = 0; r < 2; r++) {
      const int64_t row = begin + own + 16 * m + g + 8 * r;
      const int64_t token = (row < total ? row : total - 1) / p.group();
      row_low[m][r] = static_cast<int>(p.low(b, token)), row_high[m][r] = static_cast<int>(p.high(b, token));
      most[m][r] = -INFINITY, sum[m][r] = 0;
    }
  // tiles within [all_low, all_high) need no look at single keys
  const int64_t all_low = p.low(b, (end - 1) / p.group()), all_high = p.high(b, begin / p.group());
  int stage = 0;
  for (int64_t at = from; at < to; at += keys, stage ^= 1) {
    if (at + keys < to) fetch(stage ^ 1, at + keys);
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    float s[down][keys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < width / 16; k++) {
      uint32_t a[down][4];
#pragma unroll
      for (int m = 0; m < down; m++) left_side<width>(a[m], q_tile, own + 16 * m, k);
#pragma unroll
      for (int n = 0; n < keys / 8; n += 2) {
        uint32_t first[2], second[2];
        right_rows<width>(first, second, key_tile(stage), 8 * n, k);
#pragma unroll
        for (int m = 0; m < down; m++) mma16<dtype>(s[m][n], a[m], first), mma16<dtype>(s[m][n + 1], a[m], second);
      }
    }
    if (p.softcap > 0)
#pragma unroll
      for (int i = 0; i < down * keys / 2; i++) {
        float& x = s[i / (keys / 2)][i / 4 % (keys / 8)][i % 4];
        x = p.capped(x * p.scale) * uncapped;
      }
    if (at < all_low || at + keys > all_high)
#pragma unroll
      for (int i = 0; i < down * keys / 2; i++) {
        const int m = i / (keys / 2), n = i / 4 % (keys / 8), r = i % 4 / 2,
                  j = static_cast<int>(at) + 8 * n + 2 * t + i % 2;
        if (j < row_low[m][r] || j >= row_high[m][r]) s[m][n][i % 4] = -INFINITY;
      }
#pragma unroll
    for (int m = 0; m < down; m++) {
#pragma unroll
      for (int r = 0; r < 2; r++) {
        float here = -INFINITY;
#pragma unroll
        for (int n = 0; n < keys / 8; n++) here = fmaxf(here, fmaxf(s[m][n][2 * r], s[m][n][2 * r + 1]));
        const float next = fmaxf(most[m][r], most_of_row(here) * scale), base = next == -INFINITY ? 0.0f : next;
        const float before = power2(most[m][r] - base);
        most[m][r] = next;
        float here_sum = 0;
#pragma unroll
        for (int n = 0; n < keys / 8; n++)
#pragma unroll
          for (int i = 2 * r; i < 2 * r + 2; i++) here_sum += s[m][n][i] = power2(fmaf(s[m][n][i], scale, -base));
        sum[m][r] = sum[m][r] * before + here_sum;
        if constexpr (!sums_only)
#pragma unroll
          for (int n = 0; n < width / 8; n++) acc[m][n][2 * r] *= before, acc[m][n][2 * r + 1] *= before;
      }
    }
    if constexpr (!sums_only) {
#pragma unroll
      for (int k = 0; k < keys / 16; k++) {
        uint32_t a[down][4];
#pragma unroll
        for (int m = 0; m < down; m++) as_left<dtype>(a[m], s[m][2 * k], s[m][2 * k + 1]);
#pragma unroll
        for (int n = 0; n < width / 16; n++) {
          uint32_t first[2], second[2];
          right_columns<width>(first, second, value_tile(stage), 16 * k, n);
#pragma unroll
          for (int m = 0; m < down; m++)
            mma16<dtype>(acc[m][2 * n], a[m], first), mma16<dtype>(acc[m][2 * n + 1], a[m], second);
        }
      }
    }
    __syncthreads(); // before the tile is written again
  }
#pragma unroll
  for (int m = 0; m < down; m++)
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float l = sum_row(sum[m][r]), inverse = most[m][r] == -INFINITY ? 0.0f : 1.0f / l;
      const int64_t n = begin + own + 16 * m + g + 8 * r;
      if (n >= total) continue;
      const QueryRow row = query_row(p, head, n);
      if (lse && t == 0) lse[(b * p.q_heads + row.head) * p.tokens + row.token] = (most[m][r] + log2f(l)) / kLog2e;
      if constexpr (!sums_only) {
        const int64_t at = (b * p.tokens + row.token) * p.q_heads + row.head;
        uint32_t* to_row = reinterpret_cast<uint32_t*>(static_cast<uint16_t*>(out) + at * p.v_dim);
#pragma unroll
        for (int c = 0; c < width / 8; c++)
          if (8 * c < p.v_dim)
            to_row[4 * c + t] = pack16<dtype>(acc[m][c][2 * r] * inverse, acc[m][c][2 * r + 1] * inverse);
      }
    }
}

template <int dtype, int width, bool sums_only>
int run(ao_ctx* ctx, void* out, float* lse, const Attention& p) {
  const int64_t rows = p.tokens * (p.q_heads / p.kv_heads);
  const dim3 grid(static_cast<unsigned>(ceil_div(rows, block_rows<width>())),
                  static_cast<unsigned>(p.batch * p.kv_heads));
  const int tiles = sums_only ? 2 : 4;
  const size_t shared =
      static_cast<size_t>(block_rows<width>() + tiles * tile_keys<width>()) * width * sizeof(uint16_t);
  return launch(ctx, "sdpa", sdpa_flash_kernel<dtype, width, sums_only>, grid, kWarps * kWarp, shared, out, lse, p,
                p.scale * kLog2e, ctx->site);
}

template <int dtype>
int by_width(ao_ctx* ctx, void* out, float* lse, const Attention& p) {
  const int64_t widest = p.dim > p.v_dim ? p.dim : p.v_dim;
  return widest <= 64    ? run<dtype, 64, false>(ctx, out, lse, p)
         : widest <= 128 ? run<dtype, 128, false>(ctx, out, lse, p)
                         : run<dtype, 256, false>(ctx, out, lse, p);
}

} // namespace

bool takes_flash(const Attention& p) {
  return p.scale > 0 && p.dtype != AO_F32 && p.kv_dtype == p.dtype && !p.k_rows.bits && !p.v_rows.bits && !p.mask &&
         p.dim <= 256 && p.v_dim <= 256 && p.keys > 0 && p.batch * p.kv_heads <= 65535 && rows_of_16(p);
}

int run_flash(ao_ctx* ctx, void* out, float* lse, const Attention& p) {
  return p.dtype == AO_BF16 ? by_width<AO_BF16>(ctx, out, lse, p) : by_width<AO_F16>(ctx, out, lse, p);
}

int run_flash_lse(ao_ctx* ctx, float* lse, const Attention& p) {
  return p.dim <= 64 ? run<AO_BF16, 64, true>(ctx, nullptr, lse, p) : run<AO_BF16, 128, true>(ctx, nullptr, lse, p);
}

} // namespace ao
