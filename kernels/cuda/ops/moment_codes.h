// Codes of Adam's moments, for warps: decoding by a table, and the nearest code (kernels/cpu/ops/code_table.h says the rule) by one
// look-up and one comparison: a bucket of floats of equal sign, exponent and 7 bits of mantissa knows how many thresholds lie below it.
// Tables of values and thresholds stand in shared memory once for each lane, so that lanes never wait for each other's banks.
#pragma once
#include "base/block.h"
#include "base/elements.h"
#include "ops/moment_form.h"

namespace ao {

constexpr uint32_t kLowKey = 103u << 7;                            // magnitudes below 2^-24 share the first bucket
constexpr int kKeys = static_cast<int>((127u << 7) - kLowKey) + 1; // buckets of a sign; the last begins at 1

// Tables of the signed map of m and the unsigned one of v.
template <int size>
struct CodeTables {
  float value[2][size][kWarp], threshold[2][size][kWarp]; // a threshold that does not exist is NaN
  float row[2][256];                                      // thresholds once, while the tables are made
  uint8_t base[3][(kKeys + 7) / 8 * 8];                   // m above and below zero, v
  int deep;                                               // whether a bucket holds two thresholds
};

__device__ inline int bucket_of(float x) {
  const uint32_t u = ao_bits(x), key = (u & 0x7fffffffu) >> 16;
  const int at = key < kLowKey ? 0 : static_cast<int>(key - kLowKey);
  return (at < kKeys ? at : kKeys - 1) + (u >> 31 ? kKeys : 0);
}

__device__ inline bool reaches(float low, float high, float x) { return x >= high || x - low >= (high - low) * 0.5f; }

// The least float that has a code above that of `low`.
__device__ inline float threshold_of(float low, float high) {
  float t = low + (high - low) * 0.5f;
  while (t > low && reaches(low, high, nextafterf(t, -INFINITY))) t = nextafterf(t, -INFINITY);
  while (!reaches(low, high, t) && t < high) t = nextafterf(t, INFINITY);
  return t;
}

// How many of `count` ascending thresholds lie below x, or up to x.
__device__ inline int below(const float* row, int count, float x, bool equal) {
  int low = 0, high = count;
  while (low < high) {
    const int mid = (low + high) / 2;
    if (equal ? row[mid] <= x : row[mid] < x)
      low = mid + 1;
    else
      high = mid;
  }
  return low;
}

template <int size>
__device__ void make_tables(CodeTables<size>* t, const float* signed_map, const float* unsigned_map) {
  if (threadIdx.x == 0) t->deep = 0;
  for (int i = threadIdx.x; i < 2 * size; i += blockDim.x) {
    const float* map = i < size ? signed_map : unsigned_map;
    const int c = i % size;
    t->row[i / size][c] = c + 1 < size ? threshold_of(map[c], map[c + 1]) : NAN;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 2 * size * kWarp; i += blockDim.x) {
    const int which = i / (size * kWarp), c = i / kWarp % size;
    t->value[which][c][i % kWarp] = (which ? unsigned_map : signed_map)[c];
    t->threshold[which][c][i % kWarp] = t->row[which][c];
  }
  for (int i = threadIdx.x; i < 3 * kKeys; i += blockDim.x) {
    const int sign = i / kKeys, key = i % kKeys;
    const float* row = t->row[sign / 2];
    const float start = key ? ao_float((kLowKey + static_cast<uint32_t>(key)) << 16) : 0.0f;
    const float end = key + 1 < kKeys ? ao_float((kLowKey + static_cast<uint32_t>(key) + 1) << 16) : INFINITY;
    t->base[sign][key] =
        static_cast<uint8_t>(sign == 1 ? below(row, size - 1, -end, true) : below(row, size - 1, start, false));
  }
  for (int i = threadIdx.x; i < 2 * size; i += blockDim.x) {
    const float* row = t->row[i / size];
    if (i % size + 2 < size && bucket_of(row[i % size]) == bucket_of(row[i % size + 1])) t->deep = 1;
  }
  __syncthreads();
}

// The code of x, |x| <= 1, where no bucket is deep; `which` 0: of m, 1: of v, which is positive.
template <int which, int size>
__device__ inline uint32_t near_code(const CodeTables<size>& t, float x, int lane) {
  const uint32_t u = ao_bits(x);
  uint32_t key = which ? u : u & 0x7fffffffu;
  key = key > (kLowKey << 16) ? key : kLowKey << 16;
  const uint8_t* base = which ? t.base[2] : u >> 31 ? t.base[1] : t.base[0];
  const uint32_t code = base[(key >> 16) - kLowKey];
  return code + (x >= t.threshold[which][code][lane]);
}

// The code of any x.
template <int size>
__device__ inline uint32_t any_code(const CodeTables<size>& t, int which, float x, int lane) {
  int low = 0, high = size - 1; // thresholds up to x; none for NaN
  while (low < high) {
    const int mid = (low + high) / 2;
    if (t.threshold[which][mid][lane] <= x)
      low = mid + 1;
    else
      high = mid;
  }
  return static_cast<uint32_t>(low);
}

// Two codes of float8_e4m3fn, and back for |x| <= 448: by the device's own conversions where it has them.
__device__ inline float2 from_e4m3x2(uint32_t codes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  uint32_t halves;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(static_cast<uint16_t>(codes)));
  float2 x;
  asm("{.reg .f16 a, b;\n mov.b32 {a, b}, %2;\n cvt.f32.f16 %0, a;\n cvt.f32.f16 %1, b;}"
      : "=f"(x.x), "=f"(x.y)
      : "r"(halves));
  return x;
#else
  return {ao_from_f8e4m3(static_cast<uint8_t>(codes)), ao_from_f8e4m3(static_cast<uint8_t>(codes >> 8))};
#endif
}
__device__ inline uint32_t to_e4m3x2(float x, float y) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  uint16_t codes;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(y), "f"(x));
  return codes;
#else
  return ao_to_f8e4m3(x) | static_cast<uint32_t>(ao_to_f8e4m3(y)) << 8;
#endif
}

} // namespace ao
