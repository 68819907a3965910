// The integer modes, for a segment of k with one scale of x and one of the weight:
//   dot = sum (q_w - z) q_x  exactly in int32;  acc = fma(dot, sx * sw, acc), and with a float zero point acc = fma(sx * sum q_x, z, acc)
// over segments in order. The asymmetric mode ends with acc = fma(-sx zx, row sum of w, acc). One scale on each side is torchao's
// int8 dynamic product and rounds as it does: acc = (dot * sx, rounded to x's dtype) * sw.
#include "gemm/isa/store.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// What one segment needs besides the codes; rows are neighbours.
struct Segment {
  const float* s;
  const int32_t* sum;
  const int32_t* offset;
  VF scale; // of the weight, 16 rows
  VI zero;  // its zero point + kOffset, where it is an integer one
};

// Integer accumulators of `rows` rows of x, nested so that each stays in a register.
template <class Code, int rows>
struct Dots {
  Dots<Code, rows - 1> rest;
  typename Code::Acc last;
  AO_INLINE void clear() {
    rest.clear();
    last = Code::zero();
  }
  AO_INLINE void add(const typename Code::W& w, const typename Code::X* x, int64_t stride) {
    rest.add(w, x, stride);
    Code::dot(last, w, x + (rows - 1) * stride);
  }
  // Moves the sums into [rows][16] int32.
  AO_INLINE void flush(int32_t* part) {
    rest.flush(part);
    vi_store(part + (rows - 1) * kPanelRows, vi_add(vi_load(part + (rows - 1) * kPanelRows), Code::finish(last)));
    last = Code::zero();
  }
  // sums [rows][16] = fma(dot, sx * sw, sums), dot with what was flushed to part.
  template <bool parts, bool int_zero>
  AO_INLINE void finish(float* sums, const int32_t* part, const Segment& g) const {
    rest.template finish<parts, int_zero>(sums, part, g);
    constexpr int r = rows - 1;
    VI dot = Code::finish(last);
    if (parts) dot = vi_add(dot, vi_load(part + r * kPanelRows));
    if (int_zero)
      dot = vi_sub(dot, vi_mul(g.zero, vi_set1(g.sum[r])));
    else if (Code::kOffset != 0)
      dot = vi_sub(dot, vi_set1(g.offset[r]));
    float* at = sums + r * kPanelRows;
    v_store(at, v_fma(v_cvt(dot), v_mul(g.scale, v_set1(g.s[r])), v_load(at)));
  }
};
template <class Code>
struct Dots<Code, 0> {
  AO_INLINE void clear() {}
  AO_INLINE void add(const typename Code::W&, const typename Code::X*, int64_t) {}
  AO_INLINE void flush(int32_t*) {}
  template <bool parts, bool int_zero>
  AO_INLINE void finish(float*, const int32_t*, const Segment&) const {}
};

template <class Code, bool wide, int rows>
AO_INLINE void add8(Dots<Code, rows>& dots, const uint8_t* w, const typename Code::X* x, int64_t stride) {
  dots.add(wide ? Code::template load_wide<0>(w) : Code::template load<0>(w), x, stride);
  dots.add(wide ? Code::template load_wide<1>(w) : Code::template load<1>(w), x + 4, stride);
}

template <class Code, bool wide, int rows>
AO_INLINE void add32(Dots<Code, rows>& dots, const uint8_t* w, const typename Code::X* x, int64_t stride) {
  constexpr int64_t kBytes = wide ? Code::kWide8 : Code::kPacked8;
  add8<Code, wide>(dots, w, x, stride);
  add8<Code, wide>(dots, w + kBytes, x + 8, stride);
  add8<Code, wide>(dots, w + 2 * kBytes, x + 16, stride);
  add8<Code, wide>(dots, w + 3 * kBytes, x + 24, stride);
}

// The compiler may not follow p back to a local array, which it would try to hold in registers that the tile needs.
template <class T>
AO_INLINE T* in_memory(T* p) {
  asm("" : "+r"(p) : : "memory");
  return p;
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

template <class Code, bool wide, int rows>
void kernel(const Packed* w, int64_t panel, const uint8_t* codes, const IntRows& x, int64_t row, const Store& store) {
  const uint8_t* base = panel_at(w, panel);
  if (!wide) codes = base;
  constexpr int64_t kBytes = wide ? Code::kWide8 : Code::kPacked8;
  const typename Code::X* q = (const typename Code::X*)x.q + row * x.stride;
  const int64_t segments = x.segments, segment = x.segment, per_group = (w->group + segment - 1) / segment;
  const int64_t k8 = (w->k + 7) / 8 * 8, stride = x.stride;
  const uint8_t* scale = base + w->scale_at;
  const uint8_t* zero = base + w->zero_at;
  const int32_t domain = w->zero_domain, scale_dtype = w->scale_dtype;
  const int64_t scale_bytes = kPanelRows * (scale_dtype == AO_F32 ? 4 : 2);
  const int64_t zero_bytes = kPanelRows * (domain == AO_ZERO_INT ? 1 : w->zero_dtype == AO_F32 ? 4 : 2);
  const int64_t lines = wide ? 0 : (w->panel_bytes * 32 / k8 + 63) / 64; // to fetch per 32 columns
  const uint8_t* ahead = base + fetch_distance(w);
  Segment g;
  g.s = x.s + row;
  g.sum = x.sum + row;
  g.offset = x.offset + row;
  const float* total = x.total + row;
  alignas(64) float sum_memory[rows * kPanelRows] = {};
  alignas(64) int32_t part_memory[rows * kPanelRows];
  float* sums = in_memory(sum_memory);
  int32_t* part = in_memory(part_memory);
  int64_t used = 0; // segments of the current group
  for (int64_t i = 0; i < segments; i++) {
    const int64_t left = k8 - i * segment;
    int64_t count = left < segment || segments == 1 ? left : segment;
    const bool parts = count > Code::kSpan;
    Dots<Code, rows> dots;
    dots.clear();
    if (parts) memset(part, 0, rows * kPanelRows * 4);
    for (; count > Code::kSpan; count -= Code::kSpan, codes += Code::kSpan / 8 * kBytes, q += Code::kSpan) {
      for (int64_t line = 0; line < lines; line++, ahead += 64) v_prefetch(ahead);
      add32<Code, wide>(dots, codes, q, stride);
      dots.flush(part);
    }
    for (; count >= 32; count -= 32, codes += 4 * kBytes, q += 32) {
      for (int64_t line = 0; line < lines; line++, ahead += 64) v_prefetch(ahead);
      add32<Code, wide>(dots, codes, q, stride);
    }
    for (; count > 0; count -= 8, codes += kBytes, q += 8) add8<Code, wide>(dots, codes, q, stride);
    g.scale = x.between < 0 ? v_load_as(scale_dtype, scale) : v_set1(1.0f);
    if (domain == AO_ZERO_INT) {
      g.zero = vi_add(vi_from_i8(zero), vi_set1(Code::kOffset));
      if (parts)
        dots.template finish<true, true>(sums, part, g);
      else
        dots.template finish<false, true>(sums, part, g);
    } else {
      if (parts)
        dots.template finish<true, false>(sums, part, g);
      else
        dots.template finish<false, false>(sums, part, g);
    }
    if (domain == AO_ZERO_FLOAT) {
      const VF z = v_load_as(w->zero_dtype, zero);
#pragma GCC unroll 16
      for (int r = 0; r < rows; r++)
        v_store(sums + r * kPanelRows, v_fma(v_set1(total[r]), z, v_load(sums + r * kPanelRows)));
    }
    g.s += x.rows;
    g.sum += x.rows;
    g.offset += x.rows;
    total += x.rows;
    if (++used == per_group) {
      used = 0;
      scale += scale_bytes;
      zero += zero_bytes;
    }
  }
  for (int r = 0; r < rows; r++) {
    float* at = sums + r * kPanelRows;
    if (x.between >= 0)
      v_store(at, v_mul(round_to_dtype(x.between, v_load(at)), v_load_as(scale_dtype, base + w->scale_at)));
    if (x.shift) v_store(at, v_fma(v_set1(-x.shift[row + r]), v_load((const float*)(base + w->sum_at)), v_load(at)));
    store_row(at, row + r, panel, store);
  }
}

// Runs the tallest tile that `left` rows fill and returns its height.
template <class Code, bool wide, int rows>
int64_t run_tile(const Packed* w, int64_t panel, const uint8_t* codes, const IntRows& x, int64_t row, int64_t left,
                 const Store& store) {
  if constexpr (rows > 1) {
    if (left < rows) return run_tile<Code, wide, shorter_tile(rows)>(w, panel, codes, x, row, left, store);
  }
  kernel<Code, wide, rows>(w, panel, codes, x, row, store);
  return rows;
}

template <class Code>
void widen(const uint8_t* packed, int64_t k, uint8_t* wide) {
  constexpr int64_t kQuad = Code::kWide8 / 2;
  for (int64_t i = 0; i < k; i += 8, packed += Code::kPacked8, wide += Code::kWide8) {
    Code::store_wide(wide, Code::template load<0>(packed));
    Code::store_wide(wide + kQuad, Code::template load<1>(packed));
  }
}

} // namespace

void int_rows(const Packed* w, int64_t panel, const IntRows& x, int64_t row, int64_t rows, const Store& store) {
  for (int64_t r = 0; r < rows;) {
    if (w->code == AO_INT4)
      r += run_tile<Int4, false, kRowsPacked>(w, panel, nullptr, x, row + r, rows - r, store);
    else
      r += run_tile<Int8, false, kRowsPacked>(w, panel, nullptr, x, row + r, rows - r, store);
  }
}

void int_tile(const Packed* w, int64_t panel, const uint8_t* wide, const IntRows& x, int64_t row, int64_t rows,
              const Store& store) {
  for (int64_t r = 0; r < rows;) {
    if (w->code == AO_INT4)
      r += run_tile<Int4, true, kRowsWide>(w, panel, wide, x, row + r, rows - r, store);
    else
      r += run_tile<Int8, true, kRowsWide>(w, panel, wide, x, row + r, rows - r, store);
  }
}

int64_t int_wide_bytes(int32_t code, int64_t k) {
  return (k + 7) / 8 * (code == AO_INT4 ? Int4::kWide8 : Int8::kWide8);
}

void widen_panel(const Packed* w, int64_t panel, uint8_t* wide) {
  if (w->code == AO_INT4)
    widen<Int4>(panel_at(w, panel), w->k, wide);
  else
    widen<Int8>(panel_at(w, panel), w->k, wide);
}

} // namespace AO_ISA_NS
} // namespace ao
