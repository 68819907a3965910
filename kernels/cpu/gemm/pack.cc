// pack_weight: canonical codes [n, k] with scales and zeros [n, k / g] to panels (gemm/packed.h). A bijection: see unpack.cc.
#include <string.h>

#include "base/ctx.h"
#include "gemm/codes.h"

namespace ao {
namespace {

struct Source {
  const uint8_t* codes;
  const uint8_t* scale;
  const uint8_t* zero;
  int64_t first, rows; // what row codes begins at, and how many there are
};

void pack_codes(const Packed* w, uint8_t* panel, const uint8_t* row, int r) {
  const int64_t k = w->k;
  switch (w->code) {
  case AO_F32:
    for (int64_t i = 0; i < k; i++) memcpy(panel + (i * kPanelRows + r) * 4, row + 4 * i, 4);
    break;
  case AO_F16:
    for (int64_t i = 0; i < k; i++) memcpy(panel + (i * kPanelRows + r) * 2, row + 2 * i, 2);
    break;
  case AO_BF16:
    for (int64_t i = 0; i < k; i++) memcpy(panel + code_offset(AO_BF16, i, r), row + 2 * i, 2);
    break;
  case AO_I8:
    for (int64_t i = 0; i < k; i += 4) memcpy(panel + code_offset(AO_I8, i, r), row + i, k - i < 4 ? k - i : 4);
    break;
  default: {
    int64_t i = 0;
    for (; i + 8 <= k; i += 8) { // bytes b0..b3 hold columns 01 23 45 67; a lane's bytes are 04 15 26 37
      uint32_t b;
      memcpy(&b, row + i / 2, 4);
      const uint32_t low = b & 0xffffu, high = b >> 16;
      const uint32_t first = (low & 15) | (low & 0xf0) << 4 | (low & 0xf00) << 8 | (low & 0xf000) << 12;
      const uint32_t second = (high & 15) << 4 | (high & 0xf0) << 8 | (high & 0xf00) << 12 | (high & 0xf000) << 16;
      b = (first | second) ^ 0x88888888u;
      memcpy(panel + code_offset(AO_INT4, i, r), &b, 4);
    }
    for (; i < k; i++) {
      const int stored = ((row[i / 2] >> (i % 2 * 4)) & 15) ^ 8;
      uint8_t* byte = panel + code_offset(AO_INT4, i, r);
      *byte = (uint8_t)((*byte & (0xf0 >> nibble_shift(i))) | stored << nibble_shift(i));
    }
  }
  }
}

// Sum of the codes of columns [begin, end), both even for int4.
int64_t sum_codes(int32_t code, const uint8_t* row, int64_t begin, int64_t end) {
  int64_t sum = 0;
  if (code == AO_I8) {
    for (int64_t i = begin; i < end; i++) sum += (int8_t)row[i];
    return sum;
  }
  for (int64_t i = begin / 2; i < end / 2; i++) sum += ((row[i] & 15) ^ 8) + ((row[i] >> 4) ^ 8) - 16;
  return sum;
}

void pack_groups(uint8_t* out, const uint8_t* row, int64_t groups, int size, int r) {
  for (int64_t g = 0; g < groups; g++) memcpy(out + (g * kPanelRows + r) * size, row + g * size, size);
}

void pack_panel(const Packed* w, uint8_t* panel, const Source& source, int64_t index) {
  memset(panel, 0, w->panel_bytes);
  if (w->code == AO_INT4) memset(panel, 0x88, w->scale_at); // nibble 8 is the code 0
  const int64_t groups = groups_of(w);
  const int64_t row_bytes = w->code == AO_INT4 ? w->k / 2 : w->k * ao_dtype_size(w->code);
  for (int r = 0; r < kPanelRows; r++) {
    const int64_t row = index * kPanelRows + r - source.first;
    if (row >= source.rows) break;
    pack_codes(w, panel, source.codes + row * row_bytes, r);
    if (!has_scale(w->code)) continue;
    const int scale_size = ao_dtype_size(w->scale_dtype), zero_size = ao_dtype_size(w->zero_dtype);
    pack_groups(panel + w->scale_at, source.scale + row * groups * scale_size, groups, scale_size, r);
    if (w->zero_domain != AO_ZERO_NONE)
      pack_groups(panel + w->zero_at, source.zero + row * groups * zero_size, groups, zero_size, r);
    double sum = 0;
    for (int64_t g = 0; g < groups; g++) {
      int64_t codes = sum_codes(w->code, source.codes + row * row_bytes, g * w->group, (g + 1) * w->group);
      const double s = load_float(w->scale_dtype, panel + w->scale_at, g * kPanelRows + r);
      const void* zeros = panel + w->zero_at;
      if (w->zero_domain == AO_ZERO_INT) codes -= w->group * ((const int8_t*)zeros)[g * kPanelRows + r];
      sum += (double)codes * s;
      if (w->zero_domain == AO_ZERO_FLOAT)
        sum += (double)w->group * load_float(w->zero_dtype, zeros, g * kPanelRows + r);
    }
    ((float*)(panel + w->sum_at))[r] = (float)sum;
  }
}

} // namespace

bool check_packed(ao_ctx* ctx, const char* op, const void* packed, int64_t n, int64_t k) {
  const Packed* w = (const Packed*)packed;
  if (!w) return ao_fail(ctx, "%s: the packed weight is absent", op), false;
  if (w->magic != kPackedMagic || w->version != kPackedVersion)
    return ao_fail(ctx, "%s: the weight's bytes are not packed ones of version %u; pack them with pack_weight", op,
                   kPackedVersion),
           false;
  if (w->n != n || w->k != k)
    return ao_fail(ctx, "%s: the packed weight is [%lld, %lld], the call says [%lld, %lld]", op, (long long)w->n,
                   (long long)w->k, (long long)n, (long long)k),
           false;
  return true;
}

} // namespace ao

extern "C" int ao_cpu_pack_weight(const ao_pack_weight_args* a, ao_ctx* ctx) {
  using namespace ao;
  Packed w;
  char reason[512];
  if (!describe_packed(&w, a->code, a->n, a->k, a->group_size, a->zero_domain, a->scale_dtype, a->zero_dtype,
                       a->activation, reason, sizeof reason))
    return ao_fail(ctx, "pack_weight: %s", reason);
  if (a->row < 0 || a->rows < 0 || a->row + a->rows > a->n || a->row % kPanelRows ||
      (a->rows % kPanelRows && a->row + a->rows != a->n))
    return ao_fail(ctx, "pack_weight: rows [%lld, %lld) of %lld; pieces begin and end at multiples of %d rows",
                   (long long)a->row, (long long)(a->row + a->rows), (long long)a->n, kPanelRows);
  if (!a->codes || (has_scale(w.code) && !a->scale) || (w.zero_domain != AO_ZERO_NONE && !a->zero))
    return ao_fail(ctx, "pack_weight: a %s weight needs codes%s%s", weight_code_name(w.code),
                   has_scale(w.code) ? " and scale" : "", w.zero_domain != AO_ZERO_NONE ? " and zero" : "");
  memset(a->packed, 0, kHeaderBytes);
  memcpy(a->packed, &w, sizeof w);
  const Source source = {(const uint8_t*)a->codes, (const uint8_t*)a->scale, (const uint8_t*)a->zero, a->row, a->rows};
  uint8_t* panels = (uint8_t*)a->packed + kHeaderBytes;
  const int64_t first = a->row / kPanelRows;
  parallel_for(ctx, panels_of(a->rows), rows_per_chunk(a->k * kPanelRows), [&](int64_t begin, int64_t end, int) {
    for (int64_t p = first + begin; p < first + end; p++) pack_panel(&w, panels + p * w.panel_bytes, source, p);
  });
  return 0;
}
