// rms_norm:   out[r, i] = round(x[r, i] * s) * weight[i], s = 1 / sqrt(mean(x[r]^2) + eps), rounded to the dtype
// before and after
//             weight, as Hugging Face's LlamaRMSNorm does; without weight one rounding. Where offset is not 0:
//             round(x[r, i] * s * (offset + weight[i])), as its Gemma2RMSNorm does.
// layer_norm: out[r, i] = (x[r, i] - mean) / sqrt(var + eps) * weight[i] + bias[i], var = mean((x - mean)^2); one
// rounding.
// Rows of x are x_stride elements apart, out [rows, n] is contiguous, weight and bias [n] have x's dtype and may be
// absent.
#include "ops/check.h"
#include "ops/rows.h"

extern "C" int ao_cpu_rms_norm(const ao_rms_norm_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "rms_norm", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, rms_norm_row);
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++)
      run(a->dtype, ao::element(a->out, a->dtype, r * a->n), ao::element(a->x, a->dtype, r * a->x_stride), a->weight,
          a->n, static_cast<float>(a->eps), static_cast<float>(a->offset));
  });
  return 0;
}

extern "C" int ao_cpu_layer_norm(const ao_layer_norm_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "layer_norm", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, layer_norm_row);
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++)
      run(a->dtype, ao::element(a->out, a->dtype, r * a->n), ao::element(a->x, a->dtype, r * a->x_stride), a->weight,
          a->bias, a->n, static_cast<float>(a->eps));
  });
  return 0;
}
