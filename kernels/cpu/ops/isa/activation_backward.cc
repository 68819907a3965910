#include "base/simd_map.h"
#include "base/simd_math.h"
#include "ops/backward.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// d/dx x sigmoid(x) = s (1 + x (1 - s)), of which x beyond 88 changes nothing.
inline vf silu_slope(vf x, vf s) {
  const vf a = max_(set1(-88.0f), min_(set1(88.0f), x));
  return s * fma_(a, set1(1.0f) - s, set1(1.0f));
}

// d/dx x/2 (1 + erf(x / sqrt 2)) = Phi(x) + x phi(x), Phi(-|x|) = e^(-x^2/2) erfcx(|x| / sqrt 2) / 2
inline vf gelu_slope(vf x) {
  const vf a = min_(set1(19.0f), abs_(x)), e = exp_down(a * a * set1(-0.5f));
  const vf tail = set1(0.5f) * e * erfcx_(a * set1(0.70710678118654752f));
  const vf cdf = x < set1(0.0f) ? tail : set1(1.0f) - tail;
  return fma_(sign_of(a, x), e * set1(0.3989422804014327f), cdf);
}

// d/dx x sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3)
inline vf gelu_tanh_slope(vf x) {
  const vf a = max_(set1(-19.0f), min_(set1(19.0f), x)), square = a * a, two_root = set1(1.5957691216057308f);
  const vf s = sigmoid_slope(two_root * fma_(square * a, set1(0.044715f), a));
  const vf inner = two_root * fma_(square, set1(0.134145f), set1(1.0f));
  return fma_(a * inner, s * (set1(1.0f) - s), s);
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
      map([](vf x) { return silu_slope(x, sigmoid_slope(x)); });
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
      const vf s = sigmoid_slope(x);
      store_as(d, dgate, i, gi * u * silu_slope(x, s), count);
      store_as(d, dup, i, gi * (max_(set1(-88.0f), x) * s), count);
    });
  });
}

} // namespace AO_ISA_NS
} // namespace ao
