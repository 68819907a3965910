// gather_packed: out[i, :] = decoded row index[i] of a packed weight, rounded to out_dtype; float codes of that dtype keep their bytes.
#include <string.h>

#include "base/ctx.h"
#include "gemm/codes.h"
#include "gemm/planes.h"

namespace ao {
namespace {

// fn(k, parameters of its group) for all columns of row r.
template <class Fn>
void each_column(const Packed* w, const uint8_t* panel, int r, const Fn& fn) {
  for (int64_t k = 0, g = 0; k < w->k; g++) {
    const GroupParameters p = group_parameters(w, panel, g, r);
    const int64_t end = (g + 1) * w->group < w->k ? (g + 1) * w->group : w->k;
    for (; k < end; k++) fn(k, p);
  }
}

void gather_row(const Packed* w, int64_t row, int32_t out_dtype, void* out) {
  const uint8_t* panel = panel_at(w, row / kPanelRows);
  const int r = (int)(row % kPanelRows);
  if (w->code == AO_TABLE) {
    uint32_t words[8];
    const float* table = table_of(w);
    return each_column(w, panel, r, [&](int64_t k, const GroupParameters& p) {
      if (k % 32 == 0) load_block(panel + k * 2 * w->bits, w->bits, words, r);
      const uint8_t code = words[k / 4 % 8] >> (k % 4 * 8) & 255;
      store_float(out_dtype, out, k, decode_code(w->zero_domain, p, table[code]));
    });
  }
  if (has_scale(w->code))
    return each_column(w, panel, r, [&](int64_t k, const GroupParameters& p) {
      store_float(out_dtype, out, k, decode_code(w->zero_domain, p, (float)panel_code(panel, w->code, k, r)));
    });
  const int size = ao_dtype_size(w->code);
  for (int64_t k = 0; k < w->k; k++) {
    const uint8_t* at = panel + code_offset(w->code, k, r);
    if (w->code == out_dtype)
      memcpy((uint8_t*)out + k * size, at, size);
    else
      store_float(out_dtype, out, k, load_float(w->code, at, 0));
  }
}

} // namespace
} // namespace ao

extern "C" int ao_cpu_gather_packed(const ao_gather_packed_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (!check_packed(ctx, "gather_packed", a->packed, a->n, a->k)) return 1;
  if (a->out_dtype != AO_F32 && a->out_dtype != AO_F16 && a->out_dtype != AO_BF16)
    return ao_fail(ctx, "gather_packed: out is %s; it takes float32, float16 or bfloat16", ao_dtype_name(a->out_dtype));
  const int32_t* index = (const int32_t*)a->index;
  for (int64_t i = 0; i < a->count; i++) {
    if (index[i] < 0 || index[i] >= a->n)
      return ao_fail(ctx, "gather_packed: index %d at position %lld is outside the %lld rows of the weight", index[i],
                     (long long)i, (long long)a->n);
  }
  const Packed* w = (const Packed*)a->packed;
  if (w->sparse) return ao_fail(ctx, "gather_packed: a 2:4 weight has no row gather; unpack it");
  const int size = ao_dtype_size(a->out_dtype);
  parallel_for(ctx, a->count, rows_per_chunk(a->k, 1 << 12), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++)
      gather_row(w, index[i], (int32_t)a->out_dtype, (uint8_t*)a->out + i * a->out_stride * size);
  });
  return 0;
}
