// Affine quantization of x [blocks, n] with one scale and zero point per block (contiguous; a zero point may be absent
// = 0).
// quantize_affine, zero_domain 0 none or 1 int:   q = clamp(round(x * (1 / scale)) + zero, qmin, qmax), the reciprocal
// rounded first
//                  zero_domain 2 float (tinygemm): q = clamp(round((x - (zero - scale * mid)) / scale), qmin, qmax)
// dequantize_affine 0, 1: out = (q - zero) * scale        2: out = (q - mid) * scale + zero,     mid = (qmax + qmin +
// 1) / 2
// Rounding is to nearest even. Each step is rounded to the dtype torch computes in: that of x and scale where both are
// the same 16-bit float, else float32; dequantize rounds q - zero to out's dtype before the product. q is int8, uint8
// or int32.
#include "ops/quantize.h"

#include "ops/check.h"
#include "ops/choose_qparams.h"
#include "ops/convert.h"

namespace {

float number(int64_t dtype, const void* p, int64_t i) {
  float v;
  ao::load_floats(dtype, ao::element(p, dtype, i), 1, &v, 1);
  return v;
}

int check(ao_ctx* ctx, const char* op, int64_t dtype, int64_t scale_dtype, const void* zero, int64_t zero_dtype,
          int64_t q_dtype, int64_t domain) {
  if (ao::need_float(ctx, op, dtype) || ao::need_float(ctx, op, scale_dtype)) return 1;
  if (zero && ao::need_known(ctx, op, zero_dtype)) return 1;
  if (q_dtype != AO_I8 && q_dtype != AO_U8 && q_dtype != AO_I32)
    return ao_fail(ctx, "%s: codes are %s; they are int8, uint8 or int32", op, ao_dtype_name(q_dtype));
  if (domain < 0 || domain > 2)
    return ao_fail(ctx, "%s: zero_domain %lld; it is 0, 1 or 2", op, static_cast<long long>(domain));
  return 0;
}

} // namespace

extern "C" int ao_cpu_quantize_affine(const ao_quantize_affine_args* a, ao_ctx* ctx) {
  if (check(ctx, "quantize_affine", a->dtype, a->scale_dtype, a->zero_point, a->zero_dtype, a->q_dtype, a->zero_domain))
    return 1;
  const auto run = AO_ISA_PICK(ctx, quantize_block);
  const bool shifted = a->zero_point && a->zero_domain != ao::ZERO_NONE;
  const float mid = static_cast<float>((a->qmax + a->qmin + 1) / 2);
  const int64_t p = ao::common_dtype(a->dtype, a->scale_dtype);
  ao::parallel_for(ctx, a->blocks, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; b++) {
      const float scale = number(a->scale_dtype, a->scale, b),
                  zero = shifted ? number(a->zero_dtype, a->zero_point, b) : 0;
      ao::QuantizeBlock block{
          0, zero, static_cast<float>(a->qmin), static_cast<float>(a->qmax), a->dtype, p, p, a->q_dtype, false};
      if (a->zero_domain == ao::ZERO_FLOAT) {
        const int64_t pz = shifted ? ao::common_dtype(a->scale_dtype, a->zero_dtype) : a->scale_dtype;
        block.inverse = scale;
        block.shift = ao::round_to(pz, zero - ao::round_to(a->scale_dtype, scale * mid));
        block.p = ao::common_dtype(a->dtype, pz);
        block.divides = true;
      } else {
        block.inverse = ao::round_to(a->scale_dtype, 1 / scale);
        if (shifted) block.add_p = ao::common_dtype(p, a->zero_dtype);
      }
      run(block, ao::element(a->x, a->dtype, b * a->n), ao::element(a->q, a->q_dtype, b * a->n), a->n);
    }
  });
  return 0;
}

extern "C" int ao_cpu_dequantize_affine(const ao_dequantize_affine_args* a, ao_ctx* ctx) {
  if (check(ctx, "dequantize_affine", a->dtype, a->scale_dtype, a->zero_point, a->zero_dtype, a->q_dtype,
            a->zero_domain))
    return 1;
  const auto run = AO_ISA_PICK(ctx, dequantize_block);
  const bool shifted = a->zero_point && a->zero_domain != ao::ZERO_NONE;
  const float mid = static_cast<float>((a->qmax + a->qmin + 1) / 2);
  ao::parallel_for(ctx, a->blocks, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; b++) {
      const float scale = number(a->scale_dtype, a->scale, b),
                  zero = shifted ? number(a->zero_dtype, a->zero_point, b) : 0;
      const ao::DequantizeBlock block{scale, zero, mid, a->dtype, a->q_dtype, a->zero_domain};
      run(block, ao::element(a->q, a->q_dtype, b * a->n), ao::element(a->out, a->dtype, b * a->n), a->n);
    }
  });
  return 0;
}
