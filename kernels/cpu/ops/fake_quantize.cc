// fake_quantize, fake_quantize_int4 (exports.inc): x [blocks, n] contiguous, one scale and zero point a block, found and used in one pass.
#include "ops/check.h"
#include "ops/choose_qparams.h"

extern "C" int ao_cpu_fake_quantize(const ao_fake_quantize_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "fake_quantize", a->dtype) || ao::need_float(ctx, "fake_quantize", a->scale_dtype)) return 1;
  if (a->mapping < 0 || a->mapping > ao::ASYMMETRIC || !(a->qmin < a->qmax) || a->n < 1)
    return ao_fail(ctx, "fake_quantize: mapping %lld, range %g..%g, blocks of %lld", static_cast<long long>(a->mapping),
                   a->qmin, a->qmax, static_cast<long long>(a->n));
  const auto range = AO_ISA_PICK(ctx, min_max_block);
  const auto run = AO_ISA_PICK(ctx, fake_quantize_block);
  const int64_t p = ao::common_dtype(a->dtype, a->scale_dtype);
  ao::parallel_for(ctx, a->blocks, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; b++) {
      const void* x = ao::element(a->x, a->dtype, b * a->n);
      float lo, hi;
      range(a->dtype, x, a->n, &lo, &hi);
      const ao::QParams chosen = ao::choose_qparams(a->dtype, a->mapping, true, a->qmin, a->qmax, a->eps, lo, hi);
      const float scale = ao::round_to(a->scale_dtype, chosen.scale);
      const ao::QuantizeBlock block{ao::round_to(a->scale_dtype, 1 / scale),
                                    chosen.zero,
                                    static_cast<float>(a->qmin),
                                    static_cast<float>(a->qmax),
                                    a->dtype,
                                    p,
                                    p,
                                    0,
                                    false};
      run(block, scale, x, a->grad ? ao::element(a->grad, a->dtype, b * a->n) : nullptr,
          ao::element(a->out, a->dtype, b * a->n), a->n);
    }
  });
  return 0;
}

extern "C" int ao_cpu_fake_quantize_int4(const ao_fake_quantize_int4_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "fake_quantize_int4", a->dtype)) return 1;
  if (a->n < 1) return ao_fail(ctx, "fake_quantize_int4: groups of %lld", static_cast<long long>(a->n));
  const auto range = AO_ISA_PICK(ctx, min_max_block);
  const auto run = AO_ISA_PICK(ctx, fake_int4_block);
  const auto at = [a](const void* t, int64_t k) { return t ? ao::element(t, a->dtype, k * a->n) : nullptr; };
  ao::parallel_for(ctx, a->groups, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    for (int64_t k = begin; k < end; k++) {
      float lo, hi;
      range(a->dtype, at(a->x, k), a->n, &lo, &hi);
      run(a->dtype, lo, hi, at(a->x, k), at(a->grad, k), ao::element(a->out, a->dtype, k * a->n), a->n);
    }
  });
  return 0;
}
