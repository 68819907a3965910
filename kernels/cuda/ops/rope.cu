// rope and kv_append; kernels/cpu/ops/rope.cc and kv_append.cc. What lies outside tables or cache is reported and not written. A warp has a
// row of a head. In a plan, where a decoder rotates keys and queries and appends keys and values, one kernel does the four.
#include "base/early.h"
#include "base/elements.h"
#include "ops/code_row.h"
#include "ops/fused.h"
#include "ops/map.h"

namespace ao {
namespace {

constexpr int kWarps = 4;

struct Rope {
  void* out;
  const void* x;
  const float *cos, *sin;
  const int32_t* positions;
  int64_t rows, heads, dim, half, row_stride, head_stride, count, table_rows;
};

template <int d>
__device__ void rope_row(const Rope& a, int64_t n, const Site& site) {
  const int lane = threadIdx.x % kWarp;
  const uint32_t heads = static_cast<uint32_t>(a.heads);
  const int64_t h = static_cast<uint32_t>(n) % heads, r = static_cast<uint32_t>(n) / heads,
                from = r * a.row_stride + h * a.head_stride, to = n * a.dim;
  const int64_t which = a.count == 1 ? 0 : static_cast<uint32_t>(r) % static_cast<uint32_t>(a.count);
  int64_t position = a.half ? a.positions[which] : 0;
  if (a.half && (position < 0 || position >= a.table_rows)) {
    if (h == 0 && lane == 0) report(site, kPositionOutside, position, which, a.table_rows);
    position = 0;
  }
  for (int64_t i = lane; i < a.half; i += kWarp) {
    const float x = load<d>(a.x, from + i), y = load<d>(a.x, from + a.half + i);
    const float c = a.cos[position * a.half + i], s = a.sin[position * a.half + i];
    store<d>(a.out, to + i, x * c - y * s);
    store<d>(a.out, to + a.half + i, y * c + x * s);
  }
  for (int64_t i = 2 * a.half + lane; i < a.dim; i += kWarp) store<d>(a.out, to + i, load<d>(a.x, from + i));
}

// The same where halves are whole 16-byte pieces and nothing is behind them: a thread rotates a piece of one half with that of the other.
template <int d>
__global__ void rope_wide_kernel(Rope a, Site site) {
  constexpr int count = Piece<d>::count;
  const uint32_t pieces = static_cast<uint32_t>(a.half / count), heads = static_cast<uint32_t>(a.heads);
  const int64_t step = int64_t{gridDim.x} * blockDim.x, all = a.rows * a.heads * pieces;
  let_next_start();
  await_previous();
  for (int64_t n = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; n < all; n += step) {
    const uint32_t row = static_cast<uint32_t>(n / pieces), piece = static_cast<uint32_t>(n % pieces);
    const uint32_t h = row % heads, r = row / heads;
    const int64_t which = a.count == 1 ? 0 : r % static_cast<uint32_t>(a.count);
    int64_t position = a.positions[which];
    if (position < 0 || position >= a.table_rows) {
      if (h == 0 && piece == 0) report(site, kPositionOutside, position, which, a.table_rows);
      position = 0;
    }
    const int64_t from = (r * a.row_stride + h * a.head_stride) / count + piece, to = int64_t{row} * 2 * pieces + piece;
    Piece<d> x, y;
    x.load(a.x, from), y.load(a.x, from + pieces);
    const float4* cos = reinterpret_cast<const float4*>(a.cos + position * a.half) + piece * (count / 4);
    const float4* sin = reinterpret_cast<const float4*>(a.sin + position * a.half) + piece * (count / 4);
    for (int k = 0; k < count; k += 4) {
      const float4 c4 = cos[k / 4], s4 = sin[k / 4];
      const float c[4] = {c4.x, c4.y, c4.z, c4.w}, s[4] = {s4.x, s4.y, s4.z, s4.w};
      for (int j = 0; j < 4; j++) {
        const float first = x.v[k + j], second = y.v[k + j];
        x.v[k + j] = first * c[j] - second * s[j];
        y.v[k + j] = second * c[j] + first * s[j];
      }
    }
    x.store(a.out, to), y.store(a.out, to + pieces);
  }
}

template <int d>
bool rope_is_wide(const Rope& a) {
  constexpr int count = Piece<d>::count;
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  return a.half > 0 && a.half % count == 0 && a.dim == 2 * a.half && a.row_stride % count == 0 &&
         a.head_stride % count == 0 && aligned(a.out) && aligned(a.x) && aligned(a.cos) && aligned(a.sin);
}

struct Append {
  void* cache;
  const void* x;
  const int32_t* pos;
  int64_t pos_count, batch, tokens, heads, dim, capacity;
  int64_t cache_strides[3], x_strides[3];
  int64_t cache_dtype, x_dtype;
  CodeRows rows;
  AO_HD int64_t count() const { return batch * tokens * heads; }
};

__device__ void append_row(const Append& a, int64_t n, const Site& site) {
  const int lane = threadIdx.x % kWarp;
  const uint32_t heads = static_cast<uint32_t>(a.heads), tokens = static_cast<uint32_t>(a.tokens);
  const uint32_t row = static_cast<uint32_t>(n) / heads;
  const int64_t h = static_cast<uint32_t>(n) % heads, t = row % tokens, b = row / tokens;
  const int64_t p = a.pos[a.pos_count == 1 ? 0 : b % a.pos_count];
  if (p < 0 || p + a.tokens > a.capacity) {
    if (lane == 0) report(site, kCacheFull, a.tokens, p, a.capacity);
    return;
  }
  const int64_t from = b * a.x_strides[0] + t * a.x_strides[1] + h * a.x_strides[2];
  const int64_t to = b * a.cache_strides[0] + h * a.cache_strides[1] + (p + t) * a.cache_strides[2];
  if (a.rows.bits) return write_code_row(a.rows, static_cast<uint8_t*>(a.cache) + to, a.x, from, a.x_dtype, a.dim);
  if (a.cache_dtype != a.x_dtype) {
    for (int64_t i = lane; i < a.dim; i += kWarp)
      store_float(a.cache_dtype, a.cache, to + i, load_float(a.x_dtype, a.x, from + i));
    return;
  }
  const int size = ao_dtype_size(a.cache_dtype);
  for (int64_t i = lane; i < a.dim; i += kWarp) move(a.cache, to + i, a.x, from + i, size);
}

template <int d>
__global__ void rope_kernel(Rope a, Site site) {
  let_next_start();
  await_previous();
  const int64_t step = int64_t{gridDim.x} * kWarps;
  for (int64_t n = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarp; n < a.rows * a.heads; n += step)
    rope_row<d>(a, n, site);
}

__global__ void kv_append_kernel(Append a, Site site) {
  let_next_start();
  await_previous();
  const int64_t step = int64_t{gridDim.x} * kWarps;
  for (int64_t n = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarp; n < a.count(); n += step) append_row(a, n, site);
}

// Rows of queries, of keys, which are appended once they are rotated, and of values.
template <int d>
__global__ void rope_append_kernel(Rope query, Rope key, Append keys, Append values, Site site) {
  let_next_start();
  await_previous();
  const int64_t q = query.rows * query.heads, k = key.rows * key.heads, all = q + k + values.count();
  const int64_t step = int64_t{gridDim.x} * kWarps;
  for (int64_t n = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarp; n < all; n += step) {
    if (n < q) {
      rope_row<d>(query, n, site);
    } else if (n < q + k) {
      rope_row<d>(key, n - q, site);
      __syncwarp();
      append_row(keys, n - q, site);
    } else {
      append_row(values, n - q - k, site);
    }
  }
}

int need_rope(ao_ctx* ctx, const ao_rope_args* a) {
  if (need_float(ctx, "rope", a->dtype)) return 1;
  if (a->rotary_dim % 2 || a->rotary_dim < 0 || a->rotary_dim > a->dim)
    return ao_fail(ctx, "rope: rotary_dim %lld does not halve within heads of %lld",
                   static_cast<long long>(a->rotary_dim), static_cast<long long>(a->dim));
  if (a->rows > 0 && a->position_count < 1) return ao_fail(ctx, "rope: there are no positions");
  if (a->rows * a->heads > UINT32_MAX)
    return ao_fail(ctx, "rope: %lld rows of %lld heads; the GPU takes 2^32 of both", static_cast<long long>(a->rows),
                   static_cast<long long>(a->heads));
  return 0;
}

Rope rope_of_args(const ao_rope_args* a) {
  return {a->out,
          a->x,
          static_cast<const float*>(a->cos),
          static_cast<const float*>(a->sin),
          static_cast<const int32_t*>(a->positions),
          a->rows,
          a->heads,
          a->dim,
          a->rotary_dim / 2,
          a->x_row_stride,
          a->x_head_stride,
          a->position_count,
          a->table_rows};
}

int need_append(ao_ctx* ctx, const ao_kv_append_args* a) {
  if (need_known(ctx, "kv_append", a->cache_dtype)) return 1;
  const CodeRows rows{static_cast<int>(a->bits), a->asymmetric != 0};
  if (need_code_rows(ctx, "kv_append", rows, a->dim)) return 1;
  if (rows.bits && need_float(ctx, "kv_append", a->x_dtype)) return 1;
  if (!rows.bits && a->cache_dtype != a->x_dtype &&
      (a->x_dtype != AO_F32 || need_float(ctx, "kv_append", a->cache_dtype)))
    return ao_fail(ctx, "kv_append: %s does not go into a cache of %s; x has the cache's dtype or is float32",
                   ao_dtype_name(a->x_dtype), ao_dtype_name(a->cache_dtype));
  if (a->batch * a->tokens * a->heads > UINT32_MAX)
    return ao_fail(ctx, "kv_append: %lld tokens of %lld heads; the GPU takes 2^32 of both",
                   static_cast<long long>(a->batch * a->tokens), static_cast<long long>(a->heads));
  return 0;
}

Append append_of_args(const ao_kv_append_args* a) {
  Append s{a->cache,
           a->x,
           static_cast<const int32_t*>(a->pos),
           a->pos_count,
           a->batch,
           a->tokens,
           a->heads,
           a->dim,
           a->capacity,
           {},
           {},
           a->cache_dtype,
           a->x_dtype,
           {static_cast<int>(a->bits), a->asymmetric != 0}};
  for (int i = 0; i < 3; i++) s.cache_strides[i] = a->cache_strides[i], s.x_strides[i] = a->x_strides[i];
  return s;
}

// Whether a's x is what r wrote, rows of heads side by side, so that row n of one is row n of the other.
bool follows(const ao_kv_append_args& a, const ao_rope_args& r) {
  return a.x == r.out && a.x_dtype == r.dtype && a.dim == r.dim && a.heads == r.heads && a.batch * a.tokens == r.rows &&
         (a.heads == 1 || a.x_strides[2] == a.dim) && (a.tokens == 1 || a.x_strides[1] == a.heads * a.dim) &&
         (a.batch == 1 || a.x_strides[0] == a.tokens * a.heads * a.dim);
}

// Memory from its first to its last byte.
struct Span {
  const char *from, *to;
  Span(const void* at, int64_t elements, int64_t dtype)
      : from(static_cast<const char*>(at)), to(from + elements * ao_dtype_size(dtype)) {}
  bool meets(const Span& other) const { return from < other.to && other.from < to; }
};
Span read_by(const ao_rope_args& r) {
  return {r.x, (r.rows - 1) * r.x_row_stride + (r.heads - 1) * r.x_head_stride + r.dim, r.dtype};
}
Span written_by(const ao_rope_args& r) { return {r.out, r.rows * r.heads * r.dim, r.dtype}; }
Span read_by(const ao_kv_append_args& a) {
  return {a.x,
          (a.batch - 1) * a.x_strides[0] + (a.tokens - 1) * a.x_strides[1] + (a.heads - 1) * a.x_strides[2] + a.dim,
          a.x_dtype};
}

} // namespace

int rope_append(ao_ctx* ctx, const ao_rope_args& key, const ao_rope_args& query, const ao_kv_append_args& keys,
                const ao_kv_append_args& values, bool* done) {
  *done = false;
  if (key.dtype != query.dtype || key.rows == 0 || query.rows == 0 || values.batch * values.tokens == 0 ||
      !follows(keys, key))
    return 0;
  // memory that was let go in between may have been given to the next
  const Span rotated = written_by(key), queries = written_by(query);
  if (rotated.meets(queries) || rotated.meets(read_by(query)) || rotated.meets(read_by(values)) ||
      queries.meets(read_by(key)) || queries.meets(read_by(values)))
    return 0;
  if (need_rope(ctx, &key) || need_rope(ctx, &query) || need_append(ctx, &keys) || need_append(ctx, &values)) return 1;
  *done = true;
  const int64_t rows = query.rows * query.heads + key.rows * key.heads + values.batch * values.tokens * values.heads;
  return by_dtype(key.dtype, [&](auto tag) {
    return launch_early(ctx, "rope", rope_append_kernel<decltype(tag)::dtype>, blocks_for(ctx, rows, kWarps),
                        kWarps * kWarp, 0, rope_of_args(&query), rope_of_args(&key), append_of_args(&keys),
                        append_of_args(&values), ctx->site);
  });
}

} // namespace ao

using namespace ao;

extern "C" int ao_cuda_rope(const ao_rope_args* a, ao_ctx* ctx) {
  if (a->rows == 0 || a->heads == 0 || a->dim == 0) return need_float(ctx, "rope", a->dtype);
  if (need_rope(ctx, a)) return 1;
  return by_dtype(a->dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const Rope rope = rope_of_args(a);
    if (rope_is_wide<d>(rope))
      return launch_early(ctx, "rope", rope_wide_kernel<d>,
                          blocks_for(ctx, a->rows * a->heads * (rope.half / Piece<d>::count)), kThreads, 0, rope,
                          ctx->site);
    return launch_early(ctx, "rope", rope_kernel<d>, blocks_for(ctx, a->rows * a->heads, kWarps), kWarps * kWarp, 0,
                        rope, ctx->site);
  });
}

extern "C" int ao_cuda_kv_append(const ao_kv_append_args* a, ao_ctx* ctx) {
  if (need_append(ctx, a)) return 1;
  const int64_t n = a->batch * a->tokens * a->heads;
  if (n == 0) return 0;
  return launch_early(ctx, "kv_append", kv_append_kernel, blocks_for(ctx, n, kWarps), kWarps * kWarp, 0,
                      append_of_args(a), ctx->site);
}
