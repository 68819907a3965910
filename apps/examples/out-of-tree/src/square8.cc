// The kernels of square8 for the cpu stream. A code c in -127..127 stands for the value c |c| / 127^2.
#include <math.h>

#include "ao/plugin.h"

namespace {

template <class T>
T* pointer(double field) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(field));
}

// One correctly rounded division of integers that float holds: the bits that dtype.mjs gives.
inline float value(int8_t code) {
  const int c = code;
  return static_cast<float>(c < 0 ? -c * c : c * c) / 16129.0f;
}

// The nearest code: |x| 127^2 exceeds the middle (c + 1/2)^2 + 1/4 of the squares of c and c + 1.
inline int8_t nearest(float x) {
  const double square = fabs(static_cast<double>(x)) * 16129.0 - 0.25;
  const double root = square > 0 ? floor(sqrt(square) + 0.5) : 0;
  const int c = root < 127 ? static_cast<int>(root) : 127;
  return static_cast<int8_t>(x < 0 ? -c : c);
}

// out[i] = the code nearest to x[i], saturating; fails on NaN, which has none.
int encode(const double* record, ao_ctx* ctx) {
  int8_t* out = pointer<int8_t>(record[0]);
  const float* x = pointer<const float>(record[1]);
  const int64_t n = static_cast<int64_t>(record[2]);
  for (int64_t i = 0; i < n; i++) {
    if (isnan(x[i])) return ao_plugin_fail(ctx, "square8 has no code for NaN");
    out[i] = nearest(x[i]);
  }
  return 0;
}

// out[i] = value(x[i])
int decode(const double* record, ao_ctx*) {
  float* out = pointer<float>(record[0]);
  const int8_t* x = pointer<const int8_t>(record[1]);
  const int64_t n = static_cast<int64_t>(record[2]);
  for (int64_t i = 0; i < n; i++) out[i] = value(x[i]);
  return 0;
}

// out[m, n] = sum_k x[m, k] w[n, k] + b[n] with w[n, k] = value(codes[n, k]) scale[n, k / group]
struct Linear {
  float* out;          // [M, N]
  const float* x;      // [M, K]
  const int8_t* codes; // [N, K]
  const float* scale;  // [N, K / group]
  const float* b;      // [N], or null
  int64_t M, N, K, group;
  float* rows; // one decoded row of the weight for each thread
};

// Eight sums that are joined at the end: the order never depends on M or on the threads, so results do not either.
float dot(const float* x, const float* w, int64_t K) {
  float sums[8] = {};
  int64_t k = 0;
  for (; k + 8 <= K; k += 8)
    for (int i = 0; i < 8; i++) sums[i] += x[k + i] * w[k + i];
  for (; k < K; k++) sums[0] += x[k] * w[k];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Columns [begin, end) of the output: each row of the weight is decoded once for all rows of x.
void columns(void* argument, int64_t begin, int64_t end, int thread) {
  const Linear& a = *static_cast<const Linear*>(argument);
  float* row = a.rows + thread * a.K;
  for (int64_t n = begin; n < end; n++) {
    const float* scale = a.scale + n * (a.K / a.group);
    for (int64_t k = 0; k < a.K; k++) row[k] = value(a.codes[n * a.K + k]) * scale[k / a.group];
    const float b = a.b ? a.b[n] : 0;
    for (int64_t m = 0; m < a.M; m++) a.out[m * a.N + n] = dot(a.x + m * a.K, row, a.K) + b;
  }
}

int linear(const double* r, ao_ctx* ctx) {
  Linear a = {pointer<float>(r[0]),        pointer<const float>(r[1]),
              pointer<const int8_t>(r[2]), pointer<const float>(r[3]),
              pointer<const float>(r[4]),  static_cast<int64_t>(r[5]),
              static_cast<int64_t>(r[6]),  static_cast<int64_t>(r[7]),
              static_cast<int64_t>(r[8]),  nullptr};
  const size_t threads = static_cast<size_t>(ao_plugin_host->threads(ctx));
  a.rows = static_cast<float*>(ao_plugin_host->scratch(ctx, threads * static_cast<size_t>(a.K) * sizeof(float)));
  if (!a.rows) return ao_plugin_fail(ctx, "no memory for a row of the weight");
  ao_plugin_host->parallel_for(ctx, a.N, 32, columns, &a);
  return 0;
}

const ao_field cast_fields[] = {{"out", 'o', 1}, {"x", 'i', 1}, {"n", 'n', 1}};
const ao_field linear_fields[] = {{"out", 'o', 1}, {"x", 'i', 1}, {"codes", 'i', 1}, {"scale", 'i', 1}, {"b", 'i', 1},
                                  {"M", 'n', 1},   {"N", 'n', 1}, {"K", 'n', 1},     {"group", 'n', 1}};
const ao_entry entries[] = {
    {"square8_encode", cast_fields, 3, 3, encode},
    {"square8_decode", cast_fields, 3, 3, decode},
    {"square8_linear", linear_fields, 9, 9, linear},
};

} // namespace

AO_PLUGIN(entries)
