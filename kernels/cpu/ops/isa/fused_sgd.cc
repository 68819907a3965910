#include "base/simd_map.h"
#include "ops/fused_adam.h"

namespace ao {
namespace AO_ISA_NS {

// facts: weight decay, momentum, weight of the gradient in the buffer, nesterov (0 or 1), lr. Before the first step the
// buffer holds zeros, so that the momentum term is 0.
void fused_sgd_row(int64_t dtype, void* param, const void* grad, void* buffer, int64_t at, int64_t n,
                   const float* facts) {
  const vf decay = set1(facts[0]), momentum = set1(facts[1]), weight = set1(facts[2]), lr = set1(facts[4]);
  const bool nesterov = facts[3] != 0;
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(n, [&](int64_t i, int count) {
      const vf p = load_as(d, param, at + i, count);
      vf g = load_as(d, grad, at + i, count) + decay * p;
      if (buffer) {
        const vf b = momentum * load_as(d, buffer, at + i, count) + weight * g;
        store_as(d, buffer, at + i, b, count);
        g = nesterov ? g + momentum * b : b;
      }
      store_as(d, param, at + i, p - lr * g, count);
    });
  });
}

} // namespace AO_ISA_NS
} // namespace ao
