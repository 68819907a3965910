// unpack_weight: the exact inverse of pack.cc, rows [row, row + rows) of codes, scale and zero in the caller's dtypes.
#include <string.h>

#include "base/ctx.h"
#include "gemm/codes.h"
#include "gemm/planes.h"

namespace ao {
namespace {

// Columns in blocks of 32; int8 codes of `bits` bits get their sign back.
void unpack_planes(const Packed* w, const uint8_t* panel, uint8_t* row, int r) {
  uint32_t words[8];
  const uint8_t sign = w->source == AO_I8 && w->bits < 8 ? (uint8_t)(1 << (w->bits - 1)) : 0;
  for (int64_t k = 0; k < w->k; k += 32) {
    load_block(panel + k * 2 * w->bits, w->bits, words, r);
    const int64_t count = w->k - k < 32 ? w->k - k : 32;
    for (int64_t i = 0; w->source == AO_INT4 && i < count; i += 2) {
      const uint32_t two = words[i / 4] >> (i % 4 * 8);
      row[(k + i) / 2] = (uint8_t)((two & 15) | (two >> 4 & 0xf0));
    }
    for (int64_t i = 0; w->source != AO_INT4 && i < count; i++)
      row[k + i] = (uint8_t)(((words[i / 4] >> (i % 4 * 8) & 255) ^ sign) - sign);
  }
}

void unpack_codes(const Packed* w, const uint8_t* panel, uint8_t* row, int r) {
  const int64_t k = w->k;
  if (w->code == AO_INT4 && w->source == AO_I8) {
    for (int64_t i = 0; i < k; i++) row[i] = (uint8_t)panel_code(panel, AO_INT4, i, r);
    return;
  }
  switch (w->code) {
  case AO_F32:
    for (int64_t i = 0; i < k; i++) memcpy(row + 4 * i, panel + (i * kPanelRows + r) * 4, 4);
    break;
  case AO_F16:
    for (int64_t i = 0; i < k; i++) memcpy(row + 2 * i, panel + (i * kPanelRows + r) * 2, 2);
    break;
  case AO_BF16:
    for (int64_t i = 0; i < k; i++) memcpy(row + 2 * i, panel + code_offset(AO_BF16, i, r), 2);
    break;
  case AO_I8:
    for (int64_t i = 0; i < k; i++) row[i] = panel[code_offset(AO_I8, i, r)];
    break;
  case AO_TABLE:
    unpack_planes(w, panel, row, r);
    break;
  default:
    for (int64_t i = 0; i < k; i += 2) {
      const int low = panel_code(panel, AO_INT4, i, r), high = panel_code(panel, AO_INT4, i + 1, r);
      row[i / 2] = (uint8_t)((low & 15) | (high & 15) << 4);
    }
  }
}

void unpack_groups(const uint8_t* from, uint8_t* row, int64_t groups, int size, int r) {
  for (int64_t g = 0; g < groups; g++) memcpy(row + g * size, from + (g * kPanelRows + r) * size, size);
}

} // namespace
} // namespace ao

extern "C" int ao_cpu_unpack_weight(const ao_unpack_weight_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (!check_packed(ctx, "unpack_weight", a->packed, a->n, a->k)) return 1;
  if (a->row < 0 || a->rows < 0 || a->row + a->rows > a->n)
    return ao_fail(ctx, "unpack_weight: rows [%lld, %lld) of %lld", (long long)a->row, (long long)(a->row + a->rows),
                   (long long)a->n);
  const Packed* w = (const Packed*)a->packed;
  const int64_t groups = groups_of(w);
  const int scale_size = ao_dtype_size(w->scale_dtype), zero_size = ao_dtype_size(w->zero_dtype);
  const int64_t row_bytes = source_row_bytes(w);
  parallel_for(ctx, a->rows, rows_per_chunk(a->k), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const uint8_t* panel = panel_at(w, (a->row + i) / kPanelRows);
      const int r = (int)((a->row + i) % kPanelRows);
      if (a->codes) unpack_codes(w, panel, (uint8_t*)a->codes + i * row_bytes, r);
      if (a->scale && has_scale(w->code))
        unpack_groups(panel + w->scale_at, (uint8_t*)a->scale + i * groups * scale_size, groups, scale_size, r);
      if (a->zero && w->zero_domain != AO_ZERO_NONE)
        unpack_groups(panel + w->zero_at, (uint8_t*)a->zero + i * groups * zero_size, groups, zero_size, r);
      const int64_t words = columns_of(w) / 8;
      for (int64_t j = 0; a->meta && w->sparse && j < words; j += 4)
        memcpy((uint8_t*)a->meta + i * words + j, meta_at(w, panel) + j * kPanelRows + 4 * r,
               words - j < 4 ? words - j : 4);
    }
  });
  return 0;
}
