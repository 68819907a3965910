// Codes of the nearest value of an ascending map of up to 256 floats, as torchao.optim's search finds them: with q_i the
// last value <= x (q_0 where there is none), the code is i + 1 where x - q_i >= (q_{i+1} - q_i) / 2 in float32, else i; NaN
// has code 0. Each step of that is monotone in x, so the code is the number of thresholds t_i <= x, t_i being the least
// float that has a code above i. A bucket holds the floats of equal sign, exponent and upper 7 bits of mantissa, and `base`
// counts the thresholds below it: the code is one look-up and one comparison where no bucket holds two thresholds. `heap` is the
// same thresholds as a search tree: the root at 1, the children of h at 2h and 2h + 1. `ramps` are the same once more, for maps
// of 0 and runs of even steps (ops/code_ramps.h).
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/code_ramps.h"

namespace ao {

struct CodeTable {
  static constexpr uint32_t kLow = 103u << 7;                  // magnitudes below 2^-24 share the first bucket
  static constexpr uint32_t kBuckets = (127u << 7) - kLow + 1; // of a sign; the last one begins at 1
  static constexpr int32_t kNan = 2 * kBuckets - 1;            // whose base is 0
  float value[256];
  float heap[256];
  float threshold[257]; // those of no code are NaN, which nothing reaches
  uint8_t base[2 * kBuckets];
  uint8_t plane[4][256]; // byte k of each value
  CodeRamps ramps;
  bool deep; // a bucket holds several thresholds
  int size = 0;

  static uint32_t bucket(float x) {
    const uint32_t u = ao_bits(x), key = (u & 0x7fffffffu) >> 16;
    const uint32_t at = key < kLow ? 0 : key - kLow;
    return (at < kBuckets ? at : kBuckets - 1) + (u >> 31) * kBuckets;
  }

  // Whether this is the table of that map.
  bool holds(const float* map, int n) const { return size == n && memcmp(value, map, sizeof(float) * n) == 0; }

  static bool ascending(const float* map, int n) {
    for (int i = 0; i < n; i++)
      if (!(fabsf(map[i]) <= 1e30f) || (i > 0 && map[i] < map[i - 1])) return false;
    return true;
  }

  static bool above(float low, float high, float x) { return x >= high || x - low >= (high - low) * 0.5f; }

  void build(const float* map, int n) {
    memset(value, 0, sizeof value);
    memcpy(value, map, sizeof(float) * n);
    for (int i = 0; i < 256; i++)
      for (int k = 0; k < 4; k++) plane[k][i] = (uint8_t)(ao_bits(value[i]) >> 8 * k);
    for (int i = 0; i < n - 1; i++) {
      const float low = map[i], high = map[i + 1];
      float t = low + (high - low) * 0.5f;
      while (t > low && above(low, high, nextafterf(t, -INFINITY))) t = nextafterf(t, -INFINITY);
      while (!above(low, high, t)) t = nextafterf(t, INFINITY);
      threshold[i] = t;
    }
    for (int i = n - 1; i < 257; i++) threshold[i] = NAN; // never reached
    uint8_t held[2 * kBuckets] = {0};
    for (int i = 0; i < n - 1; i++) held[bucket(threshold[i])]++;
    int below = 0;
    deep = false;
    const auto pass = [&](uint32_t b) {
      base[b] = static_cast<uint8_t>(below);
      below += held[b];
      deep = deep || held[b] > 1;
    };
    for (uint32_t b = kBuckets; b-- > 0;) pass(kBuckets + b);
    for (uint32_t b = 0; b < kBuckets; b++) pass(b);
    heap[0] = 0;
    for (int first = 1; first < n; first *= 2)
      for (int h = first; h < 2 * first; h++) heap[h] = threshold[(2 * (h - first) + 1) * (n / 2 / first) - 1];
    ramps.build(map, threshold, n);
    size = n;
  }
};

} // namespace ao
