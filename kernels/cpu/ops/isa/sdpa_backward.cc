#include "ops/sdpa_backward.h"

#include <type_traits>

#include "base/simd_map.h"
#include "base/simd_math.h"
#include "base/simd_transpose.h"
#include "ops/isa/products.h"
#include "ops/isa/sums.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

static_assert(kGradRows == kTileSide && kPanelKeys == kTileSide, "tiles of scores are square");
constexpr int64_t kTileSize = kTileSide * kTileSide;

// out[i][kTileSide] of kTileSide rows of x, n a multiple of 16.
void transpose_tile(const float* x, int64_t stride, int64_t n, float* out) {
  for (int row = 0; row < kTileSide; row += AO_W)
    for (int64_t i = 0; i < n; i += AO_W) {
      vf t[AO_W];
      for (int c = 0; c < AO_W; c++) t[c] = load(x + (row + c) * stride + i);
      transpose(t);
      for (int c = 0; c < AO_W; c++) store(out + (i + c) * kTileSide + row, t[c]);
    }
}

// `count` stored rows of n values as float32 [kPanelKeys][padded], zeros beyond.
void widen_panel(int64_t dtype, const void* x, int64_t stride, int64_t count, int64_t n, int64_t padded, float* out) {
  const int64_t size = dtype == AO_F32 ? 4 : 2;
  for (int64_t j = 0; j < kPanelKeys; j++) {
    float* row = out + j * padded;
    const int64_t filled = j < count ? n : 0;
    by_dtype(dtype, [&](auto tag) {
      constexpr int d = decltype(tag)::dtype;
      steps(filled, [&](int64_t i, int lanes) {
        store_as(AO_F32, row, i, load_as(d, (const char*)x + j * stride * size, i, lanes), lanes);
      });
    });
    for (int64_t i = filled; i < padded; i++) row[i] = 0;
  }
}

// Scores of a row in panels [first, last) -> e^(score - max) / sum, and the slope of the soft cap; 0 where the row does not see.
void softmax_panels(const SdpaGradRows& r, int row, int64_t first, int64_t last) {
  const vf none = set1(-INFINITY);
  const bool capped = r.softcap > 0;
  const vf inner = set1(capped ? r.scale / r.softcap : r.scale), outer = set1(r.softcap);
  const int64_t low = r.low[row], high = r.high[row];
  const float* mask = r.mask[row];
  const auto each = [&](const auto& fn) {
    for (int64_t p = first; p < last; p++)
      for (int c = 0; c < kPanelKeys; c += AO_W) fn((p * kGradRows + row) * kPanelKeys + c, p * kPanelKeys + c);
  };
  vf largest = none;
  each([&](int64_t at, int64_t key) {
    vf v = load(r.p + at) * inner;
    if (capped) {
      const vf t = tanh_(v);
      store(r.slope + at, set1(1.0f) - t * t);
      v = t * outer;
    }
    const int from = low > key ? (int)(low - key) : 0, to = high - key < AO_W ? (int)(high - key) : AO_W;
    if (from >= AO_W || to <= from) {
      v = none;
    } else {
      if (mask) {
        float t[AO_W] = {};
        for (int k = from; k < to; k++) t[k] = mask[(key + k) * r.mask_stride];
        v += load(t);
      }
      if (from > 0 || to < AO_W) v = (first_n(to) & ~first_n(from)) != 0 ? v : none;
    }
    store(r.p + at, v);
    largest = max_(v, largest);
  });
  float t[AO_W], top = -INFINITY;
  store(t, largest);
  for (float v : t) top = v > top ? v : top;
  const vf shift = set1(top == -INFINITY ? 0.0f : top);
  vf total = set1(0.0f);
  each([&](int64_t at, int64_t) {
    const vf e = exp_down(load(r.p + at) - shift);
    store(r.p + at, e);
    total += e;
  });
  const float sum = sum_lanes(total);
  const vf inverse = set1(sum == 0 ? 0.0f : 1.0f / sum);
  each([&](int64_t at, int64_t) { store(r.p + at, load(r.p + at) * inverse); });
}

} // namespace

void sdpa_grad_pack(int64_t dtype, const void* k, int64_t k_stride, const void* v, int64_t v_stride, int64_t keys,
                    int64_t dim, int64_t v_dim, const SdpaGradHead& head) {
  const int64_t size = dtype == AO_F32 ? 4 : 2;
  float* rows = head.dv; // room for now
  for (int64_t p = 0; p < head.panels; p++) {
    const int64_t first = p * kPanelKeys, count = keys - first < kPanelKeys ? keys - first : kPanelKeys;
    float* k_rows = head.k + first * head.dim;
    widen_panel(dtype, (const char*)k + first * k_stride * size, k_stride, count, dim, head.dim, k_rows);
    transpose_tile(k_rows, head.dim, head.dim, head.kt + first * head.dim);
    widen_panel(dtype, (const char*)v + first * v_stride * size, v_stride, count, v_dim, head.v_dim, rows);
    transpose_tile(rows, head.v_dim, head.v_dim, head.vt + first * head.v_dim);
  }
}

void sdpa_grad_rows(const SdpaGradHead& head, const SdpaGradRows& r) {
  int64_t first = head.panels, last = 0;
  for (int i = 0; i < r.rows; i++) {
    if (r.low[i] >= r.high[i]) continue;
    const int64_t from = r.low[i] / kPanelKeys, to = (r.high[i] + kPanelKeys - 1) / kPanelKeys;
    first = from < first ? from : first, last = to > last ? to : last;
  }
  const int64_t dim = head.dim, v_dim = head.v_dim;
  memset(r.dq, 0, (size_t)(kGradRows * dim) * sizeof(float));
  transpose_tile(r.q, dim, dim, r.qt);
  transpose_tile(r.g, v_dim, v_dim, r.gt);
  for (int64_t p = first; p < last; p++)
    product<true>(r.qt, head.kt + p * kPanelKeys * dim, kPanelKeys, dim, r.p + p * kTileSize, kPanelKeys, kPanelKeys,
                  false);
  for (int i = 0; i < r.rows; i++) softmax_panels(r, i, first, last);
  const vf scale = set1(r.scale);
  for (int64_t p = first; p < last; p++) {
    const int64_t key = p * kPanelKeys;
    const float* weights = r.p + p * kTileSize;
    product<true>(r.gt, head.vt + key * v_dim, kPanelKeys, v_dim, r.ds, kPanelKeys, kPanelKeys, false);
    for (int i = 0; i < r.rows; i++) {
      const vf delta = set1(r.delta[i]);
      for (int64_t at = i * kPanelKeys; at < (i + 1) * kPanelKeys; at += AO_W) {
        vf v = load(weights + at) * (load(r.ds + at) - delta) * scale;
        if (r.softcap > 0) v *= load(r.slope + p * kTileSize + at);
        store(r.ds + at, v);
      }
    }
    product<true>(weights, r.g, v_dim, r.rows, head.dv + key * v_dim, v_dim, v_dim, true);
    product<true>(r.ds, r.q, dim, r.rows, head.dk + key * dim, dim, dim, true);
    product<false>(r.ds, head.k + key * dim, dim, kPanelKeys, r.dq, dim, dim, true);
  }
}

float dot_row(int64_t dtype, const void* a, const void* b, int64_t n) {
  float total[1];
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    sum_rows<1>(
        n, [&](int64_t i, int count, vf* v) { v[0] = load_as(d, a, i, count) * load_as(d, b, i, count); }, total);
  });
  return total[0];
}

} // namespace AO_ISA_NS
} // namespace ao
