// fused_sgd: one step of SGD on a parameter of n elements, float32 math; the formulas are those of
// packages/core/src/ops/optim/fused-sgd.ts.
#include "ops/check.h"
#include "ops/fused_adam.h"

extern "C" int ao_cpu_fused_sgd(const ao_fused_sgd_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "fused_sgd", a->dtype)) return 1;
  float* step = static_cast<float*>(a->step);
  const bool first = *step == 0;
  const float facts[] = {static_cast<float>(a->weight_decay), static_cast<float>(a->momentum),
                         first ? 1.0f : static_cast<float>(1 - a->dampening), a->nesterov ? 1.0f : 0.0f,
                         *static_cast<const float*>(a->lr)};
  const auto run = AO_ISA_PICK(ctx, fused_sgd_row);
  ao::parallel_for(ctx, a->n, 1 << 14, [&](int64_t begin, int64_t end, int) {
    run(a->dtype, a->param, a->grad, a->momentum_buffer, begin, end - begin, facts);
  });
  *step += 1.0f;
  return 0;
}
