// Which kernel takes a few rows of x times weights as they are packed: tensor cores where the weight's form has a kernel (fragment.h), the
// float32 one for all else.
#include "gemm/fragment.h"
#include "gemm/linear.h"
#include "libraries/blas.h"

namespace ao {
namespace {

// Weights of one form and kind of numbers, group size and zero domain go in one launch.
bool alike(const Weight& a, const Weight& b, int64_t dtype) {
  return form_of(a, dtype) == form_of(b, dtype) && a.values == b.values && a.exponent_bits == b.exponent_bits &&
         a.group == b.group && a.zero_domain == b.zero_domain && a.scale_dtype == b.scale_dtype &&
         a.zero_dtype == b.zero_dtype;
}

} // namespace

bool few_rows_take(ao_ctx* ctx, const Weight& w, const Rows& x) {
  // cuBLASLt is the faster one for plain weights from three rows on
  const bool plain = w.values == kFloats && !w.sparse && w.source == x.dtype && x.dtype != AO_F32;
  if (plain && x.m > 2 && w.k % 8 == 0 && x.stride % 8 == 0 && has_blas(ctx)) return false;
  return x.m <= kAnyRows || gemv_takes(ctx, w, x) || batch_takes(w, x);
}

int few_rows(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x) {
  for (int first = 0; first < count;) {
    Targets some{};
    some.packed = targets.packed;
    int n = 0;
    const Weight& w = targets.at[first].w;
    for (int i = first; i < count && alike(targets.at[i].w, w, x.dtype); i++) some.at[n++] = targets.at[i];
    if (gemv_takes(ctx, w, x) ? gemv(ctx, op, some, n, x)
        : batch_takes(w, x)   ? batch(ctx, op, some, n, x)
                              : any_rows(ctx, op, some, n, x))
      return 1;
    first += n;
  }
  return 0;
}

int few_rows_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                        const Store& store) {
  if (rows > 65535) return ao_fail(ctx, "%s: %lld rows; the GPU takes 65535", op, (long long)rows);
  for (int64_t i = 1; i < experts.count; i++)
    if (!alike(experts.at[i], experts.at[0], x.dtype) || experts.at[i].bits != experts.at[0].bits)
      return ao_fail(ctx, "%s: experts of different formats", op);
  Rows one = x;
  one.m = 1;
  return gemv_takes(ctx, experts.at[0], one) ? gemv_of_experts(ctx, op, experts, x, rows, store)
                                             : any_rows_of_experts(ctx, op, experts, x, rows, store);
}

} // namespace ao
