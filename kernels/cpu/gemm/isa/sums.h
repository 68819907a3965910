// How a segment's exact dot products join the float32 sums of a row and a panel; gemm/isa/int_kernels.cc has the formulas.
#pragma once
#include <type_traits>

#include "gemm/isa/dots.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// [rows][16] float32 sums, in registers or in memory.
template <int rows>
struct RegisterSums {
  RegisterSums<rows - 1> rest;
  VF last;
  AO_INLINE void clear() {
    rest.clear();
    last = v_zero();
  }
  AO_INLINE void load(const float* p) {
    rest.load(p);
    last = v_load(p + (rows - 1) * kPanelRows);
  }
  AO_INLINE void save(float* p) const {
    rest.save(p);
    v_store(p + (rows - 1) * kPanelRows, last);
  }
  template <int row>
  AO_INLINE void add(VF a, VF b) {
    if constexpr (row == rows - 1)
      last = v_fma(a, b, last);
    else
      rest.template add<row>(a, b);
  }
  template <int row>
  AO_INLINE VF get() const {
    if constexpr (row == rows - 1)
      return last;
    else
      return rest.template get<row>();
  }
};
template <>
struct RegisterSums<0> {
  AO_INLINE void clear() {}
  AO_INLINE void load(const float*) {}
  AO_INLINE void save(float*) const {}
};

template <int rows>
struct MemorySums {
  alignas(64) float memory[rows * kPanelRows];
  float* at;
  AO_INLINE void clear() {
    memset(memory, 0, sizeof memory);
    at = in_memory(memory);
  }
  AO_INLINE void load(const float* p) {
    memcpy(memory, p, sizeof memory);
    at = in_memory(memory);
  }
  AO_INLINE void save(float* p) const { memcpy(p, at, sizeof memory); }
  template <int row>
  AO_INLINE void add(VF a, VF b) {
    float* p = at + row * kPanelRows;
    v_store(p, v_fma(a, b, v_load(p)));
  }
  template <int row>
  AO_INLINE VF get() const {
    return v_load(at + row * kPanelRows);
  }
};

template <int rows>
using Sums = std::conditional_t<kSumsInRegisters, RegisterSums<rows>, MemorySums<rows>>;

// What joins a segment's dot products to the sums. Of x: its scales and sums, rows side by side.
struct Segment {
  const float* s;
  const int32_t* sum;
  const int32_t* offset;
};

// Of one panel: 16 rows' scales and zero points, of the group at hand.
struct Side {
  const uint8_t *scale_at, *zero_at;
  VF scale;
  VI zero; // plus kOffset, where it is an integer one
};

// Row `row` of a panel's dots as float32, plus what was flushed to part.
template <class Code, int panel, bool int_zero, bool parts, int row, int rows, int height, int panels>
AO_INLINE VF dot_of(const Dots<Code, rows, height, panels>& dots, const int32_t* part, const Segment& g,
                    const Side& w) {
  VI dot = dots.template get<row, panel>();
  if (parts) dot = vi_add(dot, vi_load(part + row * kPanelRows));
  if (int_zero)
    dot = vi_sub(dot, vi_mul(w.zero, vi_set1(g.sum[row])));
  else if (Code::kOffset != 0 && !Code::kStarts)
    dot = vi_add(dot, vi_set1(g.offset[row]));
  return v_cvt(dot);
}

template <class Code, int panel, bool token, bool open, bool int_zero, bool parts, int rows, int height, int panels,
          int row = 0>
AO_INLINE void join_rows(const Dots<Code, rows, height, panels>& dots, Sums<rows>& sums, const int32_t* part,
                         const Segment& g, const Side& w) {
  if constexpr (row < rows) {
    const VF dot = dot_of<Code, panel, int_zero, parts, row>(dots, part, g, w);
    if (token)
      sums.template add<row>(dot, w.scale);
    else if (open) // the group goes on: its own sum takes x's scale only
      sums.template add<row>(dot, v_set1(g.s[row]));
    else
      sums.template add<row>(v_mul(dot, v_set1(g.s[row])), w.scale);
    join_rows<Code, panel, token, open, int_zero, parts, rows, height, panels, row + 1>(dots, sums, part, g, w);
  }
}

template <class Code, int panel, bool token, bool open, bool kParts, int rows, int height, int panels>
AO_INLINE void join(const Dots<Code, rows, height, panels>& dots, Sums<rows>& sums, const int32_t* part, bool parts,
                    bool int_zero, const Segment& g, const Side& w) {
  if constexpr (kParts) {
    if (parts && int_zero) return join_rows<Code, panel, token, open, true, true>(dots, sums, part, g, w);
    if (parts) return join_rows<Code, panel, token, open, false, true>(dots, sums, part, g, w);
  }
  if (int_zero)
    join_rows<Code, panel, token, open, true, false>(dots, sums, part, g, w);
  else
    join_rows<Code, panel, token, open, false, false>(dots, sums, part, g, w);
}

template <int rows, int row = 0>
AO_INLINE void add_zero(Sums<rows>& sums, const float* total, VF zero) {
  if constexpr (row < rows) {
    sums.template add<row>(v_set1(total[row]), zero);
    add_zero<rows, row + 1>(sums, total, zero);
  }
}

// A group's own sums, and its zero point's share, into acc.
template <int rows, int row = 0>
AO_INLINE void close_group(const Sums<rows>& sums, VF scale, bool with_zero, VF zero, const float* total, float* acc) {
  if constexpr (row < rows) {
    float* at = acc + row * kPanelRows;
    VF v = v_fma(sums.template get<row>(), scale, v_load(at));
    if (with_zero) v = v_fma(v_set1(total[row]), zero, v);
    v_store(at, v);
    close_group<rows, row + 1>(sums, scale, with_zero, zero, total, acc);
  }
}

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
