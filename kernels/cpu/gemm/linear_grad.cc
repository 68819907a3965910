// The gradients of y = x . w^T: of x, sum over n of g[m, n] w[n, k]; of w, sum over m of g[m, n] x[m, k].
#include <algorithm>

#include "base/ctx.h"
#include "gemm/codes.h"
#include "gemm/linear.h"
#include "gemm/product.h"

namespace ao {
namespace {

Store plain_store(void* out, int64_t n, int64_t dtype) {
  return {nullptr, nullptr, out, 0, n, n, AO_F32, (int32_t)dtype};
}

Term input_term(const void* g, int64_t g_dtype, const void* weight, int64_t n, int64_t k, int64_t code) {
  const bool packed = code < 0;
  return {{g, (int32_t)g_dtype, n, false},
          {packed ? nullptr : weight, packed ? (int32_t)AO_F32 : (int32_t)code, k, true},
          packed ? (const Packed*)weight : nullptr,
          n};
}

} // namespace
} // namespace ao

extern "C" int ao_cpu_linear_grad_input(const ao_linear_grad_input_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (a->count < 1 || a->count > kMostTerms)
    return ao_fail(ctx, "linear_grad_input: %lld weights; one call takes 1 to %d", (long long)a->count, kMostTerms);
  const void* gs[] = {a->g0, a->g1, a->g2, a->g3};
  const void* weights[] = {a->weight0, a->weight1, a->weight2, a->weight3};
  const int64_t ns[] = {a->n0, a->n1, a->n2, a->n3}, codes[] = {a->code0, a->code1, a->code2, a->code3};
  Term terms[kMostTerms];
  for (int i = 0; i < a->count; i++) {
    if (!check_linear_dtypes(ctx, "linear_grad_input", a->g_dtype, a->out_dtype,
                             codes[i] < 0 ? (int64_t)AO_F32 : codes[i]))
      return 1;
    if (codes[i] < 0 && !check_packed(ctx, "linear_grad_input", weights[i], ns[i], a->k)) return 1;
    terms[i] = input_term(gs[i], a->g_dtype, weights[i], ns[i], a->k, codes[i]);
  }
  return run_product(ctx, terms, (int)a->count, a->m, plain_store(a->out, a->k, a->out_dtype));
}

extern "C" int ao_cpu_linear_grad_input_coded(const ao_linear_grad_input_coded_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (!check_linear_dtypes(ctx, "linear_grad_input", a->g_dtype, a->out_dtype, AO_F32)) return 1;
  const int64_t size = ao_cpu_weight_packed_size(a->code, a->n, a->k, a->group_size, a->zero_domain, a->scale_dtype,
                                                 a->zero_dtype, a->bits, AO_ACT_EXACT);
  uint8_t* packed = scratch<uint8_t>(ctx, std::max<int64_t>(size, kHeaderBytes));
  if (!packed) return 1;
  const ao_pack_weight_args pack = {packed, a->codes,      a->scale,       a->zero,        a->code,       a->n,
                                    a->k,   a->group_size, a->zero_domain, a->scale_dtype, a->zero_dtype, AO_ACT_EXACT,
                                    0,      a->n,          a->bits,        a->table};
  if (ao_cpu_pack_weight(&pack, ctx)) return 1;
  const Term term = input_term(a->g, a->g_dtype, packed, a->n, a->k, -1);
  return run_product(ctx, &term, 1, a->m, plain_store(a->out, a->k, a->out_dtype));
}

extern "C" int ao_cpu_linear_grad_weight(const ao_linear_grad_weight_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (!check_linear_dtypes(ctx, "linear_grad_weight", a->g_dtype, a->out_dtype, a->x_dtype)) return 1;
  const Term term = {{a->g, (int32_t)a->g_dtype, a->n, true}, {a->x, (int32_t)a->x_dtype, a->k, true}, nullptr, a->m};
  return run_product(ctx, &term, 1, a->n, plain_store(a->out, a->k, a->out_dtype));
}
