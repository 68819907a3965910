// rope: rotary positions, Hugging Face's half-split form. With h = rotary_dim / 2, p = positions[row % position_count]
// and c, s row p of the float32 tables cos, sin [table_rows, h]:
//   out[row, head, i]     = x[row, head, i]     c[i] - x[row, head, h + i] s[i]
//   out[row, head, h + i] = x[row, head, h + i] c[i] + x[row, head, i]     s[i]      i < h; the rest of `dim` is
//   copied.
// x [rows, heads, dim] with strides x_row_stride, x_head_stride; out contiguous and not x; float32 math, one rounding.
// positions is int32: one per row, or one per token shared by a batch. A position outside the tables is an error that
// names it.
#include <string.h>

#include "ops/check.h"
#include "ops/elementwise.h"
#include "ops/rows.h"

extern "C" int ao_cpu_rope(const ao_rope_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "rope", a->dtype)) return 1;
  if (a->rotary_dim % 2 || a->rotary_dim < 0 || a->rotary_dim > a->dim)
    return ao_fail(ctx, "rope: rotary_dim %lld does not halve within heads of %lld",
                   static_cast<long long>(a->rotary_dim), static_cast<long long>(a->dim));
  const int32_t* positions = static_cast<const int32_t*>(a->positions);
  const int64_t count = a->rows < a->position_count ? a->rows : a->position_count;
  if (a->rows > 0 && count < 1) return ao_fail(ctx, "rope: there are no positions");
  for (int64_t i = 0; i < count; i++) {
    if (positions[i] < 0 || positions[i] >= a->table_rows)
      return ao_fail(ctx,
                     "rope: position %d of token %lld is outside the tables of %lld positions; build longer tables",
                     positions[i], static_cast<long long>(i), static_cast<long long>(a->table_rows));
  }
  const auto run = AO_ISA_PICK(ctx, rope_row);
  const int64_t half = a->rotary_dim / 2;
  const size_t rest = static_cast<size_t>((a->dim - a->rotary_dim) * ao_dtype_size(a->dtype));
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->heads * a->dim), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t at = positions[r % a->position_count] * half;
      for (int64_t h = 0; h < a->heads; h++) {
        const void* x = ao::element(a->x, a->dtype, r * a->x_row_stride + h * a->x_head_stride);
        void* out = ao::element(a->out, a->dtype, (r * a->heads + h) * a->dim);
        run(a->dtype, out, x, static_cast<const float*>(a->cos) + at, static_cast<const float*>(a->sin) + at, half);
        if (rest) memcpy(ao::element(out, a->dtype, a->rotary_dim), ao::element(x, a->dtype, a->rotary_dim), rest);
      }
    }
  });
  return 0;
}
