// linear: y = x . w^T + b (+ residual) for a weight in canonical form. Float weights are read in place as b^T of a matrix product;
// coded ones, and those that meet x in pairs, are packed to scratch and run as linear_packed does. Prepared and plain weights give the
// same bits.
#include "gemm/linear.h"

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
  if (has_scale(a->code) || meet_in_pairs(ctx, (int32_t)a->x_dtype, a->code)) {
    uint8_t* packed = scratch<uint8_t>(ctx, description.panels_at + panels_of(a->n) * description.panel_bytes);
    if (!packed) return 1;
    const ao_pack_weight_args pack = {
        packed,         a->codes,       a->scale,      a->zero,       a->code, a->n, a->k,    a->group_size,
        a->zero_domain, a->scale_dtype, a->zero_dtype, a->activation, 0,       a->n, a->bits, a->table};
    if (ao_cpu_pack_weight(&pack, ctx)) return 1;
    const Target target = {(const Packed*)packed, store};
    return run_linear(ctx, &target, 1, a->x, (int32_t)a->x_dtype, a->x_stride, a->m, {.eps = (float)a->act_eps});
  }
  Tiles tiles;
  if (!float_tiles(ctx, (int32_t)a->x_dtype, false, a->x, a->m, a->k, a->x_stride, AO_ISA_PICK(ctx, tile_height)(),
                   &tiles))
    return 1;
  const auto decode = AO_ISA_PICK(ctx, decode_strided);
  const auto finish = AO_ISA_PICK(ctx, store_rows);
  return !gemm_float(
      ctx, 1, a->m, a->k, panels_of(a->n), false,
      [&](int64_t, int64_t panel, int64_t k0, int64_t k1, float* room) {
        decode((int32_t)a->code, a->codes, 1, a->k, a->n, panel, k0, k1, room);
        return room;
      },
      [&](int64_t) { return tiles; },
      [&](int64_t, const float* acc, int64_t row, int64_t count, int64_t panel) {
        finish(acc, row, count, panel, store);
      });
}
