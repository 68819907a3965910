// rope and kv_append; kernels/cpu/ops/rope.cc and kv_append.cc. What lies outside tables or cache is reported and not written.
#include "base/ctx.h"
#include "base/elements.h"
#include "ops/code_row.h"

namespace ao {
namespace {

template <int d>
__global__ void rope_kernel(void* out, const void* x, const float* cos, const float* sin, const int32_t* positions,
                            int64_t rows, int64_t heads, int64_t dim, int64_t half, int64_t row_stride,
                            int64_t head_stride, int64_t count, int64_t table_rows, Site site) {
  const int64_t work = dim - half; // pairs, and what is copied
  for (int64_t n = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; n < rows * heads * work;
       n += int64_t{gridDim.x} * blockDim.x) {
    const int64_t i = n % work, h = n / work % heads, r = n / work / heads;
    const int64_t from = r * row_stride + h * head_stride, to = (r * heads + h) * dim;
    if (i >= half) {
      store<d>(out, to + half + i, load<d>(x, from + half + i));
      continue;
    }
    int64_t position = positions[r % count];
    if (position < 0 || position >= table_rows) {
      if (h == 0 && i == 0) report(site, kPositionOutside, position, r % count, table_rows);
      position = 0;
    }
    const float a = load<d>(x, from + i), b = load<d>(x, from + half + i);
    const float c = cos[position * half + i], s = sin[position * half + i];
    store<d>(out, to + i, a * c - b * s);
    store<d>(out, to + half + i, b * c + a * s);
  }
}

struct Append {
  void* cache;
  const void* x;
  const int32_t* pos;
  int64_t pos_count, batch, tokens, heads, dim, capacity;
  int64_t cache_strides[3], x_strides[3];
  int64_t cache_dtype, x_dtype;
  CodeRows rows;
};

// One warp a row.
__global__ void kv_append_kernel(Append a, Site site) {
  const int lane = threadIdx.x % kWarp;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kWarp);
  for (int64_t n = blockIdx.x * int64_t{blockDim.x / kWarp} + threadIdx.x / kWarp; n < a.batch * a.tokens * a.heads;
       n += step) {
    const int64_t h = n % a.heads, t = n / a.heads % a.tokens, b = n / a.heads / a.tokens;
    const int64_t p = a.pos[b % a.pos_count];
    if (p < 0 || p + a.tokens > a.capacity) {
      if (lane == 0) report(site, kCacheFull, a.tokens, p, a.capacity);
      continue;
    }
    const int64_t from = b * a.x_strides[0] + t * a.x_strides[1] + h * a.x_strides[2];
    const int64_t to = b * a.cache_strides[0] + h * a.cache_strides[1] + (p + t) * a.cache_strides[2];
    if (a.rows.bits) {
      write_code_row(a.rows, static_cast<uint8_t*>(a.cache) + to, a.x, from, a.x_dtype, a.dim);
    } else if (a.cache_dtype != a.x_dtype) {
      for (int64_t i = lane; i < a.dim; i += kWarp)
        store_float(a.cache_dtype, a.cache, to + i, load_float(a.x_dtype, a.x, from + i));
    } else {
      const int size = ao_dtype_size(a.cache_dtype);
      uint8_t* target = static_cast<uint8_t*>(a.cache) + to * size;
      const uint8_t* source = static_cast<const uint8_t*>(a.x) + from * size;
      if (size == 2) {
        for (int64_t i = lane; i < a.dim; i += kWarp)
          reinterpret_cast<uint16_t*>(target)[i] = reinterpret_cast<const uint16_t*>(source)[i];
      } else if (size == 4) {
        for (int64_t i = lane; i < a.dim; i += kWarp)
          reinterpret_cast<uint32_t*>(target)[i] = reinterpret_cast<const uint32_t*>(source)[i];
      } else {
        for (int64_t i = lane; i < a.dim * size; i += kWarp) target[i] = source[i];
      }
    }
  }
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_rope(const ao_rope_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "rope", a->dtype)) return 1;
  if (a->rotary_dim % 2 || a->rotary_dim < 0 || a->rotary_dim > a->dim)
    return ao_fail(ctx, "rope: rotary_dim %lld does not halve within heads of %lld",
                   static_cast<long long>(a->rotary_dim), static_cast<long long>(a->dim));
  const int64_t half = a->rotary_dim / 2, n = a->rows * a->heads * (a->dim - half);
  if (n == 0) return 0;
  if (a->position_count < 1) return ao_fail(ctx, "rope: there are no positions");
  return by_dtype(a->dtype, [&](auto tag) {
    return launch(ctx, "rope", rope_kernel<decltype(tag)::dtype>, blocks_for(ctx, n), kThreads, 0, a->out, a->x,
                  static_cast<const float*>(a->cos), static_cast<const float*>(a->sin),
                  static_cast<const int32_t*>(a->positions), a->rows, a->heads, a->dim, half, a->x_row_stride,
                  a->x_head_stride, a->position_count, a->table_rows, ctx->site);
  });
}

extern "C" int ao_cuda_kv_append(const ao_kv_append_args* a, ao_ctx* ctx) {
  if (need_known(ctx, "kv_append", a->cache_dtype)) return 1;
  const CodeRows rows{static_cast<int>(a->bits), a->asymmetric != 0};
  if (need_code_rows(ctx, "kv_append", rows, a->dim)) return 1;
  if (rows.bits && need_float(ctx, "kv_append", a->x_dtype)) return 1;
  if (!rows.bits && a->cache_dtype != a->x_dtype &&
      (a->x_dtype != AO_F32 || need_float(ctx, "kv_append", a->cache_dtype)))
    return ao_fail(ctx, "kv_append: %s does not go into a cache of %s; x has the cache's dtype or is float32",
                   ao_dtype_name(a->x_dtype), ao_dtype_name(a->cache_dtype));
  const int64_t n = a->batch * a->tokens * a->heads;
  if (n == 0) return 0;
  Append s{a->cache,     a->x,     static_cast<const int32_t*>(a->pos),
           a->pos_count, a->batch, a->tokens,
           a->heads,     a->dim,   a->capacity,
           {},           {},       a->cache_dtype,
           a->x_dtype,   rows};
  for (int i = 0; i < 3; i++) s.cache_strides[i] = a->cache_strides[i], s.x_strides[i] = a->x_strides[i];
  return launch(ctx, "kv_append", kv_append_kernel, blocks_for(ctx, n, 4), 4 * kWarp, 0, s, ctx->site);
}
