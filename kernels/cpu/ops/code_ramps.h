// Codes by exponent bits: where a map holds 0 at `zero` and each value below it mirrors one above, the code of x is zero + j or
// zero - j (at most `zero`), j the number of thresholds up to a = |x|. Thresholds of even steps lie on a line, so j is floor(t),
// t = slope a + offset, by the ramp that a is on: the exponent of a tells the ramp at the start of its octave, and one comparison
// whether a is past its end. torchao's dynamic maps are made of 7 decades of even steps, which take 9 or so ramps.
// t is off by rounding (at most 1e-4), a may be (2 ulp), and below 0 ties go the other way: a code is sure where t is further than
// kNear from a whole number and a further than kUlps from an end; the others, one in a thousand, are looked up in full.
#pragma once
#include <math.h>
#include <stdint.h>

#include "base/dtype.h"

namespace ao {

struct CodeRamps {
  static constexpr int kMost = 16;
  static constexpr float kNear = 1.5e-4f, kLeast = 0x1p-31f; // smaller magnitudes count as kLeast
  static constexpr int kUlps = 8;
  float end[kMost], slope[kMost], offset[kMost], most[kMost]; // t is at most `most`
  int32_t first[32];                                          // ramp of 2^(i - 31)
  int zero;
  bool known; // whether the map has this form

  // thresholds t[0 .. n - 2] of n values, ascending.
  void build(const float* value, const float* t, int n) {
    known = false;
    zero = 0;
    while (zero < n && value[zero] != 0) zero++;
    const int top = n - 1 - zero; // thresholds above 0
    if (top < 2 || zero > top || !(value[n - 1] <= 1)) return;
    for (int j = 1; j <= zero; j++)
      if (value[zero - j] != -value[zero + j]) return;
    int count = 0;
    for (int j = 0; j <= top && count < kMost; count++) j = run(t + zero, j, top, count);
    if ((int)most[count - 1] < top) return; // more than kMost ramps
    for (int i = 0, r = 0; i < 32; i++) {
      const float low = ldexpf(1, i - 31);
      while (end[r] <= low) r++;
      first[i] = r;
      if (end[r] < 2 * low && end[r + 1] < 2 * low) return; // two ends in an octave
    }
    known = true;
  }

private:
  // Ramp r, which begins with j: returns that of the next one.
  int run(const float* t, int j, int top, int r) {
    if (j == top) return flat(j, r);
    const double before = j == 0 ? t[0] : (double)t[j] - t[j - 1], after = j + 1 < top ? (double)t[j + 1] - t[j] : 0;
    double step = before > after ? before : after;
    int k = j + 1;
    while (k < top && fabs(t[k] - (t[j] + (k - j) * step)) < 3e-5 * step) {
      step = ((double)t[k] - t[j]) / (k - j);
      k++;
    }
    slope[r] = (float)(1 / step), offset[r] = (float)(j + 1 - t[j] / step);
    most[r] = (float)k + 0.5f, end[r] = k < top ? t[k] : INFINITY;
    return k + 1;
  }
  int flat(int j, int r) {
    slope[r] = 0, offset[r] = most[r] = (float)j + 0.5f, end[r] = INFINITY;
    return j + 1;
  }
};

} // namespace ao
