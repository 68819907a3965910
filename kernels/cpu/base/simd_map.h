// Loops over a row in vectors, for ISA files: by_dtype turns a float dtype code into a constant, map1 and map2 apply a
// vector function to stored values (load -> float32 -> store).
#pragma once
#include "base/simd.h"

template <int value>
struct DtypeTag {
  static constexpr int dtype = value;
};

// fn(tag) with tag.dtype one of AO_F32, AO_F16, AO_BF16.
template <class Fn>
static inline void by_dtype(int64_t dtype, const Fn& fn) {
  if (dtype == AO_F32)
    fn(DtypeTag<AO_F32>());
  else if (dtype == AO_F16)
    fn(DtypeTag<AO_F16>());
  else
    fn(DtypeTag<AO_BF16>());
}

// body(i, n) for i in steps of AO_W; n is AO_W but for the last.
template <class Fn>
static inline void steps(int64_t n, const Fn& body) {
  int64_t i = 0;
  for (; i + AO_W <= n; i += AO_W) body(i, AO_W);
  if (i < n) body(i, (int)(n - i));
}

template <class Fn>
static inline void map1(int64_t dtype, void* out, const void* x, int64_t n, const Fn& fn) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(n, [&](int64_t i, int count) { store_as(d, out, i, fn(load_as(d, x, i, count)), count); });
  });
}
