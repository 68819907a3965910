// Integer dot products of rows of x and a panel's codes, exact in int32. Code (vec_*.h) says how codes become operands.
#pragma once
#include "gemm/isa/vec.h"
#include "gemm/kernels.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// The packed codes of one panel, or those widen made of them.
template <class Code, bool wide>
struct Codes {
  static constexpr int64_t kBytes8 = wide ? Code::kWide8 : Code::kPacked8; // of 8 columns
  static AO_INLINE auto load(const uint8_t* p) {
    if constexpr (wide)
      return Code::load_wide(p);
    else
      return Code::load(p);
  }
};

// Accumulators of `rows` rows of x in tiles of `height` and one or two panels, nested so that each stays in a register.
template <class Code, int rows, int height, int panels>
struct Dots {
  Dots<Code, rows - 1, height, panels> rest;
  typename Code::Acc first, second;
  AO_INLINE void clear() {
    rest.clear();
    first = second = Code::zero();
  }
  // From what the offset of the operands will add, where the accumulator can hold it.
  AO_INLINE void start(const int32_t* offset) {
    rest.start(offset);
    first = second = Code::start(offset[rows - 1]);
  }
  template <class W>
  AO_INLINE void add(const W& a, const W& b, const uint32_t* x) {
    rest.add(a, b, x);
    Code::template dot<height>(first, a, x + rows - 1);
    if (panels == 2) Code::template dot<height>(second, b, x + rows - 1);
  }
  // Eight columns; `next` is the way from one panel's codes to the other's.
  template <bool wide>
  AO_INLINE void add8(const uint8_t* w, int64_t next, const uint32_t* x) {
    typedef Codes<Code, wide> From;
    const auto [a0, a1] = From::load(w);
    const auto [b0, b1] = From::load(panels == 2 ? w + next : w);
    add(a0, b0, x);
    add(a1, b1, x + height * Code::kUnits);
  }
  // Moves the sums into [panel][row][16] int32, panels `stride` apart.
  AO_INLINE void flush(int32_t* to, int64_t stride, bool fresh) {
    rest.flush(to, stride, fresh);
    int32_t* at = to + (rows - 1) * kPanelRows;
    vi_store(at, fresh ? Code::finish(first) : vi_add(vi_load(at), Code::finish(first)));
    first = Code::zero();
    if (panels == 1) return;
    at += stride;
    vi_store(at, fresh ? Code::finish(second) : vi_add(vi_load(at), Code::finish(second)));
    second = Code::zero();
  }
  template <int row, int panel>
  AO_INLINE VI get() const {
    if constexpr (row < rows - 1)
      return rest.template get<row, panel>();
    else
      return Code::finish(panel == 0 ? first : second);
  }
};
template <class Code, int height, int panels>
struct Dots<Code, 0, height, panels> {
  AO_INLINE void clear() {}
  AO_INLINE void start(const int32_t*) {}
  template <class W>
  AO_INLINE void add(const W&, const W&, const uint32_t*) {}
  template <bool wide>
  AO_INLINE void add8(const uint8_t*, int64_t, const uint32_t*) {}
  AO_INLINE void flush(int32_t*, int64_t, bool) {}
};

template <class Code, bool wide, int rows, int height, int panels>
AO_INLINE void add32(Dots<Code, rows, height, panels>& dots, const uint8_t* w, int64_t next, const uint32_t* x) {
  constexpr int64_t kBytes = Codes<Code, wide>::kBytes8, kStep = 2 * height * Code::kUnits;
  dots.template add8<wide>(w, next, x);
  dots.template add8<wide>(w + kBytes, next, x + kStep);
  dots.template add8<wide>(w + 2 * kBytes, next, x + 2 * kStep);
  dots.template add8<wide>(w + 3 * kBytes, next, x + 3 * kStep);
}

// The compiler may not follow p back to a local array, which it would try to hold in registers that the tile needs.
template <class T>
AO_INLINE T* in_memory(T* p) {
  asm("" : "+r"(p) : : "memory");
  return p;
}

// Fetches a panel's codes ahead of their use in the GEMV skeleton, then those of the next panel, `panels` further on.
struct Ahead {
  static constexpr int64_t kDistance = 4096, kNever = (int64_t)1 << 46;
  const uint8_t *at, *end, *next;
  Ahead(const Packed* w, const uint8_t* codes, int64_t bytes, int panels) {
    next = codes + panels * w->panel_bytes;
    const bool far = bytes <= kDistance;
    at = far ? next : codes + kDistance;
    end = codes + bytes + (far ? kNever : 0);
  }
  template <int lines>
  AO_INLINE void fetch() {
    if (at >= end) at = next, end += kNever;
    for (int i = 0; i < lines; i++) v_prefetch(at + 64 * i);
    at += 64 * lines;
  }
};

} // namespace
} // namespace AO_ISA_NS
} // namespace ao

#if defined(__ARM_FEATURE_MATMUL_INT8)
#include "gemm/isa/dots_i8mm.h"
#endif
