#include "ops/sdpa.h"

#include <math.h>

#include <type_traits>

#include "base/simd_math.h"
#include "ops/isa/keys.h"

namespace ao {
namespace AO_ISA_NS {

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
                              int64_t sum_stride, int64_t column, int64_t half, int64_t ahead) {
  constexpr int line = d == AO_F32 ? 1 : d >= kCodes8 ? 4 : 2; // vectors in one
  vf a[rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < vectors; c++) a[r][c] = load(sum + r * sum_stride + column + c * AO_W);
  for (int j = from; j < to; j++) {
    const char* row = (const char*)v + j * v_stride * stored_size(d);
    vf y[vectors];
    for (int c = 0; c < vectors; c++) {
      y[c] = load_stored<d>(row, column + c * AO_W, half, AO_W);
      if (ahead && c % line == 0) fetch(row + (column + c * AO_W) * stored_size(d), ahead);
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
  const int64_t half = columns / 2;
  int64_t c = 0;
  for (; c + wide * AO_W <= columns; c += wide * AO_W)
    weigh_tile<d, rows, wide>(p, v, v_stride, from, to, sum, sum_stride, c, half, ahead);
  for (; c < columns; c += AO_W) weigh_tile<d, rows, 1>(p, v, v_stride, from, to, sum, sum_stride, c, half, ahead);
}

static inline vf mask_values(const float* mask, int64_t stride, int64_t first, int from, int to) {
  if (stride == 1 && from == 0 && to == AO_W) return load(mask + first);
  float t[AO_W] = {0};
  for (int k = from; k < to; k++) t[k] = mask[(first + k) * stride];
  return load(t);
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
  if constexpr (d >= kCodes8)
    transpose_codes<d>(k, r.k_stride, r.dim, end - begin, ahead, work.k);
  else
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

// Scores of codes -> of what they stand for: s q.c + m sum(q).
static void scale_scores(const SdpaRows& r, const Ranges& see, const char* k, int first, int last,
                         const SdpaWork& work) {
  float *s = work.scales, *m = s + kSplit;
  load_scales(r.k_rows, k, r.k_stride, first, last, s, m);
  const bool shift = shifted(r.k_rows);
  for (int i = 0; i < r.rows; i++) {
    vf total = set1(0.0f);
    for (int64_t at = 0; shift && at < r.dim_padded; at += AO_W) total += load(r.q + i * r.dim_padded + at);
    const vf sum = set1(sum_lanes(total));
    float* scores = work.scores + i * kSplit;
    for (int j = see.from[i] / AO_W * AO_W; j < see.to[i]; j += AO_W) {
      const vf v = load(scores + j) * load(s + j);
      store(scores + j, shift ? fma_(load(m + j), sum, v) : v);
    }
  }
}

template <int d>
static void score_split(const SdpaRows& r, const Ranges& see, int first, int last, int64_t base, int64_t to_values,
                        const SdpaWork& work) {
  const int64_t stride = r.k_stride * stored_size(d);
  const char* k = (const char*)r.k + base * stride;
  const char* row = d >= kCodes8 ? k + r.k_rows.header() : k;
  for (int j = first; j < last; j += kBlock)
    score_rows<d>(r, see, row + j * stride, j, last - j < kBlock ? last : j + kBlock, to_values, work);
  if (d >= kCodes8) scale_scores(r, see, k, first, last, work);
}

// Weights p of values -> of their codes, p s; the sums begin with sum(p m).
static void scale_weights(const SdpaRows& r, const Ranges& see, const char* v, int first, int last,
                          const SdpaWork& work, const SdpaPartial& out) {
  float *s = work.scales, *m = s + kSplit;
  load_scales(r.v_rows, v, r.v_stride, first, last, s, m);
  for (int i = 0; i < r.rows; i++) {
    float* p = work.scores + i * kSplit;
    vf total = set1(0.0f);
    for (int j = see.from[i] / AO_W * AO_W; shifted(r.v_rows) && j < see.to[i]; j += AO_W) {
      const int begin = see.from[i] > j ? see.from[i] - j : 0, end = see.to[i] - j < AO_W ? see.to[i] - j : AO_W;
      const vi seen = first_n(end) & ~first_n(begin);
      const vf part = load(p + j) * load(m + j);
      total += seen ? part : set1(0.0f);
    }
    for (int j = see.from[i] / AO_W * AO_W; j < see.to[i]; j += AO_W) store(p + j, load(p + j) * load(s + j));
    const vf shift = set1(sum_lanes(total));
    for (int64_t c = 0; c < r.v_padded; c += AO_W) store(out.sum + i * r.v_padded + c, shift);
  }
}

template <int d>
static void weigh_split(const SdpaRows& r, const Ranges& see, int first, int last, int64_t base, const void* next,
                        const SdpaWork& work, const SdpaPartial& out) {
  const int64_t stride = r.v_stride * stored_size(d);
  const char* v = (const char*)r.v + base * stride;
  if (d >= kCodes8) scale_weights(r, see, v, first, last, work, out);
  const char* row = d >= kCodes8 ? v + r.v_rows.header() : v;
  // few rows read the stored values; many share a widened copy
  const int64_t run = d == kCodes4 ? r.v_dim / 2 : r.v_dim;
  const bool widen = run % AO_W != 0 || (d != AO_F32 && r.rows > 8);
  const int64_t to_keys = next && r.k_kind == r.v_kind ? (const char*)next - v : 0;
  for (int j = first; j < last; j += kBlock) {
    const int end = last - j < kBlock ? last : j + kBlock;
    const char* block = row + j * stride;
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
  // in a cache of one kind keys and values have the same strides: each row fetches the one that the next stage reads
  const int64_t to_values = r.k_kind == r.v_kind ? (const char*)r.v - (const char*)r.k +
                                                       base * (r.v_stride - r.k_stride) * stored_size(r.k_kind)
                                                 : 0;
  by_kind(r.k_kind, [&](auto tag) { score_split<decltype(tag)::dtype>(r, see, first, last, base, to_values, work); });
  for (int i = 0; i < r.rows; i++) {
    float* scores = work.scores + i * kSplit;
    if (r.softcap > 0) cap_part(scores, see.from[i], see.to[i], r.scale, r.softcap);
    softmax_part(scores, see.from[i], see.to[i], r.softcap > 0 ? 1.0f : r.scale, r.mask[i], r.mask_stride, base,
                 out.m + i, out.l + i);
  }
  by_kind(r.v_kind, [&](auto tag) { weigh_split<decltype(tag)::dtype>(r, see, first, last, base, next, work, out); });
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
