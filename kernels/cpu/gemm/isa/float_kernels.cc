// The exact mode: acc[r][n] = fma(w[n][k], x[r][k], acc[r][n]) over ascending k, in float32, for every decoder and tile; or, where
// weight and x are bfloat16 and the ISA multiplies pairs of them, acc[r][n] = dot_pairs(acc[r][n], w[n][k .. k + 1], x[r][k .. k + 1]).
#include "gemm/isa/decode.h"
#include "gemm/isa/expand.h"
#include "gemm/isa/store.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

AO_INLINE float float_of(uint32_t unit) {
  float f;
  memcpy(&f, &unit, 4);
  return f;
}

// Accumulators of `rows` rows of x and one or two panels. Nested rather than an array, so that each stays in a register.
template <int rows, int panels>
struct Sums {
  Sums<rows - 1, panels> rest;
  VF first, second;
  AO_INLINE void clear() {
    rest.clear();
    first = second = v_zero();
  }
  AO_INLINE void load(const float* p, int64_t stride) {
    rest.load(p, stride);
    first = v_load(p + (rows - 1) * kPanelRows);
    if (panels == 2) second = v_load(p + (rows - 1) * kPanelRows + stride);
  }
  AO_INLINE void save(float* p, int64_t stride) const {
    rest.save(p, stride);
    v_store(p + (rows - 1) * kPanelRows, first);
    if (panels == 2) v_store(p + (rows - 1) * kPanelRows + stride, second);
  }
  template <class X>
  AO_INLINE void add(VF a, VF b, const X& x) {
    rest.add(a, b, x);
    const VF value = v_set1(float_of(x[rows - 1]));
    first = v_fma(a, value, first);
    if (panels == 2) second = v_fma(b, value, second);
  }
  template <class X>
  AO_INLINE void add_pairs(VI a, VI b, const X& x) {
    rest.add_pairs(a, b, x);
    first = v_dot_pairs(first, a, x[rows - 1]);
    if (panels == 2) second = v_dot_pairs(second, b, x[rows - 1]);
  }
};
template <int panels>
struct Sums<0, panels> {
  AO_INLINE void clear() {}
  AO_INLINE void load(const float*, int64_t) {}
  AO_INLINE void save(float*, int64_t) const {}
  template <class X>
  AO_INLINE void add(VF, VF, const X&) {}
  template <class X>
  AO_INLINE void add_pairs(VI, VI, const X&) {}
};

// What a decoder hands its columns to.
template <int rows>
struct Product {
  Sums<rows, 1> sums;
  const uint32_t* x;
  AO_INLINE void operator()(int64_t k, VF column) { sums.add(column, column, x + k * rows); }
};
struct Copy {
  float* out; // of column 0
  AO_INLINE void operator()(int64_t k, VF column) { v_store(out + k * kPanelRows, column); }
};

template <int rows>
void finish_rows(const Sums<rows, 1>& sums, int64_t panel, const Store& store) {
  alignas(64) float memory[rows * kPanelRows];
  sums.save(memory, 0);
  for (int r = 0; r < rows; r++) store_row(memory + r * kPanelRows, r, panel, store);
}

template <int rows, class Decoder>
void rows_kernel(const Packed* w, int64_t panel, const Tiles& x, const Store& store) {
  Product<rows> product;
  product.sums.clear();
  product.x = x.units;
  Decoder::run(w, panel_at(w, panel), 0, w->k, product);
  finish_rows<rows>(product.sums, panel, store);
}

template <int rows>
void pairs_kernel(const Packed* w, int64_t panel, const Tiles& x, const Store& store) {
  const uint8_t *codes = panel_at(w, panel), *ahead = codes + fetch_distance(w);
  Sums<rows, 1> sums;
  sums.clear();
  for (int64_t u = 0; u < x.count; u++) {
    v_prefetch(ahead + u * 64);
    const VI column = vi_load(codes + u * 64);
    sums.add_pairs(column, column, x.units + u * rows);
  }
  finish_rows<rows>(sums, panel, store);
}

// Pairs of a 2:4 weight are spread in registers; one row of x is picked from instead.
template <int rows>
void sparse_pairs_kernel(const Packed* w, int64_t panel, const Tiles& x, const Store& store) {
  const uint8_t *codes = panel_at(w, panel), *meta = meta_at(w, codes), *ahead = codes + fetch_distance(w);
  Sums<rows, 1> sums;
  sums.clear();
  VI words = vi_zero();
  for (int64_t g = 0; g < w->k / 2; g++, words = vi_shr(words, 4)) {
    if (g % 8 == 0) words = load_words(w, meta, g * 8);
    v_prefetch(ahead + g * 64);
    const VI kept = vi_load(codes + g * 64);
    if constexpr (rows == 1) {
      sums.first = v_dot_picked(sums.first, kept, words, x.units + 2 * g);
    } else {
      const VI a = vi_spread_pair<0>(kept, words), b = vi_spread_pair<1>(kept, words);
      sums.add_pairs(a, a, x.units + 2 * g * rows);
      sums.add_pairs(b, b, x.units + (2 * g + 1) * rows);
    }
  }
  finish_rows<rows>(sums, panel, store);
}

// One row of x of which a 2:4 weight's columns pick their values: those of `kept` columns at a time.
void picked_kernel(const Packed* w, int64_t panel, const Tiles& x, const Store& store) {
  constexpr int64_t kKept = 64;
  alignas(64) float columns[kKept * kPanelRows];
  const uint8_t *codes = panel_at(w, panel), *meta = meta_at(w, codes), *ahead = codes + fetch_distance(w);
  const float* from = (const float*)x.units;
  const bool halves = w->code == AO_BF16;
  Sums<1, 1> sums;
  sums.clear();
  for (int64_t c0 = 0; c0 < w->k; c0 += kKept) {
    const int64_t c1 = w->k - c0 < kKept ? w->k : c0 + kKept;
    if (!halves) decode_kept(w, panel, c0, c1, columns);
    VI words = vi_zero();
    for (int64_t c = c0; c < c1; c += 2, words = vi_shr(words, 4)) {
      if (c % 16 == 0) words = load_words(w, meta, c * 4);
      VF first, second;
      if (halves) {
        v_prefetch(ahead + c * 32);
        const VI pair = vi_load(codes + c * 32);
        first = v_bits(vi_shl(pair, 16)), second = v_bits(vi_and(pair, vi_set1((int32_t)0xffff0000)));
      } else {
        first = v_load(columns + (c - c0) * kPanelRows), second = v_load(columns + (c + 1 - c0) * kPanelRows);
      }
      sums.first = v_fma(first, v_pick(from + c * 2, words), sums.first);
      sums.first = v_fma(second, v_pick(from + c * 2, vi_shr(words, 2)), sums.first);
    }
  }
  finish_rows<1>(sums, panel, store);
}

// One row of x and neighbouring panels.
struct PanelProducts {
  VF sums[kTablePanels];
  const float* x;
  AO_INLINE void operator()(int p, int64_t k, VF column) { sums[p] = v_fma(column, v_set1(x[k]), sums[p]); }
};
struct CopyOne {
  float* out; // of column 0
  AO_INLINE void operator()(int, int64_t k, VF column) { v_store(out + k * kPanelRows, column); }
};

template <class Decoder>
void panels_kernel(const Packed* w, int64_t panel, const Tiles& x, const Store& store) {
  PanelProducts product;
  for (int p = 0; p < kTablePanels; p++) product.sums[p] = v_zero();
  product.x = (const float*)x.units;
  Decoder::template run<kTablePanels>(w, panel_at(w, panel), 0, w->k, product);
  alignas(64) float memory[kPanelRows];
  for (int p = 0; p < kTablePanels; p++) {
    v_store(memory, product.sums[p]);
    store_row(memory, 0, panel + p, store);
  }
}

// Several rows of x: columns are decoded once, to memory.
template <int rows>
void decoded_kernel(const Packed* w, int64_t panel, const Tiles& x, const Store& store) {
  constexpr int64_t kColumns = 64;
  alignas(64) float columns[kColumns * kPanelRows];
  Sums<rows, 1> sums;
  sums.clear();
  const int64_t all = columns_of(w);
  for (int64_t k0 = 0; k0 < all; k0 += kColumns) {
    const int64_t k1 = all - k0 < kColumns ? all : k0 + kColumns;
    decode_panel(w, panel, k0, k1, columns);
    for (int64_t k = k0; k < k1; k++) {
      const VF column = v_load(columns + (k - k0) * kPanelRows);
      sums.add(column, column, x.units + k * rows);
    }
  }
  finish_rows<rows>(sums, panel, store);
}

// A unit of each row of a tile: side by side, or of rows that lie `stride` apart, where every third has a register.
struct Beside {
  const uint32_t* x;
  Beside(const uint32_t* units, int64_t) : x(units) {}
  AO_INLINE uint32_t operator[](int r) const { return x[r]; }
  AO_INLINE void next() { x += kTileHeight; }
};
struct Apart {
  const uint32_t *x0, *x3, *x6, *x9;
  int64_t stride;
  Apart(const uint32_t* units, int64_t s)
      : x0(units), x3(units + 3 * s), x6(units + 6 * s), x9(units + 9 * s), stride(s) {}
  AO_INLINE uint32_t operator[](int r) const {
    const uint32_t* at = r < 3 ? x0 : r < 6 ? x3 : r < 9 ? x6 : x9;
    return at[r % 3 * stride];
  }
  AO_INLINE void next() { x0++, x3++, x6++, x9++; }
};

template <int rows, int panels, bool pairs, class X>
void tile_kernel(const uint8_t* a, const uint8_t* b, int64_t count, X x, float* out, int64_t stride, bool first) {
  Sums<rows, panels> sums;
  if (first)
    sums.clear();
  else
    sums.load(out, stride);
  const int64_t between = b - a;
#pragma GCC unroll 4
  for (int64_t u = 0; u < count; u++, a += 64, x.next()) {
    const uint8_t* beside = panels == 2 ? a + between : a;
    if (pairs)
      sums.add_pairs(vi_load(a), vi_load(beside), x);
    else
      sums.add(v_load((const float*)a), v_load((const float*)beside), x);
  }
  sums.save(out, stride);
}

template <int rows, bool pairs, class X>
void run_tile(const void* const* panel, int64_t panels, int64_t count, const X& x, float* acc, int64_t stride,
              bool first) {
  const auto at = [&](int64_t p) { return (const uint8_t*)panel[p]; };
  if (kFloatPanels == 2 && panels == 2)
    return tile_kernel<rows, kFloatPanels, pairs>(at(0), at(1), count, x, acc, stride, first);
  for (int64_t p = 0; p < panels; p++)
    tile_kernel<rows, 1, pairs>(at(p), at(p), count, x, acc + p * stride, stride, first);
}

template <int rows>
void run_rows(const Packed* w, int64_t panel, const Tiles& x, bool pairs, const Store& store) {
  if constexpr (kPairs) {
    if (pairs && w->sparse) return sparse_pairs_kernel<rows>(w, panel, x, store);
    if (pairs) return pairs_kernel<rows>(w, panel, x, store);
  }
  if (rows == 1 && w->sparse) return picked_kernel(w, panel, x, store);
  if (w->code == AO_TABLE || w->sparse) return decoded_kernel<rows>(w, panel, x, store);
  with_decoder(w, [&](auto decoder) { rows_kernel<rows, decltype(decoder)>(w, panel, x, store); });
}

} // namespace

bool multiplies_pairs() { return kPairs; }

void load_row(int32_t dtype, const void* x, int64_t n, float* out) {
  const int64_t size = dtype == AO_F32 ? 4 : 2;
  int64_t i = 0;
  for (; i + kPanelRows <= n; i += kPanelRows) v_store(out + i, v_load_as(dtype, (const char*)x + i * size));
  if (i == n) return;
  float block[kPanelRows];
  v_store(block, load_some(dtype, x, i, n - i));
  memcpy(out + i, block, (n - i) * 4);
}

// Whole panels without bias and residual.
template <int32_t dtype>
void store_plain(const float* acc, int64_t rows, char* out, int64_t stride) {
  for (int64_t r = 0; r < rows; r++) v_store_as(dtype, out + r * stride, v_load(acc + r * kPanelRows));
}

void store_rows(const float* acc, int64_t row, int64_t rows, int64_t panel, const Store& store) {
  if (!store.bias && !store.residual && (panel + 1) * kPanelRows <= store.n) {
    const int64_t size = store.out_dtype == AO_F32 ? 4 : 2;
    char* out = (char*)store.out + (row * store.out_stride + panel * kPanelRows) * size;
    const auto run = store.out_dtype == AO_F32    ? store_plain<AO_F32>
                     : store.out_dtype == AO_BF16 ? store_plain<AO_BF16>
                                                  : store_plain<AO_F16>;
    return run(acc, rows, out, store.out_stride * size);
  }
  for (int64_t r = 0; r < rows; r++) store_row(acc + r * kPanelRows, row + r, panel, store);
}

void float_rows(const Packed* w, int64_t panel, int64_t panels, const Tiles& x, bool pairs, int64_t rows,
                const Store& store) {
  if constexpr (kTablePanels > 1) {
    if (w->code == AO_TABLE && rows == 1 && !w->sparse)
      with_table_decoder<kManyForms>(w, [&](auto decoder) {
        if constexpr (decltype(decoder)::kSideBySide)
          for (; panels >= kTablePanels; panel += kTablePanels, panels -= kTablePanels)
            panels_kernel<decltype(decoder)>(w, panel, x, store);
      });
  }
  const auto run = rows == 1 ? run_rows<1> : rows == 2 ? run_rows<2> : rows == 3 ? run_rows<3> : run_rows<4>;
  for (int64_t p = 0; p < panels; p++) run(w, panel + p, x, pairs, store);
}

void decode_panel(const Packed* w, int64_t panel, int64_t k0, int64_t k1, float* out) {
  if (!w->sparse) return decode_kept(w, panel, k0, k1, out);
  constexpr int64_t kKept = 64;
  alignas(64) float columns[kKept * kPanelRows];
  const uint8_t* meta = meta_at(w, panel_at(w, panel));
  memset(out, 0, (k1 - k0) * kPanelRows * 4);
  for (int64_t c0 = k0 / 2; c0 < k1 / 2; c0 += kKept) {
    const int64_t c1 = k1 / 2 - c0 < kKept ? k1 / 2 : c0 + kKept;
    decode_kept(w, panel, c0, c1, columns);
    for (int64_t c = c0; c < c1; c++) {
      const uint32_t* words = (const uint32_t*)(meta + c / 16 * 64);
      float* to = out + (c / 2 * 4 - k0) * kPanelRows;
      for (int r = 0; r < kPanelRows; r++)
        to[(words[r] >> (c % 16 * 2) & 3) * kPanelRows + r] = columns[(c - c0) * kPanelRows + r];
    }
  }
}

void spread_pairs(const Packed* w, int64_t panel, int64_t u0, int64_t u1, float* out) {
  const uint8_t *codes = panel_at(w, panel), *meta = meta_at(w, codes);
  for (int64_t u = u0; u < u1; u++, out += kPanelRows) {
    const VI kept = vi_load(codes + u / 2 * 64), words = vi_shr(vi_load(meta + u / 16 * 64), (int)(u / 2 % 8 * 4));
    vi_store(out, u % 2 ? vi_spread_pair<1>(kept, words) : vi_spread_pair<0>(kept, words));
  }
}

void decode_kept(const Packed* w, int64_t panel, int64_t k0, int64_t k1, float* out) {
  if (w->code == AO_TABLE) {
    with_table_decoder<false>(w, [&](auto decoder) {
      CopyOne copy = {out - k0 * kPanelRows};
      decltype(decoder)::template run<1>(w, panel_at(w, panel), k0, k1, copy);
    });
    return;
  }
  with_decoder(w, [&](auto decoder) {
    Copy copy = {out - k0 * kPanelRows};
    decltype(decoder)::run(w, panel_at(w, panel), k0, k1, copy);
  });
}

void float_tile(const void* const* panel, int64_t panels, bool pairs, int64_t u0, int64_t count, const Tiles& x,
                int64_t row, int64_t rows, float* acc, int64_t stride, bool first) {
  constexpr int kHalf = (kTileHeight + 1) / 2; // where the last tile is no more than half full
  for (int64_t r = 0; r < rows; r += kTileHeight) {
    if (x.height == 1) {
      const auto run = kPairs && pairs ? run_tile<kTileHeight, kPairs, Apart> : run_tile<kTileHeight, false, Apart>;
      run(panel, panels, count, {x.at(row + r) + u0, x.count}, acc + r * kPanelRows, stride, first);
      continue;
    }
    const bool half = rows - r <= kHalf;
    const auto run = half ? kPairs && pairs ? run_tile<kHalf, kPairs, Beside> : run_tile<kHalf, false, Beside>
                     : kPairs && pairs ? run_tile<kTileHeight, kPairs, Beside>
                                       : run_tile<kTileHeight, false, Beside>;
    run(panel, panels, count, {x.at(row + r) + u0 * kTileHeight, 0}, acc + r * kPanelRows, stride, first);
  }
}

} // namespace AO_ISA_NS
} // namespace ao
