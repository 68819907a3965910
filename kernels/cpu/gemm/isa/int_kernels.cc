// The integer modes. Segments of k have one scale of x and one of the weight; dot = sum (q_w - z) q_x of a segment is exact in int32.
//   one segment     y = (dot * sx, rounded to x's dtype) * sw    torchao's int8 dynamic product; with zero points dot * (sx * sw)
//   several, token  y = sx * (acc over segments: fma(dot, sw, acc))
//   several, group  y = acc over groups: fma(part, sw, acc), part over the group's segments: fma(dot, sx, part)
// A float zero point adds fma(total of x, z, acc) per group; the asymmetric mode ends with fma(-sx zx, row sum of w, y).
#include "gemm/isa/expand.h"
#include "gemm/isa/store.h"
#include "gemm/isa/sums.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// Where one tile's results wait, one or two panels `stride` floats apart.
struct Place {
  float *acc, *group;
  int64_t stride;
  bool first;
};

// Segments [i0, i1) of neighbouring panels. open: a group has several segments, its sum is kept apart in `group` and joins `acc` at its
// end. whole: every segment has 32 columns.
template <class Code, bool wide, int rows, int height, int panels, bool token, bool open, bool whole>
void sums_kernel(const Packed* w, int64_t panel, const uint8_t* codes, int64_t next, int64_t i0, int64_t i1,
                 const IntRows& x, int64_t row, const Place& to) {
  constexpr int64_t kBytes = Codes<Code, wide>::kBytes8;
  constexpr int kLines = kBytes * 4 / 64;
  constexpr bool kParts = !whole && Code::kSpan < 65536, fetch = !wide && rows == height;
  const int64_t segment = x.segment, per_group = (w->group + segment - 1) / segment, k8 = (w->k + 7) / 8 * 8;
  const uint32_t* q = x.tiles.at(row) + i0 * segment / 4 * Code::kUnits * height;
  const int32_t domain = w->zero_domain, scale_dtype = w->scale_dtype;
  const int64_t scale_bytes = kPanelRows * (scale_dtype == AO_F32 ? 4 : 2);
  const int64_t zero_bytes = kPanelRows * (domain == AO_ZERO_INT ? 1 : w->zero_dtype == AO_F32 ? 4 : 2);
  const uint8_t* base = panel_at(w, panel) + i0 / per_group * scale_bytes + w->scale_at;
  const uint8_t* zero = panel_at(w, panel) + i0 / per_group * zero_bytes + w->zero_at;
  Side a = {base, zero, v_zero(), vi_zero()}, b = {base + w->panel_bytes, zero + w->panel_bytes, v_zero(), vi_zero()};
  const float* total = x.total + i0 / per_group * x.rows + row;
  Segment g = {x.s + (token ? 0 : i0 * x.rows) + row, x.sum + i0 * x.rows + row, x.offset + i0 * x.rows + row};
  Ahead ahead(w, codes, k8 / 8 * kBytes, panels), beside(w, codes + next, k8 / 8 * kBytes, panels);
  alignas(64) int32_t part_memory[kParts ? panels * rows * kPanelRows : 1];
  int32_t* part = in_memory(part_memory);
  Sums<rows> sums, sums2;
  float* kept = open ? to.group : to.acc;
  if (to.first) {
    sums.clear();
    if (panels == 2) sums2.clear();
    if (open) memset(to.acc, 0, rows * kPanelRows * 4);
    if (open && panels == 2) memset(to.acc + to.stride, 0, rows * kPanelRows * 4);
  } else {
    sums.load(kept);
    if (panels == 2) sums2.load(kept + to.stride);
  }
  int64_t used = i0 % per_group;
  for (int64_t i = i0; i < i1; i++) {
    Dots<Code, rows, height, panels> dots;
    dots.start(g.offset);
    const auto take32 = [&]() AO_ALWAYS {
      if (fetch) ahead.fetch<kLines>();
      if (fetch && panels == 2) beside.fetch<kLines>();
      add32<Code, wide>(dots, codes, next, q);
      codes += 4 * kBytes, q += 8 * Code::kUnits * height;
    };
    bool parts = false;
    if constexpr (whole) {
      take32();
    } else {
      const int64_t left = k8 - i * segment;
      int64_t count = left < segment ? left : segment;
      if constexpr (kParts)
        for (; count > Code::kSpan; parts = true, count -= 32) {
          take32();
          dots.flush(part, rows * kPanelRows, !parts);
        }
      for (; count >= 32; count -= 32) take32();
      for (; count > 0; count -= 8, codes += kBytes, q += 2 * Code::kUnits * height)
        dots.template add8<wide>(codes, next, q);
    }
    const auto finish = [&](Side& side) AO_ALWAYS {
      if (!open) side.scale = v_load_as(scale_dtype, side.scale_at);
      if (domain == AO_ZERO_INT) side.zero = vi_add(vi_from_i8(side.zero_at), vi_set1(Code::kOffset));
    };
    finish(a);
    join<Code, 0, token, open, kParts>(dots, sums, part, parts, domain == AO_ZERO_INT, g, a);
    if constexpr (panels == 2) {
      finish(b);
      join<Code, 1, token, open, kParts>(dots, sums2, part + rows * kPanelRows, parts, domain == AO_ZERO_INT, g, b);
    }
    if (!token) g.s += x.rows;
    g.sum += x.rows;
    g.offset += x.rows;
    if (++used < per_group && i + 1 < x.segments) continue;
    used = 0;
    if constexpr (open) {
      const auto close = [&](const Side& side, Sums<rows>& part_sums, float* acc) AO_ALWAYS {
        const bool zero = domain == AO_ZERO_FLOAT;
        close_group<rows>(part_sums, v_load_as(scale_dtype, side.scale_at), zero,
                          zero ? v_load_as(w->zero_dtype, side.zero_at) : v_zero(), total, acc);
        part_sums.clear();
      };
      close(a, sums, to.acc);
      if (panels == 2) close(b, sums2, to.acc + to.stride);
    } else if (domain == AO_ZERO_FLOAT) {
      add_zero<rows>(sums, total, v_load_as(w->zero_dtype, a.zero_at));
      if constexpr (panels == 2) add_zero<rows>(sums2, total, v_load_as(w->zero_dtype, b.zero_at));
    }
    const auto advance = [&](Side& side) AO_ALWAYS {
      if (fetch) v_prefetch(side.scale_at + panels * w->panel_bytes);
      if (fetch && domain == AO_ZERO_FLOAT) v_prefetch(side.zero_at + panels * w->panel_bytes);
      side.scale_at += scale_bytes;
      side.zero_at += zero_bytes;
    };
    advance(a);
    if (panels == 2) advance(b);
    total += x.rows;
  }
  sums.save(kept);
  if (panels == 2) sums2.save(kept + to.stride);
}

// Columns of one or two panels into exact sums.
template <class Code, bool wide, int rows, int height, int panels>
void dots_kernel(const Packed* w, const uint8_t* codes, int64_t next, int64_t columns, const uint32_t* q, int32_t* sums,
                 int64_t stride, bool first) {
  constexpr int64_t kBytes = Codes<Code, wide>::kBytes8;
  constexpr int kLines = kBytes * 4 / 64;
  constexpr bool fetch = !wide && rows == height;
  int64_t count = (columns + 7) / 8 * 8;
  Ahead ahead(w, codes, count / 8 * kBytes, panels), beside(w, codes + next, count / 8 * kBytes, panels);
  Dots<Code, rows, height, panels> dots;
  dots.clear();
  for (; count >= 32; count -= 32, codes += 4 * kBytes, q += 8 * Code::kUnits * height) {
    if (fetch) ahead.fetch<kLines>();
    if (fetch && panels == 2) beside.fetch<kLines>();
    add32<Code, wide>(dots, codes, next, q);
    if (Code::kSpan < 65536) {
      dots.flush(sums, stride, first);
      first = false;
    }
  }
  for (; count > 0; count -= 8, codes += kBytes, q += 2 * Code::kUnits * height)
    dots.template add8<wide>(codes, next, q);
  dots.flush(sums, stride, first);
}

struct Work {
  const Packed* w;
  int64_t panel, panels;
  const uint8_t* const* wide; // null: the packed codes
  int64_t k0, k1;
  const IntRows* x;
  int64_t row, rows;
  IntState state;
  bool first;
};

template <class Code, bool wide, int rows, int height, int panels>
void run_panels(const Work& a, int64_t row, int64_t p) {
  constexpr int64_t kBytes = Codes<Code, wide>::kBytes8;
  const IntRows& x = *a.x;
  const auto codes = [&](int64_t at) {
    return wide || a.wide ? a.wide[at] : panel_at(a.w, a.panel + at) + a.k0 / 8 * kBytes;
  };
  const int64_t next = panels == 2 ? codes(p + 1) - codes(p) : 0, stride = a.state.stride;
  const int64_t at = p * stride + (row - a.row) * kPanelRows;
  if (x.segments == 1)
    return dots_kernel<Code, wide, rows, height, panels>(a.w, codes(p), next, a.k1 - a.k0,
                                                         x.tiles.at(row) + a.k0 / 4 * Code::kUnits * height,
                                                         (int32_t*)a.state.sums + at, stride, a.first);
  const int64_t i0 = a.k0 / x.segment, i1 = (a.k1 + x.segment - 1) / x.segment;
  const Place to = {a.state.sums + at, a.state.group + at, stride, a.first};
  const auto run = [&](auto whole) {
    constexpr bool kWhole = decltype(whole)::value;
    const auto kernel = x.token                  ? sums_kernel<Code, wide, rows, height, panels, true, false, kWhole>
                        : a.w->group > x.segment ? sums_kernel<Code, wide, rows, height, panels, false, true, kWhole>
                                                 : sums_kernel<Code, wide, rows, height, panels, false, false, kWhole>;
    kernel(a.w, a.panel + p, codes(p), next, i0, i1, x, row, to);
  };
  if (x.segment == 32 && a.w->k % 32 == 0)
    run(std::true_type());
  else
    run(std::false_type());
}

template <class Code, bool wide, int rows, int height>
void run_tile(const Work& a, int64_t row) {
  constexpr int kTogether = rows * 2 <= kPairRows ? 2 : 1;
  int64_t p = 0;
  if constexpr (kTogether == 2)
    for (; p + 2 <= a.panels; p += 2) run_panels<Code, wide, rows, height, 2>(a, row, p);
  for (; p < a.panels; p++) run_panels<Code, wide, rows, height, 1>(a, row, p);
}

// The GEMV skeleton has one tile of all rows and reads the packed codes.
template <class Code>
void run_few(const Work& a) {
  switch (a.rows) {
  case 1:
    if constexpr (requires { typename Code::Row; })
      return run_tile<typename Code::Row, false, 1, 1>(a, 0);
    else
      return run_tile<Code, false, 1, 1>(a, 0);
  case 2:
    return run_tile<Code, false, 2, 2>(a, 0);
  case 3:
    return run_tile<Code, false, 3, 3>(a, 0);
  default:
    return run_tile<Code, false, 4, 4>(a, 0);
  }
}

// Whole tiles: rows beyond the last are computed and not stored. Sums keep as many registers again.
template <class Code>
void run_block(const Work& a) {
  const int64_t end = a.row + a.rows;
  for (int64_t row = a.row; row < end;) {
    if (kTileHeight > kSumsHeight && (a.x->segments > 1 || end - row <= kSumsHeight)) {
      run_tile<Code, kWidens, kSumsHeight, kTileHeight>(a, row);
      row += kSumsHeight;
    } else {
      run_tile<Code, kWidens, kTileHeight, kTileHeight>(a, row);
      row += kTileHeight;
    }
  }
}

// A 2:4 panel into exact sums [row][16].
template <int rows>
void sparse_dots(const Packed* w, const uint8_t* codes, const uint32_t* q, int32_t* sums) {
  const uint8_t* meta = meta_at(w, codes);
  const int64_t columns = columns_of(w), ahead = fetch_distance(w);
  alignas(64) uint8_t spread[2 * 64];
  bool fresh = true;
  Dots<Int8, rows, rows, 1> dots;
  dots.clear();
  VI words = vi_zero();
  for (int64_t k = 0; k < columns; k += 8, q += 2 * Int8::kUnits * rows, words = vi_shr(words, 8)) {
    if (k % 32 == 0) {
      words = load_words(w, meta, k * 2);
      if (Int8::kSpan < 65536 && k > 0) {
        dots.flush(sums, 0, fresh);
        fresh = false;
      }
    }
    v_prefetch(codes + ahead);
    spread_codes(codes, words, spread);
    dots.template add8<false>(spread, 0, q);
    codes += 64;
  }
  dots.flush(sums, 0, fresh);
}

// One row of x, picked from. What the codes' offset adds is taken off here, and that of all columns added, which int_finish takes off.
void picked_dots(const Packed* w, const uint8_t* codes, const uint32_t* q, int32_t offset, int32_t* sums) {
  const uint8_t* meta = meta_at(w, codes);
  const int64_t columns = columns_of(w), ahead = fetch_distance(w);
  VI acc = vi_zero(), of = vi_zero(), words = vi_zero();
  for (int64_t k = 0; k < columns; k += 8, q += 2, codes += 64, words = vi_shr(words, 8)) {
    if (k % 32 == 0) words = load_words(w, meta, k * 2);
    v_prefetch(codes + ahead);
    vi_dot_picked(acc, of, vi_load(codes), words, q);
  }
  vi_store(sums, vi_sub(vi_sub(acc, vi_mul(of, vi_set1(Int8::kOffset))), vi_set1(offset)));
}

// Columns [k0, k1) of a 2:4 panel as the packed codes of all of them.
void spread_panel(const Packed* w, int64_t panel, int64_t k0, int64_t k1, uint8_t* out) {
  const uint8_t *codes = panel_at(w, panel), *meta = meta_at(w, codes);
  for (int64_t k = k0; k < k1; k += 8, out += 2 * 64)
    spread_codes(codes + k * 8, vi_shr(vi_load(meta + k / 32 * 64), (int)(k % 32)), out);
}

template <class Code>
void widen(const uint8_t* packed, int64_t columns, uint8_t* wide) {
  for (int64_t i = 0; i < columns; i += 8, packed += Code::kPacked8, wide += Code::kWide8) {
    const auto codes = Code::load(packed);
    Code::store_wide(wide, codes.first, codes.second);
  }
}

AO_INLINE VF round_to_dtype(int32_t dtype, VF v) {
  alignas(64) uint16_t code[kPanelRows];
  if (dtype == AO_BF16) {
    v_store_bf16(code, v);
    return v_load_bf16(code);
  }
  if (dtype == AO_F16) {
    v_store_f16(code, v);
    return v_load_f16(code);
  }
  return v;
}

// Row `row` of the only segment's dot products.
VF finish_dot(const Packed* w, const uint8_t* base, const IntRows& x, int64_t row, const int32_t* sums) {
  const VF sx = v_set1(x.s[row]), sw = v_load_as(w->scale_dtype, base + w->scale_at);
  VI dot = vi_load(sums);
  if (w->zero_domain == AO_ZERO_INT) {
    const VI zero = vi_add(vi_from_i8(base + w->zero_at), vi_set1(w->code == AO_INT4 ? Int4::kOffset : Int8::kOffset));
    dot = vi_sub(dot, vi_mul(zero, vi_set1(x.sum[row])));
  } else {
    dot = vi_add(dot, vi_set1(x.offset[row]));
  }
  if (x.between >= 0) return v_mul(round_to_dtype(x.between, v_mul(v_cvt(dot), sx)), sw);
  const VF y = v_mul(v_cvt(dot), v_mul(sx, sw));
  if (w->zero_domain != AO_ZERO_FLOAT) return y;
  const VF total = v_set1(x.total[row]);
  return v_fma(x.token ? v_mul(total, sx) : total, v_load_as(w->zero_dtype, base + w->zero_at), y);
}

} // namespace

int64_t tile_height() { return kTileHeight; }
int64_t units_per_quad(int32_t code) { return code == AO_INT4 ? Int4::kUnits : Int8::kUnits; }

int64_t wide_bytes(const Packed* w, int64_t k) {
  if (!kWidens) return w->sparse ? k * kPanelRows : 0;
  return (k + 7) / 8 * (w->code == AO_INT4 ? Int4::kWide8 : Int8::kWide8);
}

void widen_panel(const Packed* w, int64_t panel, int64_t k0, int64_t k1, uint8_t* wide) {
  if (w->sparse && !kWidens) return spread_panel(w, panel, k0, k1, wide);
  alignas(64) uint8_t spread[32 * kPanelRows];
  for (; w->sparse && k0 < k1; k0 += 32, wide += 4 * Int8::kWide8) {
    const int64_t end = k1 - k0 < 32 ? k1 : k0 + 32;
    spread_panel(w, panel, k0, end, spread);
    widen<Int8>(spread, end - k0, wide);
  }
  if (w->sparse) return;
  if (w->code == AO_INT4)
    widen<Int4>(panel_at(w, panel) + k0 / 8 * Int4::kPacked8, k1 - k0, wide);
  else
    widen<Int8>(panel_at(w, panel) + k0 / 8 * Int8::kPacked8, k1 - k0, wide);
}

void int_tile(const Packed* w, int64_t panel, int64_t panels, const uint8_t* const* wide, int64_t k0, int64_t k1,
              const IntRows& x, int64_t row, int64_t rows, const IntState& state, bool first) {
  const Work work = {w, panel, panels, wide, k0, k1, &x, row, rows, state, first};
  if (w->code == AO_INT4)
    run_block<Int4>(work);
  else
    run_block<Int8>(work);
}

void int_finish(const Packed* w, int64_t panel, int64_t panels, const IntRows& x, int64_t row, int64_t rows,
                const IntState& state, const Store& store) {
  for (int64_t p = 0; p < panels; p++) {
    const uint8_t* base = panel_at(w, panel + p);
    for (int64_t r = row; r < row + rows; r++) {
      float* at = state.sums + p * state.stride + (r - row) * kPanelRows;
      if (x.segments == 1)
        v_store(at, finish_dot(w, base, x, r, (const int32_t*)at));
      else if (x.token)
        v_store(at, v_mul(v_load(at), v_set1(x.s[r])));
      if (x.shift) v_store(at, v_fma(v_set1(-x.shift[r]), v_load((const float*)(base + w->sum_at)), v_load(at)));
      store_row(at, r, panel + p, store);
    }
  }
}

void int_rows(const Packed* w, int64_t panel, int64_t panels, const IntRows& x, int64_t rows, const Store& store) {
  alignas(64) float sums[2 * kFewRows * kPanelRows], group[2 * kFewRows * kPanelRows];
  const IntState state = {sums, group, kFewRows * kPanelRows};
  if (w->sparse && kPicksBytes && rows == 1) {
    for (int64_t p = 0; p < panels; p++)
      picked_dots(w, panel_at(w, panel + p), x.tiles.at(0), x.offset[0], (int32_t*)sums + p * state.stride);
    return int_finish(w, panel, panels, x, 0, rows, state, store);
  }
  if (w->sparse) {
    const auto run = rows == 1   ? sparse_dots<1>
                     : rows == 2 ? sparse_dots<2>
                     : rows == 3 ? sparse_dots<3>
                                 : sparse_dots<4>;
    for (int64_t p = 0; p < panels; p++)
      run(w, panel_at(w, panel + p), x.tiles.at(0), (int32_t*)sums + p * state.stride);
    return int_finish(w, panel, panels, x, 0, rows, state, store);
  }
  const Work work = {w, panel, panels, nullptr, 0, w->k, &x, 0, rows, state, true};
  if (w->code == AO_INT4)
    run_few<Int4>(work);
  else
    run_few<Int8>(work);
  int_finish(w, panel, panels, x, 0, rows, state, store);
}

} // namespace AO_ISA_NS
} // namespace ao
