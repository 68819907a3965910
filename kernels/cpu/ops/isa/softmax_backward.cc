#include "base/simd_math.h"
#include "ops/backward.h"
#include "ops/isa/sums.h"

namespace ao {
namespace AO_ISA_NS {

void softmax_backward_row(int64_t dtype, void* dx, const void* g, const void* y, int64_t n, int log) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    double sum = 0;
    constexpr int64_t kBlock = 1024;
    for (int64_t at = 0; at < n; at += kBlock) {
      float part[1];
      sum_rows<1>(
          n - at < kBlock ? n - at : kBlock,
          [&](int64_t i, int count, vf* v) {
            v[0] = load_as(d, g, at + i, count);
            if (!log) v[0] *= load_as(d, y, at + i, count);
          },
          part);
      sum += (double)part[0];
    }
    const vf total = set1((float)sum);
    steps(n, [&](int64_t i, int count) {
      const vf gi = load_as(d, g, i, count), yi = load_as(d, y, i, count);
      store_as(d, dx, i, log ? gi - exp_(yi) * total : yi * (gi - total), count);
    });
  });
}

void cross_entropy_backward_row(int64_t dtype, void* dx, float g, const void* x, int64_t n, int64_t target,
                                float* row) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    Largest largest;
    steps(n, [&](int64_t i, int count) {
      const vf v = load_as(d, x, i, count);
      largest.take(count == AO_W ? v : first_n(count) ? v : set1(-INFINITY));
    });
    const vf top = set1(largest.value());
    double sum = 0;
    constexpr int64_t kBlock = 256;
    for (int64_t at = 0; at < n; at += kBlock) {
      vf part = set1(0.0f);
      steps(n - at < kBlock ? n - at : kBlock, [&](int64_t i, int count) {
        const vf e = exp_down(load_as(d, x, at + i, count) - top);
        part += count == AO_W ? e : first_n(count) ? e : set1(0.0f);
        store_as(AO_F32, row, at + i, e, count);
      });
      sum += (double)sum_lanes(part);
    }
    const float total = (float)sum, chosen = row[target] / total - 1.0f;
    const vf factor = set1(g / total);
    steps(n, [&](int64_t i, int count) { store_as(d, dx, i, load_as(AO_F32, row, i, count) * factor, count); });
    store_as(d, dx, target, set1(chosen * g), 1);
  });
}

} // namespace AO_ISA_NS
} // namespace ao
