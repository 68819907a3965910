// linear: y = x . w^T + b (+ residual) for a weight in canonical form. Float weights are read in place as b^T of a product;
// coded ones are packed to scratch and run as linear_packed does. Prepared and plain weights give the
// same bits.
#include "gemm/linear.h"

#include "gemm/product.h"
#include "gemm/skeleton.h"

extern "C" int ao_cpu_linear(const ao_linear_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (!check_linear_dtypes(ctx, "linear", a->x_dtype, a->out_dtype, a->bias_dtype)) return 1;
  Packed description;
  char reason[512];
  if (!describe_packed(&description, a->code, a->n, a->k, a->group_size, a->zero_domain, a->scale_dtype, a->zero_dtype,
                       a->activation, a->bits, reason, sizeof reason))
    return ao_fail(ctx, "linear: %s", reason);
  const Store store = {a->bias,
                       a->residual,
                       a->out,
                       a->residual_stride,
                       a->out_stride,
                       a->n,
                       (int32_t)a->bias_dtype,
                       (int32_t)a->out_dtype};
  if (a->m == 0) return 0;
  if (has_scale(a->code)) {
    uint8_t* packed = scratch<uint8_t>(ctx, description.panels_at + panels_of(a->n) * description.panel_bytes);
    if (!packed) return 1;
    const ao_pack_weight_args pack = {
        packed,         a->codes,       a->scale,      a->zero,       a->code, a->n, a->k,    a->group_size,
        a->zero_domain, a->scale_dtype, a->zero_dtype, a->activation, 0,       a->n, a->bits, a->table};
    if (ao_cpu_pack_weight(&pack, ctx)) return 1;
    const Target target = {(const Packed*)packed, store};
    return run_linear(ctx, &target, 1, a->x, (int32_t)a->x_dtype, a->x_stride, a->m, {.eps = (float)a->act_eps});
  }
  const Term term = {
      {a->x, (int32_t)a->x_dtype, a->x_stride, false}, {a->codes, (int32_t)a->code, a->k, false}, nullptr, a->k};
  return run_product(ctx, &term, 1, a->m, store);
}
