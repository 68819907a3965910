#include "base/simd_map.h"
#include "base/simd_math.h"
#include "ops/backward.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// d/dx x sigmoid(x) = s (1 + x (1 - s)); the slope's limits are 0 and 1 where x is infinite.
inline vf silu_slope(vf x, vf s) {
  const vf slope = s * fma_(x, set1(1.0f) - s, set1(1.0f));
  const vi infinite = abs_(x) == set1(INFINITY);
  return infinite ? s : slope;
}

// d/dx x/2 (1 + erf(x / sqrt 2)) = Phi(x) + x phi(x)
inline vf gelu_slope(vf x) {
  const vf cdf = set1(0.5f) + set1(0.5f) * erf_(x * set1(0.70710678118654752f));
  const vf density = exp_(x * x * set1(-0.5f)) * set1(0.3989422804014327f);
  return density == set1(0.0f) ? cdf : fma_(x, density, cdf);
}

// d/dx x sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3)
inline vf gelu_tanh_slope(vf x) {
  const vf square = x * x, two_root = set1(1.5957691216057308f);
  const vf s = sigmoid_(two_root * fma_(square * x, set1(0.044715f), x));
  const vf inner = two_root * fma_(square, set1(0.134145f), set1(1.0f)), rest = s * (set1(1.0f) - s);
  return rest == set1(0.0f) ? s : fma_(x * inner, rest, s);
}

} // namespace

void activation_backward_run(int op, int64_t dtype, void* dx, const void* g, const void* x, int64_t n) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const auto map = [&](auto slope) {
      steps(n, [&](int64_t i, int count) {
        store_as(d, dx, i, load_as(d, g, i, count) * slope(load_as(d, x, i, count)), count);
      });
    };
    if (op == SILU_GRAD)
      map([](vf x) { return silu_slope(x, sigmoid_(x)); });
    else if (op == GELU_GRAD)
      map([](vf x) { return gelu_slope(x); });
    else
      map([](vf x) { return gelu_tanh_slope(x); });
  });
}

void silu_mul_backward_run(int64_t dtype, void* dgate, void* dup, const void* g, const void* gate, const void* up,
                           int64_t n) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(n, [&](int64_t i, int count) {
      const vf gi = load_as(d, g, i, count), x = load_as(d, gate, i, count), u = load_as(d, up, i, count);
      const vf s = sigmoid_(x);
      store_as(d, dgate, i, gi * u * silu_slope(x, s), count);
      store_as(d, dup, i, gi * (x == set1(-INFINITY) ? set1(-0.0f) : x * s), count);
    });
  });
}

} // namespace AO_ISA_NS
} // namespace ao
