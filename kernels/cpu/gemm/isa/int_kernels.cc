// The integer modes, for a segment of k with one scale of x and one of the weight:
//   dot = sum (q_w - z) q_x  exactly in int32;  acc = fma(dot, sx * sw, acc), and with a float zero point acc = fma(sx * sum q_x, z, acc)
// over segments in order. The asymmetric mode ends with acc = fma(-sx zx, row sum of w, acc).
#include "gemm/isa/store.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// sum (q + kOffset) x over [0, count) columns for `rows` rows, count a multiple of 8.
template <class Code, bool wide, int rows>
inline __attribute__((always_inline)) void dot_segment(const uint8_t* w, const typename Code::X* x, int64_t stride, int64_t count, VI* dot) {
  constexpr int64_t kBytes = wide ? Code::kWide8 : Code::kPacked8;
  int64_t begin = 0;
  do {
    const int64_t end = count - begin > Code::kSpan ? begin + Code::kSpan : count;
    typename Code::Acc acc[rows];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) acc[r] = Code::zero();
    for (int64_t k = begin; k < end; k += 8, w += kBytes) {
      const typename Code::W first = wide ? Code::template load_wide<0>(w) : Code::template load<0>(w);
#pragma GCC unroll 16
      for (int r = 0; r < rows; r++) Code::dot(acc[r], first, x + r * stride + k);
      const typename Code::W second = wide ? Code::template load_wide<1>(w) : Code::template load<1>(w);
#pragma GCC unroll 16
      for (int r = 0; r < rows; r++) Code::dot(acc[r], second, x + r * stride + k + 4);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) dot[r] = begin == 0 ? Code::finish(acc[r]) : vi_add(dot[r], Code::finish(acc[r]));
    begin += Code::kSpan;
  } while (begin < count);
}

template <class Code, bool wide, int rows>
void kernel(const Packed* w, int64_t panel, const uint8_t* codes, const IntRows& x, int64_t row, const Store& store) {
  const uint8_t* base = panel_at(w, panel);
  if (!wide) codes = base;
  const typename Code::X* q = (const typename Code::X*)x.q + row * x.stride;
  const int64_t segments = x.segments, segment = x.segment, per_group = (w->group + segment - 1) / segment;
  const int64_t k8 = (w->k + 7) / 8 * 8;
  const uint8_t* scale = base + w->scale_at;
  const uint8_t* zero = base + w->zero_at;
  const int64_t scale_bytes = kPanelRows * (w->scale_dtype == AO_F32 ? 4 : 2);
  const int64_t zero_bytes = kPanelRows * (w->zero_domain == AO_ZERO_INT ? 1 : w->zero_dtype == AO_F32 ? 4 : 2);
  const float* s = x.s + row * segments;
  const int32_t* sum = x.sum + row * segments;
  const int32_t* offset = x.offset + row * segments;
  VF acc[rows];
  for (int r = 0; r < rows; r++) acc[r] = v_zero();
  int64_t used = 0;  // segments of the current group
  for (int64_t i = 0; i < segments; i++) {
    const int64_t k = i * segment, count = k8 - k < segment || segments == 1 ? k8 - k : segment;
    VI dot[rows];
    dot_segment<Code, wide, rows>(codes + k / 8 * (wide ? Code::kWide8 : Code::kPacked8), q + k, x.stride, count, dot);
    const VF sw = v_load_as(w->scale_dtype, scale);
    if (w->zero_domain == AO_ZERO_INT) {
      const VI z = vi_add(vi_from_i8(zero), vi_set1(Code::kOffset));
      for (int r = 0; r < rows; r++) dot[r] = vi_sub(dot[r], vi_mul(z, vi_set1(sum[r * segments + i])));
    } else if (Code::kOffset != 0) {
      for (int r = 0; r < rows; r++) dot[r] = vi_sub(dot[r], vi_set1(offset[r * segments + i]));
    }
    for (int r = 0; r < rows; r++) acc[r] = v_fma(v_cvt(dot[r]), v_mul(sw, v_set1(s[r * segments + i])), acc[r]);
    if (w->zero_domain == AO_ZERO_FLOAT) {
      const VF z = v_load_as(w->zero_dtype, zero);
      for (int r = 0; r < rows; r++) acc[r] = v_fma(v_set1(s[r * segments + i] * (float)sum[r * segments + i]), z, acc[r]);
    }
    if (++used == per_group) {
      used = 0;
      scale += scale_bytes;
      zero += zero_bytes;
    }
  }
  for (int r = 0; r < rows; r++) {
    if (x.shift) acc[r] = v_fma(v_set1(-x.shift[row + r]), v_load((const float*)(base + w->sum_at)), acc[r]);
    store_row(acc[r], row + r, panel, store);
  }
}

typedef void (*Kernel)(const Packed*, int64_t, const uint8_t*, const IntRows&, int64_t, const Store&);
template <class Code, bool wide, int rows>
Kernel kernel_for(int64_t wanted) {
  if constexpr (rows == 1) return kernel<Code, wide, 1>;
  else return wanted == rows ? kernel<Code, wide, rows> : kernel_for<Code, wide, rows - 1>(wanted);
}

template <class Code>
void widen(const uint8_t* packed, int64_t k, uint8_t* wide) {
  constexpr int64_t kQuad = Code::kWide8 / 2;
  for (int64_t i = 0; i < k; i += 8, packed += Code::kPacked8, wide += Code::kWide8) {
    Code::store_wide(wide, Code::template load<0>(packed));
    Code::store_wide(wide + kQuad, Code::template load<1>(packed));
  }
}

template <class Code>
void tiles(const Packed* w, int64_t panel, const uint8_t* wide, const IntRows& x, int64_t row, int64_t rows, const Store& store) {
  for (int64_t r = 0; r < rows; r += kRowsWide) {
    const int64_t now = rows - r < kRowsWide ? rows - r : kRowsWide;
    kernel_for<Code, true, kRowsWide>(now)(w, panel, wide, x, row + r, store);
  }
}

}  // namespace

void int_rows(const Packed* w, int64_t panel, const IntRows& x, int64_t row, int64_t rows, const Store& store) {
  const Kernel run = w->code == AO_INT4 ? kernel_for<Int4, false, kRowsPacked>(rows) : kernel_for<Int8, false, kRowsPacked>(rows);
  run(w, panel, nullptr, x, row, store);
}

int64_t int_wide_bytes(int32_t code, int64_t k) { return (k + 7) / 8 * (code == AO_INT4 ? Int4::kWide8 : Int8::kWide8); }

void widen_panel(const Packed* w, int64_t panel, uint8_t* wide) {
  if (w->code == AO_INT4) widen<Int4>(panel_at(w, panel), w->k, wide);
  else widen<Int8>(panel_at(w, panel), w->k, wide);
}

void int_tile(const Packed* w, int64_t panel, const uint8_t* wide, const IntRows& x, int64_t row, int64_t rows, const Store& store) {
  if (w->code == AO_INT4) tiles<Int4>(w, panel, wide, x, row, rows, store);
  else tiles<Int8>(w, panel, wide, x, row, rows, store);
}

}  // namespace AO_ISA_NS
}  // namespace ao
