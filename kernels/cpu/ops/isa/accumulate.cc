#include "ops/backward.h"
#include "ops/isa/sums.h"

namespace ao {
namespace AO_ISA_NS {

void add_row(int64_t dtype, float* sum, const void* x, int64_t n) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(n, [&](int64_t i, int count) {
      store_as(AO_F32, sum, i, load_as(AO_F32, sum, i, count) + load_as(d, x, i, count), count);
    });
  });
}

double sum_of_squares_run(int64_t dtype, const void* x, int64_t n) {
  double result = 0;
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    constexpr int64_t kBlock = 1024;
    for (int64_t at = 0; at < n; at += kBlock) {
      float part[1];
      sum_rows<1>(
          n - at < kBlock ? n - at : kBlock,
          [&](int64_t i, int count, vf* v) {
            const vf xi = load_as(d, x, at + i, count);
            v[0] = xi * xi;
          },
          part);
      result += (double)part[0];
    }
  });
  return result;
}

void scale_run(int64_t dtype, void* x, float factor, int64_t n) {
  const vf f = set1(factor);
  map1(dtype, x, x, n, [=](vf v) { return v * f; });
}

} // namespace AO_ISA_NS
} // namespace ao
