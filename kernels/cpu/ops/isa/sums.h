// Sums over a row in float32 lanes: four accumulators in turn, so that the additions overlap, folded in a fixed order.
#pragma once
#include "base/simd_map.h"

// As sum_lanes.
static inline float fold_lanes(vf v) {
#if AO_ISA_LEVEL == 2
  return _mm512_reduce_add_ps((__m512)v);
#else
  return sum_lanes(v);
#endif
}

// totals[s] = sum over i < n of what value(i, count, v) writes to v[s]; lanes from `count` on do not count.
template <int sums, class Fn>
static inline void sum_rows(int64_t n, const Fn& value, float (&totals)[sums]) {
  vf a[4][sums];
  for (int k = 0; k < 4; k++)
    for (int s = 0; s < sums; s++) a[k][s] = set1(0.0f);
  int64_t i = 0;
  for (; i + 4 * AO_W <= n; i += 4 * AO_W)
    for (int k = 0; k < 4; k++) {
      vf v[sums];
      value(i + k * AO_W, AO_W, v);
      for (int s = 0; s < sums; s++) a[k][s] += v[s];
    }
  for (int k = 0; i < n; i += AO_W, k++) {
    const int count = n - i < AO_W ? (int)(n - i) : AO_W;
    vf v[sums];
    value(i, count, v);
    for (int s = 0; s < sums; s++) a[k][s] += count == AO_W ? v[s] : first_n(count) ? v[s] : set1(0.0f);
  }
  for (int s = 0; s < sums; s++) totals[s] = fold_lanes((a[0][s] + a[1][s]) + (a[2][s] + a[3][s]));
}
