// The exact mode: acc[r][n] = fma(w[n][k], x[r][k], acc[r][n]) over ascending k, in float32, for every decoder and tile.
#include "gemm/isa/decode.h"
#include "gemm/isa/store.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// Accumulators of `rows` rows of x. Nested rather than an array, so that each stays in a register.
template <int rows>
struct Sums {
  Sums<rows - 1> rest;
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
  AO_INLINE void add(VF column, const float* x, int64_t stride) {
    rest.add(column, x, stride);
    last = v_fma(column, v_set1(x[(rows - 1) * stride]), last);
  }
};
template <>
struct Sums<0> {
  AO_INLINE void clear() {}
  AO_INLINE void load(const float*) {}
  AO_INLINE void save(float*) const {}
  AO_INLINE void add(VF, const float*, int64_t) {}
};

// What a decoder hands its columns to.
template <int rows>
struct Product {
  Sums<rows> sums;
  const float* x;
  int64_t stride;
  AO_INLINE void operator()(int64_t k, VF column) { sums.add(column, x + k, stride); }
};
struct Copy {
  float* out; // of column 0
  AO_INLINE void operator()(int64_t k, VF column) { v_store(out + k * kPanelRows, column); }
};

template <int rows, class Decoder>
void rows_kernel(const Packed* w, int64_t panel, const FloatRows& x, int64_t row, const Store& store) {
  Product<rows> product;
  product.sums.clear();
  product.x = x.x + row * x.stride;
  product.stride = x.stride;
  Decoder::run(w, panel_at(w, panel), 0, w->k, product);
  alignas(64) float sums[rows * kPanelRows];
  product.sums.save(sums);
  for (int r = 0; r < rows; r++) store_row(sums + r * kPanelRows, row + r, panel, store);
}

template <int rows>
void tile_kernel(const float* panel, int64_t count, const float* x, int64_t stride, float* out, bool first) {
  Sums<rows> sums;
  if (first)
    sums.clear();
  else
    sums.load(out);
  for (int64_t k = 0; k < count; k++) sums.add(v_load(panel + k * kPanelRows), x + k, stride);
  sums.save(out);
}

// These two run the tallest tile that `left` rows fill and return its height.
template <int rows, class Decoder>
int64_t run_rows(const Packed* w, int64_t panel, const FloatRows& x, int64_t row, int64_t left, const Store& store) {
  if constexpr (rows > 1) {
    if (left < rows) return run_rows<shorter_tile(rows), Decoder>(w, panel, x, row, left, store);
  }
  rows_kernel<rows, Decoder>(w, panel, x, row, store);
  return rows;
}

template <int rows>
int64_t run_tile(const float* panel, int64_t k, const float* x, int64_t stride, int64_t left, float* acc, bool first) {
  if constexpr (rows > 1) {
    if (left < rows) return run_tile<shorter_tile(rows)>(panel, k, x, stride, left, acc, first);
  }
  tile_kernel<rows>(panel, k, x, stride, acc, first);
  return rows;
}

} // namespace

void load_row(int32_t dtype, const void* x, int64_t n, float* out) {
  const int64_t size = dtype == AO_F32 ? 4 : 2;
  int64_t i = 0;
  for (; i + kPanelRows <= n; i += kPanelRows) v_store(out + i, v_load_as(dtype, (const char*)x + i * size));
  if (i == n) return;
  float block[kPanelRows];
  v_store(block, load_some(dtype, x, i, n - i));
  memcpy(out + i, block, (n - i) * 4);
}

void store_rows(const float* acc, int64_t row, int64_t rows, int64_t panel, const Store& store) {
  for (int64_t r = 0; r < rows; r++) store_row(acc + r * kPanelRows, row + r, panel, store);
}

void float_rows(const Packed* w, int64_t panel, const FloatRows& x, int64_t row, int64_t rows, const Store& store) {
  with_decoder(w, [&](auto decoder) {
    for (int64_t r = 0; r < rows;) r += run_rows<kRowsPacked, decltype(decoder)>(w, panel, x, row + r, rows - r, store);
  });
}

void decode_panel(const Packed* w, int64_t panel, int64_t k0, int64_t k1, float* out) {
  with_decoder(w, [&](auto decoder) {
    Copy copy = {out - k0 * kPanelRows};
    decltype(decoder)::run(w, panel_at(w, panel), k0, k1, copy);
  });
}

void float_tile(const float* panel, int64_t k, const float* x, int64_t stride, int64_t rows, float* acc, bool first) {
  for (int64_t r = 0; r < rows;)
    r += run_tile<kRowsFloat>(panel, k, x + r * stride, stride, rows - r, acc + r * kPanelRows, first);
}

} // namespace AO_ISA_NS
} // namespace ao
