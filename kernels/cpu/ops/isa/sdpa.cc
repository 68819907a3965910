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

// scores[row][j] = q[row] . k[j] for `rows` rows (the last of them repeat where there are fewer) and keys from <= j <
// to; a dot product sums lanes over dim in one chain. d is the dtype of the keys.
template <int d, int rows, int keys>
static void dots(const float* q, int64_t q_stride, int valid, const void* k, int64_t k_stride, int64_t dim, int from,
                 int to, float* scores) {
  static_assert(rows * keys == 8);
  const float* row[rows];
  for (int r = 0; r < rows; r++) row[r] = q + (r < valid ? r : valid - 1) * q_stride;
  for (int j = from; j < to; j += keys) {
    int64_t key[keys];
    for (int c = 0; c < keys; c++) key[c] = (j + c < to ? j + c : to - 1) * k_stride;
    vf a[8];
    for (int i = 0; i < 8; i++) a[i] = set1(0.0f);
    for (int64_t i = 0; i < dim; i += AO_W) {
      vf y[keys];
      for (int c = 0; c < keys; c++) y[c] = load_as(d, k, key[c] + i, AO_W);
      for (int r = 0; r < rows; r++) {
        const vf x = load(row[r] + i);
        for (int c = 0; c < keys; c++) a[r * keys + c] = fma_(x, y[c], a[r * keys + c]);
      }
    }
    float sums[8];
    sum_eight(a, sums);
    for (int r = 0; r < valid; r++)
      for (int c = 0; c < keys; c++)
        if (j + c < to) scores[r * kSplit + j + c] = sums[r * keys + c];
  }
}

// sum[row] += p[row][j] v[j] over from <= j < to, j ascending, for `rows` rows and `vectors` vectors of columns from
// `column`.
template <int d, int rows, int vectors>
static inline void weigh_tile(const float* p, const void* v, int64_t v_stride, int from, int to, float* sum,
                              int64_t sum_stride, int64_t column) {
  vf a[rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < vectors; c++) a[r][c] = load(sum + r * sum_stride + column + c * AO_W);
  for (int j = from; j < to; j++) {
    vf y[vectors];
    for (int c = 0; c < vectors; c++) y[c] = load_as(d, v, j * v_stride + column + c * AO_W, AO_W);
    for (int r = 0; r < rows; r++) {
      const vf x = set1(p[r * kSplit + j]);
      for (int c = 0; c < vectors; c++) a[r][c] = fma_(x, y[c], a[r][c]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < vectors; c++) store(sum + r * sum_stride + column + c * AO_W, a[r][c]);
}

template <int d, int rows>
static void weigh(const float* p, const void* v, int64_t v_stride, int from, int to, float* sum, int64_t sum_stride,
                  int64_t columns) {
  if (from >= to) return;
  constexpr int wide = rows == 1 ? 8 : rows == 2 ? 4 : 2;
  int64_t c = 0;
  for (; c + wide * AO_W <= columns; c += wide * AO_W)
    weigh_tile<d, rows, wide>(p, v, v_stride, from, to, sum, sum_stride, c);
  for (; c < columns; c += AO_W) weigh_tile<d, rows, 1>(p, v, v_stride, from, to, sum, sum_stride, c);
}

// Rows [from, to) of x as float32, `padded` apart with zeros behind `dim`.
static void widen_rows(int64_t dtype, const void* x, int64_t stride, int64_t dim, int64_t padded, int from, int to,
                       float* room) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    for (int j = from; j < to; j++) {
      float* row = room + j * padded;
      steps(dim, [&](int64_t i, int count) { store(row + i, load_as(d, x, j * stride + i, count)); });
      for (int64_t i = (dim + AO_W - 1) / AO_W * AO_W; i < padded; i += AO_W) store(row + i, set1(0.0f));
    }
  });
}

static inline vf mask_values(const float* mask, int64_t stride, int64_t first, int from, int to) {
  if (stride == 1 && from == 0 && to == AO_W) return load(mask + first);
  float t[AO_W] = {0};
  for (int k = from; k < to; k++) t[k] = mask[(first + k) * stride];
  return load(t);
}

// scores -> e^(scale * score + mask - m) in place over [from, to), 0 in the rest of the vectors touched.
static void softmax_part(float* s, int from, int to, float scale, const float* mask, int64_t mask_stride, int64_t base,
                         float* m, float* l) {
  const vf none = set1(-INFINITY), factor = set1(scale);
  Largest largest;
  for (int i = from / AO_W * AO_W; i < to; i += AO_W) {
    const int begin = from > i ? from - i : 0, end = to - i < AO_W ? to - i : AO_W;
    vf v = load(s + i) * factor;
    if (mask) v += mask_values(mask, mask_stride, base + i, begin, end);
    if (begin > 0 || end < AO_W) v = (first_n(end) & ~first_n(begin)) != 0 ? v : none;
    store(s + i, v);
    largest.take(v);
  }
  *m = largest.value();
  vf total = set1(0.0f);
  const vf shift = set1(*m == -INFINITY ? 0.0f : *m);
  for (int i = from / AO_W * AO_W; i < to; i += AO_W) {
    const vf v = load(s + i), e = v == none ? set1(0.0f) : exp_(v - shift);
    store(s + i, e);
    total += e;
  }
  *l = sum_lanes(total);
}

struct Ranges { // the keys of a split that each row sees, counted from its start; 0, 0 = none
  int from[kRows], to[kRows];
};

// d is the dtype in which keys and values are read: the stored one, or float32 after widening.
template <int d>
static void split_rows(const SdpaRows& r, const Ranges& see, const void* k, int64_t ks, const void* v, int64_t vs,
                       int64_t base, float* all_scores, const SdpaPartial& out) {
  const int64_t dim = (r.dim + AO_W - 1) / AO_W * AO_W, columns = (r.v_dim + AO_W - 1) / AO_W * AO_W;
  for (int i = 0, n; i < r.rows; i += n) {
    n = r.rows - i < 4 ? r.rows - i : 4;
    int least = kSplit, most = 0;
    for (int j = i; j < i + n; j++) {
      if (see.from[j] == see.to[j]) continue;
      least = see.from[j] < least ? see.from[j] : least;
      most = see.to[j] > most ? see.to[j] : most;
    }
    float* scores = all_scores + i * kSplit;
    const float* q = r.q + i * r.dim_padded;
    if (n > 2)
      dots<d, 4, 2>(q, r.dim_padded, n, k, ks, dim, least, most, scores);
    else if (n == 2)
      dots<d, 2, 4>(q, r.dim_padded, n, k, ks, dim, least, most, scores);
    else
      dots<d, 1, 8>(q, r.dim_padded, n, k, ks, dim, least, most, scores);
    int inner = 0, outer = kSplit; // the keys that all rows of the tile see
    for (int j = i; j < i + n; j++) {
      softmax_part(all_scores + j * kSplit, see.from[j], see.to[j], r.scale, r.mask[j], r.mask_stride, base, out.m + j,
                   out.l + j);
      inner = see.from[j] > inner ? see.from[j] : inner;
      outer = see.to[j] < outer ? see.to[j] : outer;
    }
    float* sum = out.sum + i * r.v_padded;
    const auto alone = [&](int j, int from, int to) {
      weigh<d, 1>(scores + j * kSplit, v, vs, from, to, sum + j * r.v_padded, r.v_padded, columns);
    };
    if (inner >= outer) {
      for (int j = 0; j < n; j++) alone(j, see.from[i + j], see.to[i + j]);
      continue;
    }
    for (int j = 0; j < n; j++) alone(j, see.from[i + j], inner);
    if (n == 4)
      weigh<d, 4>(scores, v, vs, inner, outer, sum, r.v_padded, columns);
    else if (n == 3)
      weigh<d, 3>(scores, v, vs, inner, outer, sum, r.v_padded, columns);
    else if (n == 2)
      weigh<d, 2>(scores, v, vs, inner, outer, sum, r.v_padded, columns);
    else
      alone(0, inner, outer);
    for (int j = 0; j < n; j++) alone(j, outer, see.to[i + j]);
  }
}

void sdpa_split(const SdpaRows& r, int64_t split, const SdpaWork& work, const SdpaPartial& out) {
  const int64_t base = split * kSplit;
  Ranges see;
  int first = kSplit, last = 0;
  for (int i = 0; i < r.rows; i++) {
    const int64_t a = r.low[i] - base, b = r.high[i] - base;
    int from = a < 0 ? 0 : a > kSplit ? kSplit : (int)a, to = b < 0 ? 0 : b > kSplit ? kSplit : (int)b;
    if (from >= to) from = to = 0;
    see.from[i] = from, see.to[i] = to;
    if (from < to) first = from < first ? from : first, last = to > last ? to : last;
  }
  const int64_t size = r.dtype == AO_F32 ? 4 : 2;
  const char *k = (const char*)r.k + base * r.k_stride * size, *v = (const char*)r.v + base * r.v_stride * size;
  memset(out.sum, 0, (size_t)(r.rows * r.v_padded) * sizeof(float));
  // few rows read the stored keys; many share a widened copy
  if (r.dim % AO_W == 0 && r.v_dim % AO_W == 0 && (r.dtype == AO_F32 || r.rows <= 8)) {
    by_dtype(r.dtype, [&](auto tag) {
      split_rows<decltype(tag)::dtype>(r, see, k, r.k_stride, v, r.v_stride, base, work.scores, out);
    });
    return;
  }
  widen_rows(r.dtype, k, r.k_stride, r.dim, r.dim_padded, first, last, work.k);
  widen_rows(r.dtype, v, r.v_stride, r.v_dim, r.v_padded, first, last, work.v);
  split_rows<AO_F32>(r, see, work.k, r.dim_padded, work.v, r.v_padded, base, work.scores, out);
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

} // namespace AO_ISA_NS
} // namespace ao
