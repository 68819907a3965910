// choose_qparams_affine: scale and zero point of each block, x [blocks, n] contiguous, as torchao computes them: every
// step rounded to x's dtype. lo = min(x), hi = max(x), with preserve_zero lo = min(lo, 0) and hi = max(hi, 0).
// Mappings:
//   0 symmetric                  scale = max(-lo, hi) / ((qmax - qmin) / 2)          zero = trunc((qmax + qmin + 1) /
//   2)
//   1 symmetric_no_clipping_err  scale = max(lo / qmin, hi / qmax)                   the same zero
//   2 asymmetric                 scale = (hi - lo) / (qmax - qmin)                   zero = clamp(qmin - round(lo /
//   scale), qmin, qmax)
//   3 tinygemm (true lo and hi)  scale as 2, zero = lo + scale * (qmax + qmin + 1) / 2, a float
// scale is raised to eps (before it divides); scale [blocks] is stored as scale_dtype, zero_point [blocks], which may
// be absent, as zero_dtype, through torch's casts.
#include "ops/choose_qparams.h"

#include "ops/check.h"

extern "C" int ao_cpu_choose_qparams_affine(const ao_choose_qparams_affine_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "choose_qparams_affine", a->dtype)) return 1;
  if (a->mapping < 0 || a->mapping > ao::TINYGEMM || !(a->qmin < a->qmax) || a->n < 1 ||
      !ao_dtype_size(a->scale_dtype) || (a->zero_point && !ao_dtype_size(a->zero_dtype)))
    return ao_fail(ctx, "choose_qparams_affine: mapping %lld, range %g..%g, blocks of %lld",
                   static_cast<long long>(a->mapping), a->qmin, a->qmax, static_cast<long long>(a->n));
  const auto run = AO_ISA_PICK(ctx, min_max_block);
  ao::parallel_for(ctx, a->blocks, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; b++) {
      float lo, hi;
      run(a->dtype, ao::element(a->x, a->dtype, b * a->n), a->n, &lo, &hi);
      const ao::QParams params =
          ao::choose_qparams(a->dtype, a->mapping, a->preserve_zero, a->qmin, a->qmax, a->eps, lo, hi);
      ao::store_scalar(a->scale_dtype, a->scale, b, params.scale);
      if (a->zero_point) ao::store_scalar(a->zero_dtype, a->zero_point, b, params.zero);
    }
  });
  return 0;
}
