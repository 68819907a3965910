// What clipping gradients by their norm is made of, on the device, so that plans replay it.
// sum_of_squares: total = (first ? 0 : total) + sum_i x[i]^2 as a double, out = float32 of it; chunks of 2^14 elements, added in order.
// scale:          x[i] *= f in place, float32 math, one rounding. f = factor[0] (float32) where factor is given, else `value`;
//                 clip = 1: f = min(1, value / (factor[0] + 1e-6)), torch's clip_grad_norm_ for the norm factor[0]; NaN stays NaN.
#include "ops/backward.h"
#include "ops/check.h"

namespace {
constexpr int64_t kChunk = 1 << 14;
}

extern "C" int ao_cpu_sum_of_squares(const ao_sum_of_squares_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "sum_of_squares", a->dtype)) return 1;
  const int64_t chunks = (a->n + kChunk - 1) / kChunk;
  double* parts = ao::scratch<double>(ctx, chunks + 1);
  if (!parts) return 1;
  const auto run = AO_ISA_PICK(ctx, sum_of_squares_run);
  ao::parallel_for(ctx, chunks, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t c = begin; c < end; c++)
      parts[c] = run(a->dtype, ao::element(a->x, a->dtype, c * kChunk),
                     a->n - c * kChunk < kChunk ? a->n - c * kChunk : kChunk);
  });
  double* total = static_cast<double*>(a->total);
  double sum = a->first ? 0 : *total;
  for (int64_t c = 0; c < chunks; c++) sum += parts[c];
  *total = sum;
  *static_cast<float*>(a->out) = static_cast<float>(sum);
  return 0;
}

extern "C" int ao_cpu_scale(const ao_scale_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "scale", a->dtype)) return 1;
  float f = a->factor ? *static_cast<const float*>(a->factor) : static_cast<float>(a->value);
  if (a->clip) {
    const float wanted = static_cast<float>(a->value) / (f + 1e-6f);
    f = wanted > 1 ? 1 : wanted;
  }
  if (f == 1) return 0;
  const auto run = AO_ISA_PICK(ctx, scale_run);
  ao::parallel_for(ctx, a->n, kChunk, [&](int64_t begin, int64_t end, int) {
    run(a->dtype, ao::element(a->x, a->dtype, begin), f, end - begin);
  });
  return 0;
}
