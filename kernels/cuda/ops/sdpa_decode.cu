// sdpa for few query rows (at most 64 of all heads of a key head, 16 a block), bound by reading keys and values: each lane has
// 16 bytes of a row straight from memory as fragments of the tensor cores. Which columns of a head and which keys share a fragment does
// not matter to a sum, so lanes take the ones that lie side by side:
//   scores   lane (g, t): key g of 8, columns 8 (4 i + t) .. + 7 of step pair i
//   values   lane (g, t): keys 2 t, 2 t + 1, 2 t + 8, 2 t + 9 of 16, columns 64 h + 8 g .. + 7; column tile (h, j) is 64 h + 8 g + j
// The keys that are there, which only the device knows, go to the blocks of a head in runs of whole tiles; its last block joins the parts in
// order. Codes are multiplied as they are, their scales join scores and weights.
#include "base/early.h"
#include "ops/fragments.h"
#include "ops/sdpa.h"

namespace ao {
namespace {

constexpr int kWarps = 8, kRows = 16, kMostRows = 64, kKeys = 16, kLeastKeys = 128;

// Tiles of floats that are on their way or in use, in shared memory, each lane's 16 bytes side by side: nobody else reads them.
template <int width, bool coded>
constexpr int stages_of() {
  return coded || width > 128 ? 0 : width > 64 ? 3 : 4;
}
template <int width>
constexpr int pieces_of() {
  return 2 * (width / 32) + 4 * (width / 64);
}

struct Split {
  int64_t splits; // most blocks of a head
  float* parts;   // [item][split][row]: m, l, v_dim sums
  unsigned* arrivals;
};

__device__ inline float scale_of(CodeRows rows, const uint8_t* row) {
  return rows.bits ? *reinterpret_cast<const float*>(row) : 1.0f;
}
__device__ inline float start_of(CodeRows rows, const uint8_t* row) {
  return rows.asymmetric ? *reinterpret_cast<const float*>(row + 4) : 0.0f;
}

// m, l and sums of rows of several parts: `at(part, i)` is value i, 0: m, 1: l, from 2 on the sums.
template <class At>
__device__ float joined(int64_t parts, int64_t i, float* m, float* l, const At& at) {
  float most = -INFINITY, total = 0, sum = 0;
#pragma unroll 8
  for (int64_t p = 0; p < parts; p++) most = fmaxf(most, at(p, 0));
#pragma unroll 8
  for (int64_t p = 0; p < parts; p++) {
    const float part = at(p, 0), factor = part == -INFINITY ? 0.0f : power2(part - most);
    total += at(p, 1) * factor, sum += at(p, 2 + i) * factor;
  }
  *m = most, *l = total;
  return sum;
}

template <int dtype, int width, bool coded>
__global__ void __launch_bounds__(kWarps* kWarp, 1)
    sdpa_decode_kernel(void* out, Attention p, Split split, float scale, Site site) {
  constexpr int chunks = width / 32, steps = width / 16, halves = width / 64;
  AO_SHARED(float, shared); // [warp][row][2 + v_dim]
  __shared__ bool last;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, t = lane % 4;
  const int64_t b = blockIdx.y / p.kv_heads, head = blockIdx.y % p.kv_heads, group = p.group();
  const int64_t all = p.tokens * group, begin = int64_t{blockIdx.z} * kRows, size = p.v_dim + 2;
  const int64_t total = all - begin < kRows ? all - begin : kRows, item = int64_t{blockIdx.y} * gridDim.z + blockIdx.z;
  let_next_start();
  await_previous();
  if (p.pos && blockIdx.x == 0 && blockIdx.z == 0 && head == 0 && threadIdx.x == 0) {
    const int64_t first = p.first(b);
    if (first < 0 || (p.causal && first + p.tokens > p.keys)) report(site, kKeysShort, p.tokens, first, p.keys);
  }
  // the tiles of this block
  const int64_t low = p.low(b, begin / group), high = p.high(b, (begin + total - 1) / group),
                range = high > low ? high - low : 0;
  int64_t run = (range + split.splits - 1) / split.splits;
  run = run < kLeastKeys ? kLeastKeys : (run + kKeys - 1) / kKeys * kKeys;
  const int64_t blocks = range ? (range + run - 1) / run : 1;
  if (blockIdx.x >= blocks) return;
  const int64_t from = low + blockIdx.x * run, to = from + run < high ? from + run : high;

  uint32_t q[steps][4];
  float q_sum[2] = {0, 0}, most[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, offset[2] = {0, 0};
  int64_t row_low[2], row_high[2];
  for (int r = 0; r < 2; r++) {
    const int64_t row = g + 8 * r;
    const uint32_t n = static_cast<uint32_t>(begin + (row < total ? row : 0)), heads = static_cast<uint32_t>(group);
    const int64_t tok = n / heads, h = head * group + n % heads;
    row_low[r] = p.low(b, tok), row_high[r] = p.high(b, tok);
    const uint16_t* at = static_cast<const uint16_t*>(p.q) + p.q_at(b, tok, h);
#pragma unroll
    for (int i = 0; i < chunks; i++) {
      const int c = 4 * i + t;
      const uint4 v =
          row < total && 8 * c < p.dim ? *reinterpret_cast<const uint4*>(at + 8 * c) : make_uint4(0, 0, 0, 0);
      q[2 * i][r] = v.x, q[2 * i][2 + r] = v.y, q[2 * i + 1][r] = v.z, q[2 * i + 1][2 + r] = v.w;
      if constexpr (coded)
        for (uint32_t w : {v.x, v.y, v.z, v.w}) q_sum[r] += half_of<dtype>(w, 0) + half_of<dtype>(w, 1);
    }
    if constexpr (coded) q_sum[r] = sum_row(q_sum[r]);
  }
  float acc[halves * 8][4] = {};
  const auto k_chunk = [&](const uint8_t* row, int64_t c) {
    if (8 * c >= p.dim) return make_uint4(0, 0, 0, 0);
    if constexpr (coded) return code_chunk(p.k_rows, row, p.dim, c);
    return *reinterpret_cast<const uint4*>(row + 16 * c);
  };
  const auto v_chunk = [&](const uint8_t* row, int64_t c) {
    if (8 * c >= p.v_dim) return make_uint4(0, 0, 0, 0);
    if constexpr (coded) return code_chunk(p.v_rows, row, p.v_dim, c);
    return *reinterpret_cast<const uint4*>(row + 16 * c);
  };
  const auto clipped = [&](int64_t j) { return j < to ? j : to - 1; };
  constexpr int stages = stages_of<width, coded>(), pieces = pieces_of<width>();
  uint4* const ring = reinterpret_cast<uint4*>(shared) + warp * stages * pieces * kWarp + lane;
  const auto fetch = [&](int stage, int64_t at) {
    if (at < to) {
      uint4* to_piece = ring + stage * pieces * kWarp;
#pragma unroll
      for (int n = 0; n < 2; n++) {
        const uint8_t* row = p.k_row(b, head, clipped(at + 8 * n + g));
#pragma unroll
        for (int i = 0; i < chunks; i++, to_piece += kWarp)
          copy_async(to_piece, row + 16 * (4 * i + t), 8 * (4 * i + t) < p.dim);
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const uint8_t* row = p.v_row(b, head, clipped(at + 2 * t + i % 2 + i / 2 * 8));
#pragma unroll
        for (int h = 0; h < halves; h++, to_piece += kWarp)
          copy_async(to_piece, row + 16 * (8 * h + g), 8 * (8 * h + g) < p.v_dim);
      }
    }
    copy_async_commit();
  };
  const int64_t mine = from + warp * kKeys;
  for (int s = 0; s < stages - 1; s++) fetch(s, mine + s * kWarps * kKeys);

  int stage = 0;
  for (int64_t at = mine; at < to; at += kWarps * kKeys) {
    uint4 k[2][chunks], v[4][halves];
    const uint8_t* v_at[4];
    if constexpr (stages > 0) {
      fetch(stage ? stage - 1 : stages - 1, at + (stages - 1) * kWarps * kKeys);
      copy_async_wait<stages - 1>();
      const uint4* piece = ring + stage * pieces * kWarp;
#pragma unroll
      for (int i = 0; i < 2 * chunks; i++) k[i / chunks][i % chunks] = piece[i * kWarp];
#pragma unroll
      for (int i = 0; i < 4 * halves; i++) v[i / halves][i % halves] = piece[(2 * chunks + i) * kWarp];
      stage = stage + 1 == stages ? 0 : stage + 1;
    } else {
#pragma unroll
      for (int n = 0; n < 2; n++) {
        const uint8_t* row = p.k_row(b, head, clipped(at + 8 * n + g));
#pragma unroll
        for (int i = 0; i < chunks; i++) k[n][i] = k_chunk(row, 4 * i + t);
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        v_at[i] = p.v_row(b, head, clipped(at + 2 * t + i % 2 + i / 2 * 8));
#pragma unroll
        for (int h = 0; h < halves; h++) v[i][h] = v_chunk(v_at[i], 8 * h + g);
      }
    }
    float s[2][4];
#pragma unroll
    for (int n = 0; n < 2; n++) {
      for (float& x : s[n]) x = 0;
#pragma unroll
      for (int i = 0; i < chunks; i++) {
        const uint32_t first[2] = {k[n][i].x, k[n][i].y}, second[2] = {k[n][i].z, k[n][i].w};
        mma16<dtype>(s[n], q[2 * i], first);
        mma16<dtype>(s[n], q[2 * i + 1], second);
      }
    }
#pragma unroll
    for (int n = 0; n < 2; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int r = i / 2;
        const int64_t j = at + 8 * n + 2 * t + i % 2;
        float x = s[n][i];
        if constexpr (coded) {
          const uint8_t* row = p.k_row(b, head, clipped(j));
          x = x * scale_of(p.k_rows, row) + q_sum[r] * start_of(p.k_rows, row);
        }
        x = p.softcap > 0 ? p.capped(x * p.scale) * kLog2e : x * scale;
        s[n][i] = j < to && j >= row_low[r] && j < row_high[r] ? x : -INFINITY;
      }
    uint32_t weights[4];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float here = most_of_row(fmaxf(fmaxf(s[0][2 * r], s[0][2 * r + 1]), fmaxf(s[1][2 * r], s[1][2 * r + 1])));
      const float next = fmaxf(most[r], here), base = next == -INFINITY ? 0.0f : next;
      const float before = power2(most[r] - base);
      most[r] = next;
      sum[r] *= before;
      offset[r] *= before;
#pragma unroll
      for (int n = 0; n < halves * 8; n++) acc[n][2 * r] *= before, acc[n][2 * r + 1] *= before;
#pragma unroll
      for (int n = 0; n < 2; n++) {
        float w[2];
        for (int i = 0; i < 2; i++) {
          w[i] = power2(s[n][2 * r + i] - base);
          sum[r] += w[i];
          if constexpr (coded) {
            const uint8_t* row = v_at[2 * n + i];
            offset[r] += w[i] * start_of(p.v_rows, row);
            w[i] *= scale_of(p.v_rows, row);
          }
        }
        weights[2 * n + r] = pack16<dtype>(w[0], w[1]);
      }
    }
#pragma unroll
    for (int h = 0; h < halves; h++) {
#pragma unroll
      for (int j = 0; j < 8; j++) {
        const auto word = [&](const uint4& u) { return j / 2 == 0 ? u.x : j / 2 == 1 ? u.y : j / 2 == 2 ? u.z : u.w; };
        const uint32_t pairs[2] = {join_halves(word(v[0][h]), word(v[1][h]), j % 2),
                                   join_halves(word(v[2][h]), word(v[3][h]), j % 2)};
        mma16<dtype>(acc[8 * h + j], weights, pairs);
      }
    }
  }

  if constexpr (stages > 0) __syncthreads(); // the parts lie where the tiles did
  // warps of the block that had keys, in order
  const int64_t tiles = (to - from + kKeys - 1) / kKeys;
  const int used = tiles >= kWarps ? kWarps : tiles < 1 ? 1 : static_cast<int>(tiles);
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const float l = sum_row(sum[r]), start = coded ? sum_row(offset[r]) : 0.0f;
    const int64_t row = g + 8 * r;
    if (row >= total || warp >= used) continue;
    float* to_row = shared + (warp * total + row) * size;
    if (t == 0) to_row[0] = most[r], to_row[1] = l;
#pragma unroll
    for (int n = 0; n < halves * 8; n++)
      for (int i = 0; i < 2; i++) {
        const int64_t column = n / 8 * 64 + 8 * (2 * t + i) + n % 8;
        if (column < p.v_dim) to_row[2 + column] = acc[n][2 * r + i] + start;
      }
  }
  __syncthreads();
  const auto finish = [&](int64_t row, int64_t i, float value) {
    const uint32_t n = static_cast<uint32_t>(begin + row), heads = static_cast<uint32_t>(group);
    const int64_t tok = n / heads, h = head * group + n % heads;
    store<dtype>(out, ((b * p.tokens + tok) * p.q_heads + h) * p.v_dim + i, value);
  };
  float* parts = split.parts + item * split.splits * kRows * size;
  float m, l;
  for (uint32_t n = threadIdx.x, width_v = static_cast<uint32_t>(p.v_dim); n < total * width_v; n += blockDim.x) {
    const int64_t row = n / width_v, i = n % width_v;
    const float value =
        joined(used, i, &m, &l, [&](int64_t w, int64_t j) { return shared[(w * total + row) * size + j]; });
    if (blocks == 1) {
      finish(row, i, m == -INFINITY ? 0.0f : value / l);
      continue;
    }
    float* to_row = parts + (blockIdx.x * total + row) * size;
    to_row[2 + i] = value;
    if (i == 0) to_row[0] = m, to_row[1] = l;
  }
  if (blocks == 1) return;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(&split.arrivals[item], 1u) == blocks - 1;
    if (last) split.arrivals[item] = 0;
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  for (uint32_t n = threadIdx.x, width_v = static_cast<uint32_t>(p.v_dim); n < total * width_v; n += blockDim.x) {
    const int64_t row = n / width_v, i = n % width_v;
    const float value =
        joined(blocks, i, &m, &l, [&](int64_t s, int64_t j) { return parts[(s * total + row) * size + j]; });
    finish(row, i, m == -INFINITY ? 0.0f : value / l);
  }
}

template <int dtype, int width, bool coded>
int run(ao_ctx* ctx, void* out, const Attention& p) {
  const int64_t items = p.batch * p.kv_heads, rows = p.tokens * (p.q_heads / p.kv_heads);
  const int64_t most = ceil_div(p.keys, kLeastKeys);
  const int64_t row_blocks = ceil_div(rows, kRows);
  int64_t splits = ceil_div(ctx->multiprocessors, items * row_blocks);
  splits = splits > most ? most : splits;
  splits = splits < 1 ? 1 : splits;
  Split split{splits, nullptr, ctx->arrivals};
  if (splits > 1 && !(split.parts = scratch<float>(ctx, items * row_blocks * splits * kRows * (p.v_dim + 2)))) return 1;
  const dim3 grid(static_cast<unsigned>(splits), static_cast<unsigned>(items), static_cast<unsigned>(row_blocks));
  const size_t ring = size_t{stages_of<width, coded>()} * pieces_of<width>() * kWarps * kWarp * sizeof(uint4);
  const size_t parts = static_cast<size_t>(kWarps * (rows < kRows ? rows : kRows) * (p.v_dim + 2)) * sizeof(float);
  const size_t shared = ring > parts ? ring : parts;
  return launch_early(ctx, "sdpa", sdpa_decode_kernel<dtype, width, coded>, grid, kWarps * kWarp, shared, out, p, split,
                      p.scale * kLog2e, ctx->site);
}

template <int dtype, bool coded>
int by_width(ao_ctx* ctx, void* out, const Attention& p) {
  const int64_t widest = p.dim > p.v_dim ? p.dim : p.v_dim;
  return widest <= 64    ? run<dtype, 64, coded>(ctx, out, p)
         : widest <= 128 ? run<dtype, 128, coded>(ctx, out, p)
                         : run<dtype, 256, coded>(ctx, out, p);
}

bool rows_fit(CodeRows rows, const void* at, const int64_t (&strides)[3], int64_t dim) {
  const int64_t step = rows.bits ? 4 : 8, whole = rows.bits == 4 ? 16 : 8;
  return dim % whole == 0 && strides[0] % step == 0 && strides[1] % step == 0 && strides[2] % step == 0 &&
         reinterpret_cast<uintptr_t>(at) % (rows.bits ? 4 : 16) == 0;
}

} // namespace

bool takes_decode(const Attention& p) {
  const bool coded = p.k_rows.bits != 0;
  if (coded != (p.v_rows.bits != 0) || p.mask || p.dim > 256 || p.v_dim > 256) return false;
  if (coded ? p.dtype != AO_BF16 : p.dtype == AO_F32 || p.kv_dtype != p.dtype) return false;
  const int64_t rows = p.tokens * (p.q_heads / p.kv_heads);
  if (rows > kMostRows || p.batch * p.kv_heads * ceil_div(rows, kRows) > kArrivals || p.keys < 1) return false;
  return rows_fit({}, p.q, p.q_strides, p.dim) && rows_fit(p.k_rows, p.k, p.k_strides, p.dim) &&
         rows_fit(p.v_rows, p.v, p.v_strides, p.v_dim);
}

int run_decode(ao_ctx* ctx, void* out, const Attention& p) {
  if (p.dtype == AO_F16) return by_width<AO_F16, false>(ctx, out, p);
  return p.k_rows.bits ? by_width<AO_BF16, true>(ctx, out, p) : by_width<AO_BF16, false>(ctx, out, p);
}

} // namespace ao
