#include "base/simd_math.h"
#include "ops/backward.h"
#include "ops/isa/sums.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

inline void add_to(float* sum, int64_t i, vf v, int count) {
  store_as(AO_F32, sum, i, load_as(AO_F32, sum, i, count) + v, count);
}

} // namespace

void rms_norm_backward_row(int64_t dtype, const NormGrads& out, const void* g, const void* x, const void* weight,
                           int64_t n, float eps, float offset) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const vf shift = set1(offset);
    const auto weighted = [&](int64_t i, int count) {
      const vf v = load_as(d, g, i, count);
      return weight ? v * (shift + load_as(d, weight, i, count)) : v;
    };
    float total[2]; // of x^2 and of g w x
    sum_rows<2>(
        n,
        [&](int64_t i, int count, vf* v) {
          const vf xi = load_as(d, x, i, count);
          v[0] = xi * xi, v[1] = weighted(i, count) * xi;
        },
        total);
    const float s = 1.0f / sqrtf(total[0] / (float)n + eps);
    const vf scale = set1(s), back = set1(total[1] / (float)n * s * s);
    steps(n, [&](int64_t i, int count) {
      const vf xi = load_as(d, x, i, count);
      if (out.dw) add_to(out.dw, i, load_as(d, g, i, count) * (xi * scale), count);
      if (out.dx) store_as(d, out.dx, i, (weighted(i, count) - xi * back) * scale, count);
    });
  });
}

void layer_norm_backward_row(int64_t dtype, const NormGrads& out, const void* g, const void* x, const void* weight,
                             int64_t n, float eps) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    float total[2];
    sum_rows<1>(n, [&](int64_t i, int count, vf* v) { v[0] = load_as(d, x, i, count); }, *(float (*)[1])total);
    const vf mean = set1(total[0] / (float)n);
    sum_rows<1>(
        n,
        [&](int64_t i, int count, vf* v) {
          const vf c = load_as(d, x, i, count) - mean;
          v[0] = c * c;
        },
        *(float (*)[1])total);
    const vf scale = set1(1.0f / sqrtf(total[0] / (float)n + eps));
    const auto weighted = [&](int64_t i, int count) {
      const vf v = load_as(d, g, i, count);
      return weight ? v * load_as(d, weight, i, count) : v;
    };
    const auto normal = [&](int64_t i, int count) { return (load_as(d, x, i, count) - mean) * scale; };
    sum_rows<2>(
        n, [&](int64_t i, int count, vf* v) { v[0] = weighted(i, count), v[1] = v[0] * normal(i, count); }, total);
    const vf a = set1(total[0] / (float)n), b = set1(total[1] / (float)n);
    steps(n, [&](int64_t i, int count) {
      const vf y = normal(i, count);
      if (out.dw) add_to(out.dw, i, load_as(d, g, i, count) * y, count);
      if (out.db) add_to(out.db, i, load_as(d, g, i, count), count);
      if (out.dx) store_as(d, out.dx, i, (weighted(i, count) - a - y * b) * scale, count);
    });
  });
}

void sum_parts(int64_t dtype, void* out, const float* parts, int64_t count, int64_t stride, int64_t n) {
  for (int64_t at = 0; at < n; at += AO_W) {
    const int lanes = n - at < AO_W ? (int)(n - at) : AO_W;
    double sum[AO_W] = {};
    for (int64_t p = 0; p < count; p++)
      for (int k = 0; k < lanes; k++) sum[k] += (double)parts[p * stride + at + k];
    float t[AO_W];
    for (int k = 0; k < AO_W; k++) t[k] = (float)sum[k];
    by_dtype(dtype, [&](auto tag) { store_as(decltype(tag)::dtype, out, at, load(t), lanes); });
  }
}

} // namespace AO_ISA_NS
} // namespace ao
