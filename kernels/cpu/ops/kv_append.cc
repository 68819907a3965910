// kv_append: cache[b, h, p + t, :] = x[b, t, h, :], t < tokens, p = pos[b % pos_count] (int32, one or one per b).
//   cache strides (batch, head, position), x strides (batch, token, head), the last dims contiguous. x has the cache's dtype, or
//   is float32 and rounded to it; where bits is 8 or 4 the cache has code rows (ops/code_rows.h) and its strides count bytes.
// p + tokens > capacity is an error before anything is written.
#include <string.h>

#include "ops/check.h"
#include "ops/code_rows.h"
#include "ops/elementwise.h"
#include "ops/rows.h"

extern "C" int ao_cpu_kv_append(const ao_kv_append_args* a, ao_ctx* ctx) {
  if (ao::need_known(ctx, "kv_append", a->cache_dtype)) return 1;
  const ao::CodeRows rows{static_cast<int>(a->bits), a->asymmetric != 0};
  if (ao::need_code_rows(ctx, "kv_append", rows, a->dim)) return 1;
  if (rows.bits && ao::need_float(ctx, "kv_append", a->x_dtype)) return 1;
  const bool rounds = a->cache_dtype != a->x_dtype;
  if (!rows.bits && rounds && (a->x_dtype != AO_F32 || ao::need_float(ctx, "kv_append", a->cache_dtype)))
    return ao_fail(ctx, "kv_append: %s does not go into a cache of %s; x has the cache's dtype or is float32",
                   ao_dtype_name(a->x_dtype), ao_dtype_name(a->cache_dtype));
  const int32_t* pos = static_cast<const int32_t*>(a->pos);
  for (int64_t i = 0; i < a->pos_count; i++) {
    if (pos[i] < 0 || pos[i] + a->tokens > a->capacity)
      return ao_fail(ctx,
                     "kv_append: %lld tokens at position %d go beyond the cache's %lld positions; make a longer cache "
                     "or start over",
                     static_cast<long long>(a->tokens), pos[i], static_cast<long long>(a->capacity));
  }
  const size_t bytes = static_cast<size_t>(a->dim * ao_dtype_size(a->cache_dtype));
  const auto round = AO_ISA_PICK(ctx, store_run);
  const auto load = AO_ISA_PICK(ctx, load_run);
  const auto write = AO_ISA_PICK(ctx, code_row_write);
  float* rooms = ao::scratch<float>(ctx, rows.bits ? a->dim * ao_ctx_threads(ctx) : 1);
  if (!rooms) return 1;
  ao::parallel_for(
      ctx, a->batch * a->tokens, ao::rows_per_chunk(a->heads * a->dim), [&](int64_t begin, int64_t end, int thread) {
        for (int64_t r = begin; r < end; r++) {
          const int64_t b = r / a->tokens, t = r % a->tokens, p = pos[b % a->pos_count];
          for (int64_t h = 0; h < a->heads; h++) {
            void* row = ao::element(a->cache, a->cache_dtype,
                                    b * a->cache_strides[0] + h * a->cache_strides[1] + (p + t) * a->cache_strides[2]);
            const void* x =
                ao::element(a->x, a->x_dtype, b * a->x_strides[0] + t * a->x_strides[1] + h * a->x_strides[2]);
            if (rows.bits) {
              float* values = rooms + thread * a->dim;
              load(a->x_dtype, x, values, a->dim);
              write(rows, static_cast<unsigned char*>(row), values, a->dim);
            } else if (rounds)
              round(a->cache_dtype, row, static_cast<const float*>(x), a->dim);
            else
              memcpy(row, x, bytes);
          }
        }
      });
  return 0;
}
