// Integer dot products by smmla: two rows of x times two of a panel, eight columns at once. A row without a neighbour, which only
// the GEMV skeleton has, goes through sdot; the sums are the same, exact ones.
#pragma once

namespace ao {
namespace AO_ISA_NS {
namespace {

// Eight columns of a panel, two rows to a register.
template <class Code, bool wide>
AO_INLINE Halves<int8x16_t> load_pairs(const uint8_t* p) {
  if (wide) {
    const Bytes x = load_bytes(p), y = load_bytes(p + 64);
    return {x.a, x.b, x.c, x.d, y.a, y.b, y.c, y.d};
  }
  const auto [x, y] = Code::load(p);
  const auto low = [](int8x16_t u, int8x16_t v) AO_ALWAYS {
    return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(u), vreinterpretq_s32_s8(v)));
  };
  const auto high = [](int8x16_t u, int8x16_t v) AO_ALWAYS {
    return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(u), vreinterpretq_s32_s8(v)));
  };
  return {low(x.a, y.a), high(x.a, y.a), low(x.b, y.b), high(x.b, y.b),
          low(x.c, y.c), high(x.c, y.c), low(x.d, y.d), high(x.d, y.d)};
}

// Eight codes of two neighbouring rows of x.
template <int height>
AO_INLINE int8x16_t two_rows(const uint32_t* x) {
  int64_t first, second;
  memcpy(&first, x, 8);
  memcpy(&second, x + height, 8);
  return vreinterpretq_s8_s32(
      vzip1q_s32(vreinterpretq_s32_s64(vdupq_n_s64(first)), vreinterpretq_s32_s64(vdupq_n_s64(second))));
}

// [2][2] sums in each register: rows of x times rows of the panel.
typedef Halves<int32x4_t> Squares;

AO_INLINE void add_squares(Squares& acc, int8x16_t x, const Halves<int8x16_t>& w) {
  acc = {vmmlaq_s32(acc.a0, x, w.a0), vmmlaq_s32(acc.a1, x, w.a1), vmmlaq_s32(acc.b0, x, w.b0),
         vmmlaq_s32(acc.b1, x, w.b1), vmmlaq_s32(acc.c0, x, w.c0), vmmlaq_s32(acc.c1, x, w.c1),
         vmmlaq_s32(acc.d0, x, w.d0), vmmlaq_s32(acc.d1, x, w.d1)};
}

template <int row>
AO_INLINE VI row_of(const Squares& s) {
  const auto join = [](int32x4_t x, int32x4_t y) AO_ALWAYS {
    const int64x2_t u = vreinterpretq_s64_s32(x), v = vreinterpretq_s64_s32(y);
    return vreinterpretq_s32_s64(row == 0 ? vzip1q_s64(u, v) : vzip2q_s64(u, v));
  };
  return {join(s.a0, s.a1), join(s.b0, s.b1), join(s.c0, s.c1), join(s.d0, s.d1)};
}

template <class Code, int rows, int height, int panels>
  requires(rows >= 2)
struct Dots<Code, rows, height, panels> {
  Dots<Code, rows - 2, height, panels> rest;
  Squares first, second;
  AO_INLINE void all(int32x4_t v) { first = second = {v, v, v, v, v, v, v, v}; }
  AO_INLINE void clear() {
    rest.clear();
    all(vdupq_n_s32(0));
  }
  AO_INLINE void start(const int32_t* offset) {
    rest.start(offset);
    all(vcombine_s32(vdup_n_s32(offset[rows - 2]), vdup_n_s32(offset[rows - 1])));
  }
  template <bool wide>
  AO_INLINE void add8(const uint8_t* w, int64_t next, const uint32_t* x) {
    rest.template add8<wide>(w, next, x);
    const int8x16_t two = two_rows<height>(x + rows - 2);
    add_squares(first, two, load_pairs<Code, wide>(w));
    if (panels == 2) add_squares(second, two, load_pairs<Code, wide>(w + next));
  }
  template <int row, int panel>
  AO_INLINE VI get() const {
    if constexpr (row < rows - 2)
      return rest.template get<row, panel>();
    else
      return row_of<row - (rows - 2)>(panel == 0 ? first : second);
  }
  AO_INLINE void flush(int32_t* to, int64_t stride, bool fresh) {
    rest.flush(to, stride, fresh);
    flush_row<rows - 2, 0>(to, fresh);
    flush_row<rows - 1, 0>(to, fresh);
    if (panels == 2) {
      flush_row<rows - 2, 1>(to + stride, fresh);
      flush_row<rows - 1, 1>(to + stride, fresh);
    }
    all(vdupq_n_s32(0));
  }
  template <int row, int panel>
  AO_INLINE void flush_row(int32_t* to, bool fresh) const {
    int32_t* at = to + row * kPanelRows;
    const VI sums = get<row, panel>();
    vi_store(at, fresh ? sums : vi_add(vi_load(at), sums));
  }
};

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
