#include "ops/sdpa.h"

#include <math.h>

#include "base/simd_map.h"
#include "base/simd_math.h"

namespace ao {
namespace AO_ISA_NS {

// The lanes of eight vectors summed, each by the same tree whatever its place.
static inline void sum_eight(const vf a[8], float* out) {
#if AO_ISA_LEVEL >= 1
  __m256 v[8];
  for (int i = 0; i < 8; i++) {
#if AO_ISA_LEVEL == 2
    v[i] = _mm256_add_ps(_mm512_castps512_ps256((__m512)a[i]), _mm512_extractf32x8_ps((__m512)a[i], 1));
#else
    v[i] = (__m256)a[i];
#endif
  }
  const __m256 x = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const __m256 y = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
  _mm256_storeu_ps(out, _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31)));
#else
  for (int i = 0; i < 8; i++) out[i] = (a[i][0] + a[i][1]) + (a[i][2] + a[i][3]);
#endif
}

// scores[row][j] = q[row] . k[j] for `rows` rows and keys from <= j < to; a dot product sums lanes over dim in one chain.
template <int rows, int keys>
static void dots(const float* q, int64_t q_stride, const float* k, int64_t k_stride, int64_t dim, int from, int to, float* scores) {
  static_assert(rows * keys == 8);
  for (int j = from; j < to; j += keys) {
    const float* key[keys];
    for (int c = 0; c < keys; c++) key[c] = k + (j + c < to ? j + c : to - 1) * k_stride;
    vf a[8];
    for (int i = 0; i < 8; i++) a[i] = set1(0.0f);
    for (int64_t d = 0; d < dim; d += AO_W) {
      vf y[keys];
      for (int c = 0; c < keys; c++) y[c] = load(key[c] + d);
      for (int r = 0; r < rows; r++) {
        const vf x = load(q + r * q_stride + d);
        for (int c = 0; c < keys; c++) a[r * keys + c] = fma_(x, y[c], a[r * keys + c]);
      }
    }
    float sums[8];
    sum_eight(a, sums);
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < keys; c++) if (j + c < to) scores[r * kSplit + j + c] = sums[r * keys + c];
  }
}

// sum[row] += p[row][j] v[j] over from <= j < to, j ascending, for `rows` rows and `vectors` vectors of columns.
template <int rows, int vectors>
static inline void weigh_tile(const float* p, const float* v, int64_t v_stride, int from, int to, float* sum, int64_t sum_stride) {
  vf a[rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < vectors; c++) a[r][c] = load(sum + r * sum_stride + c * AO_W);
  for (int j = from; j < to; j++) {
    vf y[vectors];
    for (int c = 0; c < vectors; c++) y[c] = load(v + j * v_stride + c * AO_W);
    for (int r = 0; r < rows; r++) {
      const vf x = set1(p[r * kSplit + j]);
      for (int c = 0; c < vectors; c++) a[r][c] = fma_(x, y[c], a[r][c]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < vectors; c++) store(sum + r * sum_stride + c * AO_W, a[r][c]);
}

template <int rows>
static void weigh(const float* p, const float* v, int64_t v_stride, int from, int to, float* sum, int64_t sum_stride, int64_t columns) {
  if (from >= to) return;
  constexpr int wide = rows == 1 ? 8 : 2;
  int64_t c = 0;
  for (; c + wide * AO_W <= columns; c += wide * AO_W) weigh_tile<rows, wide>(p, v + c, v_stride, from, to, sum + c, sum_stride);
  for (; c < columns; c += AO_W) weigh_tile<rows, 1>(p, v + c, v_stride, from, to, sum + c, sum_stride);
}

// Rows [from, to) of x as float32, `padded` apart with zeros behind `dim`; x itself where it already is that.
static const float* as_floats(int64_t dtype, const void* x, int64_t stride, int64_t dim, int64_t padded, int from, int to, float* room,
                              int64_t* out_stride) {
  if (dtype == AO_F32 && dim % AO_W == 0) {
    *out_stride = stride;
    return (const float*)x;
  }
  *out_stride = padded;
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    for (int j = from; j < to; j++) {
      float* row = room + j * padded;
      steps(dim, [&](int64_t i, int count) { store(row + i, load_as(d, x, j * stride + i, count)); });
      for (int64_t i = (dim + AO_W - 1) / AO_W * AO_W; i < padded; i += AO_W) store(row + i, set1(0.0f));
    }
  });
  return room;
}

static inline vf mask_values(const float* mask, int64_t stride, int64_t first, int from, int to) {
  if (stride == 1 && from == 0 && to == AO_W) return load(mask + first);
  float t[AO_W] = {0};
  for (int k = from; k < to; k++) t[k] = mask[(first + k) * stride];
  return load(t);
}

// scores -> e^(scale * score + mask - m) in place over [from, to), 0 in the rest of the vectors touched.
static void softmax_part(float* s, int from, int to, float scale, const float* mask, int64_t mask_stride, int64_t base, float* m, float* l) {
  const vf none = set1(-INFINITY), factor = set1(scale);
  vf top = none;
  for (int i = from / AO_W * AO_W; i < to; i += AO_W) {
    const int begin = from > i ? from - i : 0, end = to - i < AO_W ? to - i : AO_W;
    vf v = load(s + i) * factor;
    if (mask) v += mask_values(mask, mask_stride, base + i, begin, end);
    if (begin > 0 || end < AO_W) v = (first_n(end) & ~first_n(begin)) != 0 ? v : none;
    store(s + i, v);
    top = max_nan(top, v);
  }
  *m = max_lanes(top);
  vf total = set1(0.0f);
  const vf shift = set1(*m == -INFINITY ? 0.0f : *m);
  for (int i = from / AO_W * AO_W; i < to; i += AO_W) {
    const vf v = load(s + i), e = v == none ? set1(0.0f) : exp_(v - shift);
    store(s + i, e);
    total += e;
  }
  *l = sum_lanes(total);
}

void sdpa_split(const SdpaRows& r, int64_t split, const SdpaWork& work, const SdpaPartial& out) {
  const int64_t base = split * kSplit;
  int from[kRows], to[kRows], first = kSplit, last = 0;
  for (int i = 0; i < r.rows; i++) {
    const int64_t a = r.low[i] - base, b = r.high[i] - base;
    from[i] = a < 0 ? 0 : a > kSplit ? kSplit : (int)a;
    to[i] = b < 0 ? 0 : b > kSplit ? kSplit : (int)b;
    if (from[i] >= to[i]) from[i] = to[i] = 0;
    if (from[i] < to[i]) first = from[i] < first ? from[i] : first, last = to[i] > last ? to[i] : last;
  }
  const int64_t size = r.dtype == AO_F32 ? 4 : 2, columns = (r.v_dim + AO_W - 1) / AO_W * AO_W;
  int64_t ks, vs;
  const float* k = as_floats(r.dtype, (const char*)r.k + base * r.k_stride * size, r.k_stride, r.dim, r.dim_padded, first, last, work.k, &ks);
  const float* v = as_floats(r.dtype, (const char*)r.v + base * r.v_stride * size, r.v_stride, r.v_dim, r.v_padded, first, last, work.v, &vs);
  const int64_t dim = (r.dim + AO_W - 1) / AO_W * AO_W;
  memset(out.sum, 0, (size_t)(r.rows * r.v_padded) * sizeof(float));
  for (int i = 0; i < r.rows;) {
    const int n = r.rows - i >= 4 ? 4 : r.rows - i >= 2 ? 2 : 1;
    int least = kSplit, most = 0;
    for (int j = i; j < i + n; j++) {
      if (from[j] == to[j]) continue;
      least = from[j] < least ? from[j] : least;
      most = to[j] > most ? to[j] : most;
    }
    float* scores = work.scores + i * kSplit;
    const float* q = r.q + i * r.dim_padded;
    if (n == 4) dots<4, 2>(q, r.dim_padded, k, ks, dim, least, most, scores);
    else if (n == 2) dots<2, 4>(q, r.dim_padded, k, ks, dim, least, most, scores);
    else dots<1, 8>(q, r.dim_padded, k, ks, dim, least, most, scores);
    int inner = 0, outer = kSplit;  // the keys that all rows of the tile see
    for (int j = i; j < i + n; j++) {
      softmax_part(work.scores + j * kSplit, from[j], to[j], r.scale, r.mask[j], r.mask_stride, base, out.m + j, out.l + j);
      inner = from[j] > inner ? from[j] : inner;
      outer = to[j] < outer ? to[j] : outer;
    }
    float* sum = out.sum + i * r.v_padded;
    if (n != 4 || inner >= outer) {
      for (int j = 0; j < n; j++)
        weigh<1>(scores + j * kSplit, v, vs, from[i + j], to[i + j], sum + j * r.v_padded, r.v_padded, columns);
    } else {
      for (int j = 0; j < n; j++) weigh<1>(scores + j * kSplit, v, vs, from[i + j], inner, sum + j * r.v_padded, r.v_padded, columns);
      weigh<4>(scores, v, vs, inner, outer, sum, r.v_padded, columns);
      for (int j = 0; j < n; j++) weigh<1>(scores + j * kSplit, v, vs, outer, to[i + j], sum + j * r.v_padded, r.v_padded, columns);
    }
    i += n;
  }
}

void sdpa_merge(const SdpaRows& r, const SdpaPartial& total, const SdpaPartial& next) {
  for (int i = 0; i < r.rows; i++) {
    if (next.m[i] == -INFINITY) continue;
    float* sum = total.sum + i * r.v_padded;
    const float* more = next.sum + i * r.v_padded;
    if (total.m[i] == -INFINITY) {
      total.m[i] = next.m[i];
      total.l[i] = next.l[i];
      memcpy(sum, more, (size_t)r.v_padded * sizeof(float));
      continue;
    }
    const float m = next.m[i] > total.m[i] ? next.m[i] : total.m[i];
    const vf a = exp_(set1(total.m[i] - m)), b = exp_(set1(next.m[i] - m));
    for (int64_t c = 0; c < r.v_padded; c += AO_W) store(sum + c, load(sum + c) * a + load(more + c) * b);
    total.l[i] = total.l[i] * a[0] + next.l[i] * b[0];
    total.m[i] = m;
  }
}

void sdpa_finish(const SdpaRows& r, const SdpaPartial& total, void* const* out) {
  by_dtype(r.dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    for (int i = 0; i < r.rows; i++) {
      const bool seen = total.m[i] != -INFINITY;
      const vf l = set1(seen ? total.l[i] : 1.0f);
      steps(r.v_dim, [&](int64_t c, int count) {
        store_as(d, out[i], c, seen ? load(total.sum + i * r.v_padded + c) / l : set1(0.0f), count);
      });
    }
  });
}

}  // namespace AO_ISA_NS
}  // namespace ao
