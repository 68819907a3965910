// activation_backward: dx[i] = g[i] f'(x[i]), i < n, contiguous. Codes (ops/backward.h):
//   0 silu       s (1 + x (1 - s)), s = sigmoid(x)
//   1 gelu       Phi(x) + x e^(-x^2/2) / sqrt(2 pi)
//   2 gelu_tanh  s + x s (1 - s) u', s = sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3)
// silu_mul_backward: dgate = g up s (1 + gate (1 - s)), dup = g gate s, s = sigmoid(gate).
// float32 math, one rounding.
#include "ops/backward.h"
#include "ops/check.h"

namespace {
constexpr int64_t kChunk = 1 << 13;
}

extern "C" int ao_cpu_activation_backward(const ao_activation_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "activation_backward", a->dtype)) return 1;
  if (a->op < 0 || a->op >= ao::ACTIVATION_GRADS)
    return ao_fail(ctx, "activation_backward: code %lld is not known", static_cast<long long>(a->op));
  const auto run = AO_ISA_PICK(ctx, activation_backward_run);
  ao::parallel_for(ctx, a->n, kChunk, [&](int64_t begin, int64_t end, int) {
    const auto at = [&](const void* p) { return ao::element(p, a->dtype, begin); };
    run(static_cast<int>(a->op), a->dtype, ao::element(a->dx, a->dtype, begin), at(a->g), at(a->x), end - begin);
  });
  return 0;
}

extern "C" int ao_cpu_silu_mul_backward(const ao_silu_mul_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "silu_mul_backward", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, silu_mul_backward_run);
  ao::parallel_for(ctx, a->n, kChunk, [&](int64_t begin, int64_t end, int) {
    const auto at = [&](const void* p) { return ao::element(p, a->dtype, begin); };
    run(a->dtype, ao::element(a->dgate, a->dtype, begin), ao::element(a->dup, a->dtype, begin), at(a->g), at(a->gate),
        at(a->up), end - begin);
  });
  return 0;
}
