// linear_packed: y_i = x . w_i^T + b_i for one to four packed weights that share x; y_0 may add a residual.
#include "gemm/codes.h"
#include "gemm/linear.h"
#include "gemm/skeleton.h"

namespace ao {

bool check_linear_dtypes(ao_ctx* ctx, const char* op, int64_t x_dtype, int64_t out_dtype, int64_t bias_dtype) {
  const auto is_float = [](int64_t d) { return d == AO_F32 || d == AO_F16 || d == AO_BF16; };
  if (is_float(x_dtype) && is_float(out_dtype) && is_float(bias_dtype)) return true;
  ao_fail(ctx, "%s: x is %s, out %s, bias %s; each takes float32, float16 or bfloat16", op, ao_dtype_name(x_dtype),
          ao_dtype_name(out_dtype), ao_dtype_name(bias_dtype));
  return false;
}

} // namespace ao

extern "C" int ao_cpu_linear_packed(const ao_linear_packed_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (a->count < 1 || a->count > 4)
    return ao_fail(ctx, "linear_packed: %lld weights; one call takes 1 to 4", (long long)a->count);
  if (!check_linear_dtypes(ctx, "linear_packed", a->x_dtype, a->out_dtype, a->bias_dtype)) return 1;
  const void* weights[] = {a->weight0, a->weight1, a->weight2, a->weight3};
  const void* biases[] = {a->bias0, a->bias1, a->bias2, a->bias3};
  void* outs[] = {a->out0, a->out1, a->out2, a->out3};
  const int64_t ns[] = {a->n0, a->n1, a->n2, a->n3}, strides[] = {a->stride0, a->stride1, a->stride2, a->stride3};
  Target targets[4];
  for (int i = 0; i < a->count; i++) {
    if (!check_packed(ctx, "linear_packed", weights[i], ns[i], a->k)) return 1;
    const Packed* w = (const Packed*)weights[i];
    const Packed* first = (const Packed*)weights[0];
    if (w->activation != first->activation ||
        (w->activation != AO_ACT_EXACT && (w->code != first->code || w->group != first->group)))
      return ao_fail(ctx,
                     "linear_packed: weight %d is %s with groups of %lld and activation mode %d, weight 0 is %s, %lld, "
                     "%d; weights of "
                     "one call share x in one form, so call it once for each",
                     i, weight_code_name(w->source), (long long)w->group, w->activation,
                     weight_code_name(first->source), (long long)first->group, first->activation);
    targets[i].w = w;
    targets[i].store = {biases[i],
                        i == 0 ? a->residual : nullptr,
                        outs[i],
                        a->residual_stride,
                        strides[i],
                        ns[i],
                        (int32_t)a->bias_dtype,
                        (int32_t)a->out_dtype};
  }
  const ActForm act = {(float)a->act_eps, (const float*)a->act_scale, (const int8_t*)a->act_zero,
                       (int32_t)a->act_flags};
  return run_linear(ctx, targets, (int)a->count, a->x, (int32_t)a->x_dtype, a->x_stride, a->m, act);
}
