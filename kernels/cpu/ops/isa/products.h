// Products of small matrices in cache: c[m][n] = (add ? c : 0) + sum over ascending k of a(m, k) b[k][n], one chain of float32 multiply-adds
// an element. a is a tile of kTileSide columns: a(m, k) = a[m + k * kTileSide] (across) or a[m * kTileSide + k] (along).
#pragma once
#include "base/simd.h"

constexpr int kTileSide = 48;

template <bool across, int rows, int vectors>
static inline __attribute__((always_inline)) void product_tile(const float* a, const float* b, int64_t b_step,
                                                               int64_t depth, float* c, int64_t c_row, bool add) {
  constexpr int row = across ? 1 : kTileSide, step = across ? kTileSide : 1;
  vf sum[rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[r][v] = add ? load(c + r * c_row + v * AO_W) : set1(0.0f);
  for (int64_t k = 0; k < depth; k++, a += step, b += b_step) {
    vf y[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) y[v] = load(b + v * AO_W);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      const vf x = set1(a[r * row]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sum[r][v] = fma_(x, y[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) store(c + r * c_row + v * AO_W, sum[r][v]);
}

// kTileSide rows of `vectors` vectors.
template <bool across, int vectors>
static void product_columns(const float* a, const float* b, int64_t b_step, int64_t depth, float* c, int64_t c_row,
                            bool add) {
  constexpr int rows = AO_W < 16 ? 6 : vectors == 4 ? 6 : vectors == 3 ? 8 : 12; // what the registers hold
  for (int m = 0; m < kTileSide; m += rows)
    product_tile<across, rows, vectors>(a + m * (across ? 1 : kTileSide), b, b_step, depth, c + m * c_row, c_row, add);
}

// n is a multiple of 16.
template <bool across>
static void product(const float* a, const float* b, int64_t b_step, int64_t depth, float* c, int64_t c_row, int64_t n,
                    bool add) {
  int64_t i = 0;
  const auto run = [&](auto vectors) {
    product_columns<across, decltype(vectors)::value>(a, b + i, b_step, depth, c + i, c_row, add);
    i += decltype(vectors)::value * AO_W;
  };
  while (i < n) {
    const int64_t left = (n - i) / AO_W;
    if (AO_W < 16 || left == 2)
      run(std::integral_constant<int, 2>());
    else if (left == 1)
      run(std::integral_constant<int, 1>());
    else if (left == 4 || left > 6)
      run(std::integral_constant < int, AO_W<16 ? 2 : 4>());
    else
      run(std::integral_constant < int, AO_W<16 ? 2 : 3>());
  }
}
