// x in tiles: float32, bfloat16 pairs, or int8 codes.
#include <string.h>

#include "gemm/activation.h"
#include "gemm/tiles.h"

namespace ao {

int64_t rows_per_tile(ao_ctx* ctx, int64_t m) { return m <= kFewRows ? m : AO_ISA_PICK(ctx, tile_height)(); }

bool meet_in_pairs(ao_ctx* ctx, int32_t x_dtype, int64_t code) {
  return x_dtype == AO_BF16 && code == AO_BF16 && AO_ISA_PICK(ctx, multiplies_pairs)();
}

bool float_tiles(ao_ctx* ctx, int32_t dtype, bool pairs, const void* x, int64_t m, int64_t k, int64_t stride,
                 int64_t height, Tiles* tiles) {
  if (dtype == AO_F32 && height == 1) {
    *tiles = {(const uint32_t*)x, k, 1};
    return true;
  }
  const int64_t size = dtype == AO_F32 ? 4 : 2;
  const auto load = AO_ISA_PICK(ctx, load_row);
  return make_tiles(ctx, m, pairs ? (k + 1) / 2 : k, k, height, 1, tiles,
                    [&](int64_t, int64_t row, uint32_t* units, int) {
                      const char* from = (const char*)x + row * stride * size;
                      if (!pairs) return load(dtype, from, k, (float*)units);
                      units[(k - 1) / 2] = 0;
                      memcpy(units, from, k * 2);
                    });
}

// The forms of rows: given, or one found from all of x; none where each row finds its own.
static bool forms_of_rows(ao_ctx* ctx, const Packed* w, const void* x, int32_t dtype, int64_t stride, int64_t m,
                          const ActForm& act, IntRows* rows) {
  rows->reduced = act.flags & AO_ACT_REDUCED;
  rows->given = act.scale != nullptr;
  rows->forms = nullptr;
  if (!rows->token || (!act.scale && !(act.flags & AO_ACT_ONE_SCALE))) return true;
  TokenForm* forms = scratch<TokenForm>(ctx, m);
  const int64_t k = columns_of(w);
  float* row = scratch<float>(ctx, round_up_to(k, 8));
  if (!forms || !row) return false;
  rows->forms = forms;
  if (act.scale) {
    const int64_t step = act.flags & AO_ACT_ROW_SCALES ? 1 : 0;
    for (int64_t i = 0; i < m; i++) forms[i] = {act.scale[i * step], act.zero ? act.zero[i * step] : 0};
    return true;
  }
  const bool asymmetric = w->activation == AO_ACT_INT8_TOKEN_ASYM;
  const auto load = AO_ISA_PICK(ctx, load_row);
  const int64_t size = dtype == AO_F32 ? 4 : 2;
  float lo = 0, hi = 0;
  bool finite = true;
  for (int64_t i = 0; i < m; i++) {
    const char* from = (const char*)x + i * stride * size;
    if (dtype != AO_F32) load(dtype, from, k, row);
    finite = token_span(asymmetric, dtype == AO_F32 ? (const float*)from : row, k, &lo, &hi) && finite;
  }
  const TokenForm one =
      finite ? token_form(dtype, asymmetric, code_range(rows->reduced), act.eps, lo, hi) : TokenForm{NAN, 0};
  for (int64_t i = 0; i < m; i++) forms[i] = one;
  return true;
}

bool int_tiles(ao_ctx* ctx, const Packed* w, const void* x, int32_t dtype, int64_t stride, int64_t m,
               const ActForm& act, IntRows* rows) {
  const int64_t k = columns_of(w), k8 = round_up_to(k, 8), group = group_columns(w);
  rows->segment = segment_of(w);
  const int64_t per_group = (group + rows->segment - 1) / rows->segment;
  rows->segments = k / group * per_group + (k % group + rows->segment - 1) / rows->segment;
  const int64_t height = rows_per_tile(ctx, m),
                whole = round_up_to(m, height); // rows beyond m are computed and not stored
  rows->rows = whole;
  rows->token = w->activation != AO_ACT_INT8_GROUP;
  const bool one_scale = rows->segments == 1 && w->zero_domain == AO_ZERO_NONE;
  rows->between = one_scale && w->activation == AO_ACT_INT8_TOKEN ? dtype : -1;
  rows->s = scratch<float>(ctx, whole * (rows->token ? 1 : rows->segments));
  rows->sum = scratch<int32_t>(ctx, whole * rows->segments);
  rows->offset = scratch<int32_t>(ctx, whole * rows->segments);
  rows->total = scratch<float>(ctx, whole * groups_of(w));
  rows->shift = scratch<float>(ctx, whole);
  const int64_t each = round_up_to(k8 * 5, 64); // float32 row and codes
  char* memory = scratch<char>(ctx, each * ao_ctx_threads(ctx));
  if (!rows->s || !rows->sum || !rows->offset || !rows->total || !rows->shift || !memory) return false;
  if (w->activation != AO_ACT_INT8_TOKEN_ASYM) rows->shift = nullptr;
  if (!forms_of_rows(ctx, w, x, dtype, stride, m, act, rows)) return false;
  const auto load = AO_ISA_PICK(ctx, load_row);
  const auto quantize = AO_ISA_PICK(ctx, quantize_row);
  const int64_t size = dtype == AO_F32 ? 4 : 2, units = k8 / 4 * AO_ISA_PICK(ctx, units_per_quad)(w->code);
  return make_tiles(ctx, m, units, 2 * k, height, 1, &rows->tiles, [&](int64_t, int64_t row, uint32_t* to, int thread) {
    float* values = (float*)(memory + thread * each);
    const char* from = (const char*)x + row * stride * size;
    if (dtype != AO_F32) load(dtype, from, k, values);
    quantize(w, dtype, act.eps, dtype == AO_F32 ? (const float*)from : values, *rows, row, (int8_t*)(values + k8), to);
  });
}

} // namespace ao
