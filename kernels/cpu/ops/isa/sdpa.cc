#include "ops/sdpa.h"

#include <math.h>

#include <type_traits>

#include "base/simd_map.h"
#include "base/simd_math.h"
#include "base/simd_transpose.h"

namespace ao {
namespace AO_ISA_NS {

// Reading bytes at `p` now and those `ahead` of it soon; 0 = none.
static inline void fetch(const void* p, int64_t ahead) { __builtin_prefetch((const char*)p + ahead, 0, 2); }

// out[i][j] = k[j][i], i < dim, for the vectors of keys that cover from <= j < to <= kBlock; keys outside repeat one
// within.
template <int d>
static void transpose_keys(const void* k, int64_t stride, int64_t dim, int from, int to, int64_t ahead, float* out) {
  for (int j = from / AO_W * AO_W; j < to; j += AO_W) {
    int64_t key[AO_W], i = 0;
    for (int c = 0; c < AO_W; c++) key[c] = (j + c < from ? from : j + c < to ? j + c : to - 1) * stride;
    vf t[AO_W];
#if AO_ISA_LEVEL == 2
    constexpr int wide =
        d == AO_BF16 ? 2 * AO_W : AO_W; // elements of a vector as it is stored: bfloat16 has two a lane
    for (; d != AO_F16 && i + wide <= dim; i += wide) {
      const char* row[AO_W];
      for (int c = 0; c < AO_W; c++) {
        row[c] = (const char*)k + (key[c] + i) * (d == AO_F32 ? 4 : 2);
        fetch(row[c], ahead);
      }
      for (int c = 0; c < AO_W / 4; c++) {
        vf four[4];
        gather4(row, c, four);
        for (int q = 0; q < 4; q++) {
          float* to = out + (i + (4 * c + q) * (wide / AO_W)) * kBlock + j;
          if (d == AO_F32) {
            store(to, four[q]);
          } else {
            store(to, (vf)((vi)four[q] << 16));
            store(to + kBlock, (vf)((vi)four[q] & set1i(-65536)));
          }
        }
      }
    }
#else
    if (d == AO_BF16) { // two elements a lane
      for (; i + 2 * AO_W <= dim; i += 2 * AO_W) {
        for (int c = 0; c < AO_W; c++) {
          memcpy(&t[c], (const uint16_t*)k + key[c] + i, sizeof t[c]);
          fetch((const uint16_t*)k + key[c] + i, ahead);
        }
        transpose(t);
        for (int c = 0; c < AO_W; c++) {
          store(out + (i + 2 * c) * kBlock + j, (vf)((vi)t[c] << 16));
          store(out + (i + 2 * c + 1) * kBlock + j, (vf)((vi)t[c] & set1i(-65536)));
        }
      }
    }
#endif
    for (; i < dim; i += AO_W) {
      const int count = dim - i < AO_W ? (int)(dim - i) : AO_W;
      for (int c = 0; c < AO_W; c++) {
        t[c] = load_as(d, k, key[c] + i, count);
        fetch((const char*)k + (key[c] + i) * (d == AO_F32 ? 4 : 2), ahead);
      }
      transpose(t);
      for (int c = 0; c < count; c++) store(out + (i + c) * kBlock + j, t[c]);
    }
  }
}

// scores[row][j] = q[row] . k[j] for `vectors` vectors of keys; a dot product is one chain over dim.
template <int rows, int vectors>
static inline void score_tile(const float* q, int64_t q_stride, const float* k, int64_t dim, float* scores) {
  vf a[rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < vectors; c++) a[r][c] = set1(0.0f);
  for (int64_t i = 0; i < dim; i++) {
    vf y[vectors];
    for (int c = 0; c < vectors; c++) y[c] = load(k + i * kBlock + c * AO_W);
    for (int r = 0; r < rows; r++) {
      const vf x = set1(q[r * q_stride + i]);
      for (int c = 0; c < vectors; c++) a[r][c] = fma_(x, y[c], a[r][c]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < vectors; c++) store(scores + r * kSplit + c * AO_W, a[r][c]);
}

// k [dim][kBlock]; writes the whole vectors that cover from <= j < to.
template <int rows>
static void score(const float* q, int64_t q_stride, const float* k, int64_t dim, int from, int to, float* scores) {
  constexpr int wide = AO_W == 16 ? 4 : 2;
  int j = from / AO_W * AO_W;
  for (; j + (wide - 1) * AO_W < to; j += wide * AO_W) score_tile<rows, wide>(q, q_stride, k + j, dim, scores + j);
  for (; j < to; j += AO_W) score_tile<rows, 1>(q, q_stride, k + j, dim, scores + j);
}

// sum[row] += p[row][j] v[j] over from <= j < to, j ascending, for `rows` rows and `vectors` vectors of columns from
// `column`.
template <int d, int rows, int vectors>
static inline void weigh_tile(const float* p, const void* v, int64_t v_stride, int from, int to, float* sum,
                              int64_t sum_stride, int64_t column, int64_t ahead) {
  vf a[rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < vectors; c++) a[r][c] = load(sum + r * sum_stride + column + c * AO_W);
  for (int j = from; j < to; j++) {
    vf y[vectors];
    for (int c = 0; c < vectors; c++) {
      y[c] = load_as(d, v, j * v_stride + column + c * AO_W, AO_W);
      if (ahead && (d == AO_F32 || c % 2 == 0)) // once a line
        fetch((const char*)v + (j * v_stride + column + c * AO_W) * (d == AO_F32 ? 4 : 2), ahead);
    }
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
                  int64_t columns, int64_t ahead) {
  if (from >= to) return;
  constexpr int wide = rows == 1 ? 8 : AO_W == 16 || rows == 2 ? 4 : 2;
  int64_t c = 0;
  for (; c + wide * AO_W <= columns; c += wide * AO_W)
    weigh_tile<d, rows, wide>(p, v, v_stride, from, to, sum, sum_stride, c, ahead);
  for (; c < columns; c += AO_W) weigh_tile<d, rows, 1>(p, v, v_stride, from, to, sum, sum_stride, c, ahead);
}

// `count` rows of x as float32, `padded` apart with zeros behind `dim`.
template <int d>
static void widen_rows(const void* x, int64_t stride, int64_t dim, int64_t padded, int count, float* room) {
  for (int j = 0; j < count; j++) {
    float* row = room + j * padded;
    steps(dim, [&](int64_t i, int n) { store(row + i, load_as(d, x, j * stride + i, n)); });
    for (int64_t i = (dim + AO_W - 1) / AO_W * AO_W; i < padded; i += AO_W) store(row + i, set1(0.0f));
  }
}

static inline vf mask_values(const float* mask, int64_t stride, int64_t first, int from, int to) {
  if (stride == 1 && from == 0 && to == AO_W) return load(mask + first);
  float t[AO_W] = {0};
  for (int k = from; k < to; k++) t[k] = mask[(first + k) * stride];
  return load(t);
}

// e^x for x <= 0, NaN where x is NaN; within 1.5 ulp, as exp_.
static inline vf exp_down(vf x) {
  vi n;
  vf r;
  const vf e = reduce_exp(max_(set1(-104.0f), x), &n, &r) + set1(1.0f);
#if AO_ISA_LEVEL == 2
  return (vf)_mm512_scalef_ps((__m512)e, (__m512)to_float(n));
#else
  const vi half = n >> 1;
  return e * power_of_two(half) * power_of_two(n - half);
#endif
}

#if AO_ISA_LEVEL == 2
static inline float largest_lane(vf v) { return _mm512_reduce_max_ps((__m512)v); }
static inline float sum_of_lanes(vf v) { return _mm512_reduce_add_ps((__m512)v); }
#else
static inline float largest_lane(vf v) {
  float most = v[0];
  for (int i = 1; i < AO_W; i++) most = v[i] > most ? v[i] : most;
  return most;
}
static inline float sum_of_lanes(vf v) { return sum_lanes(v); }
#endif

// scores -> softcap * tanh(scale * score / softcap) in place over the vectors that cover [from, to).
static void cap_part(float* s, int from, int to, float scale, float softcap) {
  const vf inner = set1(scale / softcap), outer = set1(softcap);
  for (int i = from / AO_W * AO_W; i < to; i += AO_W) store(s + i, outer * tanh_(load(s + i) * inner));
}

// scores -> e^(scale * score + mask - m) in place over [from, to), 0 in the rest of the vectors touched. m is the
// largest number; a NaN goes into l and the sums.
static void softmax_part(float* s, int from, int to, float scale, const float* mask, int64_t mask_stride, int64_t base,
                         float* m, float* l) {
  const vf none = set1(-INFINITY), factor = set1(scale);
  vf largest = none;
  for (int i = from / AO_W * AO_W; i < to; i += AO_W) {
    const int begin = from > i ? from - i : 0, end = to - i < AO_W ? to - i : AO_W;
    vf v = load(s + i) * factor;
    if (mask) v += mask_values(mask, mask_stride, base + i, begin, end);
    if (begin > 0 || end < AO_W) v = (first_n(end) & ~first_n(begin)) != 0 ? v : none;
    store(s + i, v);
    largest = max_(v, largest);
  }
  const float most = largest_lane(largest), finite = most == -INFINITY ? 0.0f : most;
  vf total = set1(0.0f);
  for (int i = from / AO_W * AO_W; i < to; i += AO_W) {
    const vf e = exp_down(load(s + i) - set1(finite));
    store(s + i, e);
    total += e;
  }
  *l = sum_of_lanes(total);
  *m = *l == 0 ? most : finite; // -infinity where nothing is seen, not where all is NaN
}

struct Ranges { // the keys of a split that each row sees, counted from its start; 0, 0 = none
  int from[kRows], to[kRows];
};

// fn(tag, first row, rows) over tiles of tag.rows <= 4 rows.
template <class Fn>
static inline void row_tiles(int rows, const Fn& fn) {
  int i = 0;
  for (; i + 4 <= rows; i += 4) fn(std::integral_constant<int, 4>(), i);
  if (rows - i == 3) fn(std::integral_constant<int, 3>(), i);
  if (rows - i == 2) fn(std::integral_constant<int, 2>(), i);
  if (rows - i == 1) fn(std::integral_constant<int, 1>(), i);
}

// The scores of all rows for the keys [begin, end) of the split, a block at most.
template <int d>
static void score_rows(const SdpaRows& r, const Ranges& see, const void* k, int begin, int end, int64_t ahead,
                       const SdpaWork& work) {
  transpose_keys<d>(k, r.k_stride, r.dim, 0, end - begin, ahead, work.k);
  row_tiles(r.rows, [&](auto tag, int i) {
    constexpr int n = decltype(tag)::value;
    int from = end, to = begin; // what any row of the tile sees
    for (int j = i; j < i + n; j++) {
      from = see.from[j] < from && see.to[j] > begin ? see.from[j] : from;
      to = see.to[j] > to ? see.to[j] : to;
    }
    from = from < begin ? begin : from, to = to > end ? end : to;
    if (from < to)
      score<n>(r.q + i * r.dim_padded, r.dim_padded, work.k, r.dim, from - begin, to - begin,
               work.scores + i * kSplit + begin);
  });
}

// out.sum[row] += weight[row][j] v[j] over the keys [begin, end) of the split; d is the dtype v is read in.
template <int d>
static void weigh_rows(const SdpaRows& r, const Ranges& see, const void* v, int64_t stride, int begin, int end,
                       const float* weights, int64_t ahead, const SdpaPartial& out) {
  const int64_t columns = (r.v_dim + AO_W - 1) / AO_W * AO_W;
  row_tiles(r.rows, [&](auto tag, int i) {
    constexpr int n = decltype(tag)::value;
    int from[n], to[n], inner = begin, outer = end; // inner <= j < outer: the keys that all rows of the tile see
    for (int j = 0; j < n; j++) {
      from[j] = see.from[i + j] < begin ? begin : see.from[i + j], to[j] = see.to[i + j] > end ? end : see.to[i + j];
      inner = from[j] > inner ? from[j] : inner, outer = to[j] < outer ? to[j] : outer;
    }
    const float* p = weights + i * kSplit + begin;
    float* sum = out.sum + i * r.v_padded;
    const auto alone = [&](int j, int a, int b) {
      weigh<d, 1>(p + j * kSplit, v, stride, a - begin, b - begin, sum + j * r.v_padded, r.v_padded, columns, ahead);
    };
    if (n == 1 || inner >= outer) {
      for (int j = 0; j < n; j++) alone(j, from[j], to[j]);
      return;
    }
    for (int j = 0; j < n; j++) alone(j, from[j], inner);
    weigh<d, n>(p, v, stride, inner - begin, outer - begin, sum, r.v_padded, columns, ahead);
    for (int j = 0; j < n; j++) alone(j, outer, to[j]);
  });
}

template <int d>
static void split_rows(const SdpaRows& r, const Ranges& see, int first, int last, int64_t base, const void* next,
                       const SdpaWork& work, const SdpaPartial& out) {
  const int64_t size = d == AO_F32 ? 4 : 2;
  const char *k = (const char*)r.k + base * r.k_stride * size, *v = (const char*)r.v + base * r.v_stride * size;
  // few rows read the stored values; many share a widened copy
  const bool widen = r.v_dim % AO_W != 0 || (d != AO_F32 && r.rows > 8);
  // in a cache keys and values have the same strides: each row fetches the one that the next stage reads
  const int64_t to_values = v - k, to_keys = next ? (const char*)next - v : 0;
  for (int j = first; j < last; j += kBlock)
    score_rows<d>(r, see, k + j * r.k_stride * size, j, last - j < kBlock ? last : j + kBlock, to_values, work);
  for (int i = 0; i < r.rows; i++) {
    float* scores = work.scores + i * kSplit;
    if (r.softcap > 0) cap_part(scores, see.from[i], see.to[i], r.scale, r.softcap);
    softmax_part(scores, see.from[i], see.to[i], r.softcap > 0 ? 1.0f : r.scale, r.mask[i], r.mask_stride, base,
                 out.m + i, out.l + i);
  }
  for (int j = first; j < last; j += kBlock) {
    const int end = last - j < kBlock ? last : j + kBlock;
    const char* block = v + j * r.v_stride * size;
    if (widen) {
      widen_rows<d>(block, r.v_stride, r.v_dim, r.v_padded, end - j, work.v);
      weigh_rows<AO_F32>(r, see, work.v, r.v_padded, j, end, work.scores, 0, out);
    } else {
      weigh_rows<d>(r, see, block, r.v_stride, j, end, work.scores, to_keys, out);
    }
  }
}

void sdpa_split(const SdpaRows& r, int64_t split, const void* next, const SdpaWork& work, const SdpaPartial& out) {
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
  first = first / AO_W * AO_W; // whole vectors of scores
  memset(out.sum, 0, (size_t)(r.rows * r.v_padded) * sizeof(float));
  by_dtype(r.dtype, [&](auto tag) { split_rows<decltype(tag)::dtype>(r, see, first, last, base, next, work, out); });
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

void sdpa_finish(const SdpaRows& r, const SdpaPartial& total, int64_t dtype, void* const* out) {
  by_dtype(dtype, [&](auto tag) {
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
