// Codes of Adam's moments, for warps: decoding by a table, and the nearest code (kernels/cpu/ops/code_table.h says the rule) by one
// look-up and one comparison: a bucket of floats of equal sign, exponent and 7 bits of mantissa, the upper half of their bits, knows how
// many thresholds lie below it. Tables of values and thresholds stand in shared memory once for each lane, so that lanes never wait for
// each other's banks.
#pragma once
#include "base/block.h"
#include "base/elements.h"
#include "ops/moment_form.h"

namespace ao {

// Upper halves of the floats from 0 to 1, in units of which m above zero, v, and m below zero have tables side by side.
constexpr uint32_t kKeys = 0x3f81, kPart = 0x4000;
constexpr uint32_t kFirstKey = 0x3380; // of 2^-24: lesser magnitudes are one bucket where no threshold lies among them

// Tables of the signed map of m and the unsigned one of v.
template <int size>
struct CodeTables {
  float value[2][size][kWarp], threshold[2][size][kWarp]; // a threshold that does not exist is NaN
  uint8_t below[3 * kPart];
  float row[2][size]; // thresholds once, while the tables are made
  int deep;           // whether a bucket holds two thresholds
};

__device__ inline uint32_t bucket_of(float x) {
  const uint32_t key = ao_bits(x) >> 16, size = key & 0x7fffu;
  return (size < kFirstKey ? kFirstKey : size) | (key & 0x8000u);
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
__device__ inline uint8_t count_below(const float* row, int count, float x, bool equal) {
  int low = 0, high = count;
  while (low < high) {
    const int mid = (low + high) / 2;
    if (equal ? row[mid] <= x : row[mid] < x)
      low = mid + 1;
    else
      high = mid;
  }
  return static_cast<uint8_t>(low);
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
  for (int part = 0; part < 3; part++) { // m above zero, v, m below zero
    const float* row = t->row[part == 1];
    const auto count = [&](uint32_t key) {
      const float start = key == kFirstKey ? 0.0f : ao_float(key << 16);
      const float end = key + 1 < kKeys ? ao_float((key + 1) << 16) : INFINITY;
      return part == 2 ? count_below(row, size - 1, -end, true) : count_below(row, size - 1, start, false);
    };
    const uint32_t least = count(kFirstKey) * 0x01010101u;
    for (uint32_t i = threadIdx.x; i < kFirstKey / 4; i += blockDim.x)
      reinterpret_cast<uint32_t*>(t->below + part * kPart)[i] = least;
    for (uint32_t key = kFirstKey + threadIdx.x; key < kKeys; key += blockDim.x)
      t->below[part * kPart + key] = count(key);
  }
  for (int i = threadIdx.x; i < 2 * size; i += blockDim.x) {
    const float* row = t->row[i / size];
    if (i % size + 2 < size && bucket_of(row[i % size]) == bucket_of(row[i % size + 1])) t->deep = 1;
  }
  __syncthreads();
}

// Codes of eight x, |x| <= 1, where no bucket is deep; `which` 0: of m, 1: of v, which is not negative.
template <int which, int size>
__device__ inline void near_codes(const CodeTables<size>& t, const float (&x)[8], int lane, uint32_t (&codes)[8]) {
  for (int j = 0; j < 8; j++) codes[j] = t.below[(ao_bits(x[j]) >> 16) + which * kPart];
  for (int j = 0; j < 8; j++) codes[j] += x[j] >= t.threshold[which][codes[j]][lane] ? 1 : 0;
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
