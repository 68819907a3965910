// pack_weight: canonical codes [n, k] with scales and zeros [n, k / g] to panels (gemm/packed.h). A bijection: see unpack.cc.
#include <string.h>

#include <algorithm>
#include <atomic>

#include "base/ctx.h"
#include "gemm/codes.h"
#include "gemm/planes.h"
#include "gemm/table_values.h"

namespace ao {
namespace {

// What of a panel the rows are written to in turn.
constexpr int64_t kCachedBytes = 16384;

struct Source {
  const uint8_t* codes;
  const uint8_t* scale;
  const uint8_t* zero;
  const uint8_t* meta;
  int64_t first, rows; // what row codes begins at, and how many there are
};

// Sixteen columns at a time: of each 32 bits the low half holds columns 0 to 3, which get a byte each, the high half 4 to 7,
// which go above them.
// `flip` turns q to q + 8.
void pack_nibbles(uint8_t* panel, const uint8_t* row, int64_t k, int r, uint64_t flip) {
  constexpr int kWords = 64;
  uint64_t words[kWords];
  int64_t i = 0;
  while (i + 16 <= k) {
    const int64_t count = (k - i) / 16 < kWords ? (k - i) / 16 : kWords;
    memcpy(words, row + i / 2, count * 8);
    for (int64_t j = 0; j < count; j++) {
      const uint64_t half = 0x0000ffff0000ffffu, byte = 0x00ff00ff00ff00ffu, nibble = 0x0f0f0f0f0f0f0f0fu;
      uint64_t low = words[j] & half, high = words[j] >> 16 & half;
      low = (low | low << 8) & byte, high = (high | high << 8) & byte;
      low = (low | low << 4) & nibble, high = (high | high << 4) & nibble;
      words[j] = (low | high << 4) ^ flip;
    }
    for (int64_t j = 0; j < 2 * count; j++)
      memcpy(panel + code_offset(AO_INT4, i + 8 * j, r), (const uint8_t*)words + 4 * j, 4);
    i += 16 * count;
  }
  for (; i < k; i++) {
    const int stored = ((row[i / 2] >> (i % 2 * 4)) ^ flip) & 15;
    uint8_t* byte = panel + code_offset(AO_INT4, i, r);
    *byte = (uint8_t)((*byte & (0xf0 >> nibble_shift(i))) | stored << nibble_shift(i));
  }
}

template <int size>
void pack_units(uint8_t* panel, const uint8_t* row, int64_t count) {
  for (int64_t i = 0; i < count; i++) memcpy(panel + i * kPanelRows * size, row + i * size, size);
}

// fn(column, words[8]) for each 32 columns, a byte each, those beyond the last 0.
template <class Fn>
void each_block(const uint8_t* row, int64_t count, const Fn& fn) {
  uint32_t words[8] = {0};
  for (int64_t k = 0; k < count; k += 32) {
    if (count - k < 32) memset(words, 0, sizeof words);
    memcpy(words, row + k, count - k < 32 ? count - k : 32);
    fn(k, words);
  }
}

// Bytes of at most 4 bits as nibbles of q + 8.
void pack_small_bytes(uint8_t* panel, const uint8_t* row, int64_t count, int r) {
  each_block(row, count, [&](int64_t k, const uint32_t* words) {
    for (int64_t i = 0; i < 4 && k + 8 * i < count; i++) {
      const uint32_t v = ((words[2 * i] & 0x0f0f0f0fu) | (words[2 * i + 1] & 0x0f0f0f0fu) << 4) ^ 0x88888888u;
      memcpy(panel + code_offset(AO_INT4, k + 8 * i, r), &v, 4);
    }
  });
}

// k codes of row r, to a panel that begins at their column.
void pack_codes(const Packed* w, uint8_t* panel, const uint8_t* row, int64_t k, int r) {
  if (w->code == AO_TABLE && w->source == AO_INT4) return pack_nibbles(panel, row, k, r, 0);
  if (w->code == AO_TABLE && w->bits < 8)
    return each_block(row, k, [&](int64_t column, const uint32_t* words) {
      store_block(panel + column * 2 * w->bits, w->bits, words, r);
    });
  if (w->code == AO_INT4 && w->source == AO_I8) return pack_small_bytes(panel, row, k, r);
  switch (w->code) {
  case AO_F32:
    pack_units<4>(panel + 4 * r, row, k);
    break;
  case AO_F16:
    pack_units<2>(panel + 2 * r, row, k);
    break;
  case AO_BF16:
    pack_units<4>(panel + 4 * r, row, k / 2);
    if (k % 2) memcpy(panel + code_offset(AO_BF16, k - 1, r), row + 2 * (k - 1), 2);
    break;
  case AO_I8:
  case AO_TABLE: // of 8 bits
    pack_units<4>(panel + 4 * r, row, k / 4);
    if (k % 4) memcpy(panel + code_offset(AO_I8, k / 4 * 4, r), row + k / 4 * 4, k % 4);
    break;
  default:
    pack_nibbles(panel, row, k, r, 0x8888888888888888u);
  }
}

// Sum of the codes of columns [begin, end), begin even for int4.
int64_t sum_codes(int32_t code, const uint8_t* row, int64_t begin, int64_t end) {
  if (code == AO_I8) {
    int64_t sum = 0;
    while (begin < end) { // a run whose sum fits 32 bits
      const int64_t stop = end - begin < 65536 ? end : begin + 65536;
      int32_t part = 0;
      for (; begin < stop; begin++) part += (int8_t)row[begin];
      sum += part;
    }
    return sum;
  }
  int64_t i = begin / 2, sum = -8 * (end - begin);
  if (end % 2) sum += (row[end / 2] & 15) ^ 8;
  for (; i + 16 <= end / 2;
       i += 16) { // nibbles to bytes of at most 60, those to 16-bit lanes, which one product adds up
    uint64_t a, b;
    memcpy(&a, row + i, 8);
    memcpy(&b, row + i + 8, 8);
    a ^= 0x8888888888888888u;
    b ^= 0x8888888888888888u;
    const uint64_t low = 0x0f0f0f0f0f0f0f0fu, bytes = (a & low) + (a >> 4 & low) + (b & low) + (b >> 4 & low);
    const uint64_t even = 0x00ff00ff00ff00ffu, lanes = (bytes & even) + (bytes >> 8 & even);
    sum += (int64_t)(lanes * 0x0001000100010001u >> 48);
  }
  for (; i < end / 2; i++) sum += ((row[i] & 15) ^ 8) + ((row[i] >> 4) ^ 8);
  return sum;
}

template <int size>
void pack_groups(uint8_t* out, const uint8_t* row, int64_t groups, int r) {
  for (int64_t g = 0; g < groups; g++) memcpy(out + (g * kPanelRows + r) * size, row + g * size, size);
}

void pack_groups(uint8_t* out, const uint8_t* row, int64_t groups, int size, int r) {
  if (size == 4) return pack_groups<4>(out, row, groups, r);
  if (size == 2) return pack_groups<2>(out, row, groups, r);
  pack_groups<1>(out, row, groups, r);
}

// Whether all codes of a row fit the bits they are packed with.
bool codes_fit(const uint8_t* row, int64_t k, int bits, bool with_sign) {
  const uint8_t half = with_sign ? (uint8_t)(1 << (bits - 1)) : 0;
  uint8_t all = 0;
  for (int64_t i = 0; i < k; i++) all |= (uint8_t)(row[i] + half);
  return all >> bits == 0;
}

// Where columns [k, ...) begin; k is a multiple of 32.
int64_t panel_offset(const Packed* w, int64_t k) {
  return w->code == AO_TABLE ? k * 2 * w->bits : code_offset(w->code, k, 0);
}

void pack_panel(const Packed* w, uint8_t* panel, const Source& source, int64_t index) {
  memset(panel + w->scale_at, 0, w->panel_bytes - w->scale_at);
  const int64_t groups = groups_of(w);
  const int64_t row_bytes = source_row_bytes(w);
  const int64_t first = index * kPanelRows - source.first;
  const int rows = source.rows - first < kPanelRows ? (int)(source.rows - first) : kPanelRows;
  if (w->k % 32 || rows < kPanelRows)
    memset(panel, w->code == AO_INT4 ? 0x88 : 0, w->scale_at);     // nibble 8 is the code 0
  const int64_t columns = kCachedBytes / panel_offset(w, 32) * 32; // of all rows, while their lines are at hand
  for (int64_t k = 0; k < w->k; k += columns)
    for (int r = 0; r < rows; r++)
      pack_codes(w, panel + panel_offset(w, k),
                 source.codes + (first + r) * row_bytes + (w->source == AO_INT4 ? k / 2 : k * (row_bytes / w->k)),
                 w->k - k < columns ? w->k - k : columns, r);
  for (int r = 0; r < rows; r++) {
    const int64_t row = first + r, words = columns_of(w) / 8; // a byte each
    for (int64_t i = 0; w->sparse && i < words; i += 4)
      memcpy((uint8_t*)meta_at(w, panel) + i * kPanelRows + 4 * r, source.meta + row * words + i,
             std::min<int64_t>(4, words - i));
    if (!has_scale(w->code)) continue;
    const int scale_size = ao_dtype_size(w->scale_dtype), zero_size = ao_dtype_size(w->zero_dtype);
    pack_groups(panel + w->scale_at, source.scale + row * groups * scale_size, groups, scale_size, r);
    if (w->zero_domain != AO_ZERO_NONE)
      pack_groups(panel + w->zero_at, source.zero + row * groups * zero_size, groups, zero_size, r);
    if (w->code == AO_TABLE) continue;
    double sum = 0;
    for (int64_t g = 0; g < groups; g++) {
      const int64_t begin = g * w->group, count = w->k - begin < w->group ? w->k - begin : w->group;
      int64_t codes = sum_codes(w->source, source.codes + row * row_bytes, begin, begin + count);
      const double s = load_float(w->scale_dtype, panel + w->scale_at, g * kPanelRows + r);
      const void* zeros = panel + w->zero_at;
      if (w->zero_domain == AO_ZERO_INT) codes -= count * ((const int8_t*)zeros)[g * kPanelRows + r];
      sum += (double)codes * s;
      if (w->zero_domain == AO_ZERO_FLOAT) sum += (double)count * load_float(w->zero_dtype, zeros, g * kPanelRows + r);
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
  if (w->n != n || columns_of(w) != k)
    return ao_fail(ctx, "%s: the packed weight is [%lld, %lld], the call says [%lld, %lld]", op, (long long)w->n,
                   (long long)columns_of(w), (long long)n, (long long)k),
           false;
  return true;
}

} // namespace ao

extern "C" int ao_cpu_pack_weight(const ao_pack_weight_args* a, ao_ctx* ctx) {
  using namespace ao;
  Packed w;
  char reason[512];
  if (!describe_packed(&w, a->code, a->n, a->k, a->group_size, a->zero_domain, a->scale_dtype, a->zero_dtype,
                       a->activation, a->bits, reason, sizeof reason))
    return ao_fail(ctx, "pack_weight: %s", reason);
  if (a->row < 0 || a->rows < 0 || a->row + a->rows > a->n || a->row % kPanelRows ||
      (a->rows % kPanelRows && a->row + a->rows != a->n))
    return ao_fail(ctx, "pack_weight: rows [%lld, %lld) of %lld; pieces begin and end at multiples of %d rows",
                   (long long)a->row, (long long)(a->row + a->rows), (long long)a->n, kPanelRows);
  if (!a->codes || (has_scale(w.code) && !a->scale) || (w.zero_domain != AO_ZERO_NONE && !a->zero))
    return ao_fail(ctx, "pack_weight: a %s weight needs codes%s%s", weight_code_name(w.source),
                   has_scale(w.code) ? " and scale" : "", w.zero_domain != AO_ZERO_NONE ? " and zero" : "");
  if (w.sparse && !a->meta) return ao_fail(ctx, "pack_weight: a 2:4 weight needs meta, which says what columns it has");
  if (w.source == AO_TABLE && !a->table)
    return ao_fail(ctx, "pack_weight: the values of a table weight's codes are absent");
  memset(a->packed, 0, w.panels_at);
  if (w.code == AO_TABLE)
    fill_table(&w, w.source == AO_TABLE ? (const float*)a->table : nullptr,
               (float*)((uint8_t*)a->packed + kHeaderBytes));
  memcpy(a->packed, &w, sizeof w);
  const Source source = {(const uint8_t*)a->codes,
                         (const uint8_t*)a->scale,
                         (const uint8_t*)a->zero,
                         (const uint8_t*)a->meta,
                         a->row,
                         a->rows};
  uint8_t* panels = (uint8_t*)a->packed + w.panels_at;
  const int bits = w.source == AO_TABLE || w.source == AO_I8 ? (int)a->bits % 8 : 0; // to be checked; any byte has 8
  std::atomic<int64_t> misfit{-1};
  const int64_t first = a->row / kPanelRows;
  parallel_for(ctx, panels_of(a->rows), rows_per_chunk(a->k * kPanelRows), [&](int64_t begin, int64_t end, int) {
    for (int64_t p = first + begin; p < first + end; p++) {
      for (int64_t r = p * kPanelRows; bits && r < a->row + a->rows && r < (p + 1) * kPanelRows; r++)
        if (!codes_fit(source.codes + (r - a->row) * w.k, w.k, bits, w.source == AO_I8)) misfit = r;
      pack_panel(&w, panels + p * w.panel_bytes, source, p);
    }
  });
  if (misfit >= 0)
    return ao_fail(ctx, "pack_weight: row %lld of a %s weight holds codes of more than %d bits", (long long)misfit,
                   weight_code_name(w.source), bits);
  return 0;
}
