// linear_packed, linear, linear_experts and linear_grad_input_coded (ao/weights.h): few rows of x on the weights as they are packed, more
// on a decoded weight and a dense product, integer activations on their own kernels.
#include "gemm/linear.h"
#include "libraries/sparse_lt.h"

namespace ao {
namespace {

bool check_dtypes(ao_ctx* ctx, const char* op, int64_t x_dtype, int64_t out_dtype, int64_t bias_dtype) {
  if (is_float(x_dtype) && is_float(out_dtype) && is_float(bias_dtype)) return true;
  ao_fail(ctx, "%s: x is %s, out %s, bias %s; each takes float32, float16 or bfloat16", op, ao_dtype_name(x_dtype),
          ao_dtype_name(out_dtype), ao_dtype_name(bias_dtype));
  return false;
}

int run_linear(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x, const ActForm& act) {
  if (x.m == 0) return 0;
  const bool exact = targets.at[0].w.activation == AO_ACT_EXACT || (x.m == 1 && (act.flags & AO_ACT_EXACT_ROW));
  if (!exact) return integer_rows(ctx, op, targets, count, x, act);
  for (int i = 0; i < count; i++) {
    const size_t used = ctx->used;
    const Weight& w = targets.at[i].w;
    if (few_rows_take(ctx, w, x)) {
      Targets same{};
      same.packed = targets.packed;
      int n = 0;
      for (; i + n < count && few_rows_take(ctx, targets.at[i + n].w, x); n++) same.at[n] = targets.at[i + n];
      if (few_rows(ctx, op, same, n, x)) return 1;
      i += n - 1;
      continue;
    }
    bool done = false;
    if (w.sparse && sparse_product(ctx, op, w, x, targets.at[i].store, &done)) return 1;
    if (done) continue;
    const bool plain = w.values == kFloats && !w.sparse;
    const int64_t dtype = plain ? w.source : x.dtype;
    const void* dense = plain ? w.codes : dense_weight(ctx, op, w, dtype);
    if (!dense) return 1;
    const Term term{{x.data, x.dtype, x.stride, 1}, {dense, dtype, w.columns(), 1}, w.columns()};
    if (run_product(ctx, op, &term, 1, x.m, targets.at[i].store)) return 1;
    if (ctx->used > used) ctx->used = used; // in order, so the next weight may lie where this one did
  }
  return 0;
}

__global__ void check_experts_kernel(const int32_t* index, int64_t rows, int64_t experts, Site site) {
  for (int64_t r = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; r < rows; r += int64_t{gridDim.x} * blockDim.x)
    if (index[r] < 0 || index[r] >= experts) report(site, kExpertOutside, index[r], r, experts);
}

int check_experts(ao_ctx* ctx, const char* op, const int32_t* index, int64_t rows, int64_t experts) {
  return launch(ctx, op, check_experts_kernel, blocks_for(ctx, rows), kThreads, 0, index, rows, experts, ctx->site);
}

// Packs a weight in canonical form to scratch.
bool pack_to_scratch(ao_ctx* ctx, const char* op, ao_pack_weight_args a, Weight* w) {
  const WeightLayout l =
      weight_layout(a.code, a.n, a.k, a.group_size, a.zero_domain, a.scale_dtype, a.zero_dtype, a.bits, a.activation);
  if (l.bytes < 0) return ao_fail(ctx, "%s: %s", op, l.refusal), false;
  a.packed = scratch_bytes(ctx, static_cast<size_t>(l.bytes));
  if (!a.packed) return false;
  *w = place_weight(l, a.packed);
  return pack_rows(ctx, &a, *w) == 0;
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_linear_packed(const ao_linear_packed_args* a, ao_ctx* ctx) {
  const char* op = "linear_packed";
  if (a->count < 1 || a->count > kMostTargets)
    return ao_fail(ctx, "linear_packed: %lld weights; one call takes 1 to 4", (long long)a->count);
  if (!check_dtypes(ctx, op, a->x_dtype, a->out_dtype, a->bias_dtype)) return 1;
  const void* weights[] = {a->weight0, a->weight1, a->weight2, a->weight3};
  const void* biases[] = {a->bias0, a->bias1, a->bias2, a->bias3};
  void* outs[] = {a->out0, a->out1, a->out2, a->out3};
  const int64_t ns[] = {a->n0, a->n1, a->n2, a->n3}, strides[] = {a->stride0, a->stride1, a->stride2, a->stride3};
  Targets targets{};
  targets.packed = true;
  for (int i = 0; i < a->count; i++) {
    const Weight* w = find_weight(ctx, op, weights[i], ns[i], a->k);
    if (!w) return 1;
    const Weight& first = i ? targets.at[0].w : *w;
    if (w->activation != first.activation ||
        (w->activation != AO_ACT_EXACT && (w->source != first.source || w->group != first.group)))
      return ao_fail(ctx, "linear_packed: weight %d takes x in another form than weight 0; call it once for each", i);
    targets.at[i] = {*w,
                     {biases[i], i == 0 ? a->residual : nullptr, outs[i], a->residual_stride, strides[i], ns[i],
                      static_cast<int32_t>(a->bias_dtype), static_cast<int32_t>(a->out_dtype)}};
  }
  const ActForm act{static_cast<float>(a->act_eps), static_cast<const float*>(a->act_scale),
                    static_cast<const int8_t*>(a->act_zero), a->act_flags};
  return run_linear(ctx, op, targets, static_cast<int>(a->count), {a->x, a->m, a->x_stride, a->x_dtype}, act);
}

extern "C" int ao_cuda_linear(const ao_linear_args* a, ao_ctx* ctx) {
  const char* op = "linear";
  if (!check_dtypes(ctx, op, a->x_dtype, a->out_dtype, a->bias_dtype)) return 1;
  if (a->m == 0 || a->n == 0) return 0;
  Targets targets{};
  Target& t = targets.at[0];
  t.store = {a->bias,
             a->residual,
             a->out,
             a->residual_stride,
             a->out_stride,
             a->n,
             static_cast<int32_t>(a->bias_dtype),
             static_cast<int32_t>(a->out_dtype)};
  if (is_float(a->code)) {
    t.w.codes = static_cast<const uint8_t*>(a->codes);
    t.w.n = a->n, t.w.k = t.w.group = a->k, t.w.groups = 1;
    t.w.source = static_cast<int32_t>(a->code), t.w.values = kFloats;
    t.w.row_bytes = a->k * ao_dtype_size(a->code);
  } else {
    const ao_pack_weight_args pack = {
        nullptr, a->codes,      a->scale,       a->zero,        a->code,       a->n,
        a->k,    a->group_size, a->zero_domain, a->scale_dtype, a->zero_dtype, a->activation,
        0,       a->n,          a->bits,        a->table,       nullptr};
    if (!pack_to_scratch(ctx, op, pack, &t.w)) return 1;
  }
  return run_linear(ctx, op, targets, 1, {a->x, a->m, a->x_stride, a->x_dtype},
                    {static_cast<float>(a->act_eps), nullptr, nullptr, 0});
}

extern "C" int ao_cuda_linear_experts(const ao_linear_experts_args* a, ao_ctx* ctx) {
  const char* op = "linear_experts";
  if (!check_dtypes(ctx, op, a->x_dtype, a->out_dtype, a->x_dtype)) return 1;
  if (a->count < 1 || a->count > kMostExperts || a->per_x < 1)
    return ao_fail(ctx, "linear_experts: %lld weights, %lld rows for one of x; a call takes 1 to 16, and at least 1",
                   (long long)a->count, (long long)a->per_x);
  if (a->rows == 0) return 0;
  const void* weights[] = {a->weight0,  a->weight1,  a->weight2,  a->weight3, a->weight4,  a->weight5,
                           a->weight6,  a->weight7,  a->weight8,  a->weight9, a->weight10, a->weight11,
                           a->weight12, a->weight13, a->weight14, a->weight15};
  Experts experts{};
  experts.index = static_cast<const int32_t*>(a->index);
  experts.first = a->first, experts.count = a->count, experts.per_x = a->per_x;
  for (int64_t i = 0; i < a->count; i++) {
    const Weight* w = find_weight(ctx, op, weights[i], a->n, a->k);
    if (!w) return 1;
    experts.at[i] = *w;
  }
  if (check_experts(ctx, op, experts.index, a->rows, a->experts)) return 1;
  const Rows x{a->x, ceil_div(a->rows, a->per_x), a->k, a->x_dtype};
  const Store store = plain_store(a->out, a->n, a->out_dtype);
  if (experts.at[0].activation == AO_ACT_EXACT) return few_rows_of_experts(ctx, op, experts, x, a->rows, store);
  return integer_rows_of_experts(ctx, op, experts, x, a->rows, store, static_cast<float>(a->act_eps));
}

extern "C" int ao_cuda_linear_grad_input_coded(const ao_linear_grad_input_coded_args* a, ao_ctx* ctx) {
  const char* op = "linear_grad_input_coded";
  if (!check_dtypes(ctx, op, a->g_dtype, a->out_dtype, AO_F32)) return 1;
  const ao_pack_weight_args pack = {nullptr, a->codes,      a->scale,       a->zero,        a->code,       a->n,
                                    a->k,    a->group_size, a->zero_domain, a->scale_dtype, a->zero_dtype, AO_ACT_EXACT,
                                    0,       a->n,          a->bits,        a->table,       nullptr};
  Weight w;
  if (!pack_to_scratch(ctx, op, pack, &w)) return 1;
  const void* dense = dense_weight(ctx, op, w, AO_F32);
  if (!dense) return 1;
  const Term term{{a->g, a->g_dtype, a->n, 1}, {dense, AO_F32, 1, a->k}, a->n};
  return run_product(ctx, op, &term, 1, a->m, plain_store(a->out, a->k, a->out_dtype));
}
