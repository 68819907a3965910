// argmax: out[o, i] = the j of the largest x[o, j, i] (least = 1: of the smallest), int32; x [outer, n, inner]
// contiguous, any float or integer dtype. The first of equals wins, and the first NaN wins over all, as in torch.
// topk: the k largest of each row of x [rows, n], descending; values [rows, k] and int32 indices [rows, k]. NaN counts
// as the largest, equals come with the lower index first.
#include "ops/argmax.h"

#include <math.h>

#include <algorithm>

#include "ops/check.h"
#include "ops/convert.h"
#include "ops/rows.h"

namespace {

constexpr int64_t kBlock = 256;

// The first j where x[j] is `value` (or NaN where value is).
int64_t find(int64_t dtype, const void* x, int64_t n, float value) {
  float block[kBlock];
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t count = n - at < kBlock ? n - at : kBlock;
    const float* v = block;
    if (dtype == AO_F32)
      v = static_cast<const float*>(x) + at;
    else
      ao::load_floats(dtype, ao::element(x, dtype, at), 1, block, count);
    int any = 0;
    for (int64_t i = 0; i < count; i++) any |= v[i] == value || v[i] != v[i];
    if (!any) continue;
    for (int64_t i = 0; i < count; i++)
      if (v[i] == value || (isnan(value) && isnan(v[i]))) return at + i;
  }
  return 0;
}

template <class T, class Load>
int64_t scan(int64_t dtype, const void* x, int64_t n, int64_t stride, bool least, const Load& load) {
  T block[kBlock], best{};
  int64_t index = -1;
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t count = n - at < kBlock ? n - at : kBlock;
    load(dtype, ao::element(x, dtype, at * stride), stride, block, count);
    for (int64_t i = 0; i < count; i++) {
      const T v = block[i];
      if (index >= 0 && best != best) return index;
      if (index < 0 || v != v || (least ? v < best : v > best)) best = v, index = at + i;
    }
  }
  return index;
}

} // namespace

int64_t ao::first_largest(ao_ctx* ctx, int64_t dtype, const void* x, int64_t n, bool least) {
  const auto run = AO_ISA_PICK(ctx, reduce_row);
  return find(dtype, x, n, static_cast<float>(run(least ? AMIN : AMAX, dtype, x, n)));
}

extern "C" int ao_cpu_argmax(const ao_argmax_args* a, ao_ctx* ctx) {
  if (ao::need_known(ctx, "argmax", a->dtype)) return 1;
  if (a->n == 0) return ao_fail(ctx, "argmax: the dimension is empty");
  if (a->n > INT32_MAX)
    return ao_fail(ctx, "argmax: %lld elements do not fit int32 indices", static_cast<long long>(a->n));
  int32_t* out = static_cast<int32_t*>(a->out);
  ao::parallel_for(ctx, a->outer * a->inner, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; p++) {
      const void* x = ao::element(a->x, a->dtype, p / a->inner * a->n * a->inner + p % a->inner);
      int64_t index;
      if (a->inner == 1 && ao::is_float(a->dtype)) {
        index = ao::first_largest(ctx, a->dtype, x, a->n, a->least);
      } else if (ao::is_float_dtype(a->dtype)) {
        index = scan<float>(a->dtype, x, a->n, a->inner, a->least, ao::load_floats);
      } else {
        index = scan<int64_t>(a->dtype, x, a->n, a->inner, a->least, ao::load_integers);
      }
      out[p] = static_cast<int32_t>(index);
    }
  });
  return 0;
}

extern "C" int ao_cpu_topk(const ao_topk_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "topk", a->dtype)) return 1;
  if (a->k < 1 || a->k > a->n || a->n > INT32_MAX)
    return ao_fail(ctx, "topk: k is %lld and the row has %lld elements; k takes 1..n", static_cast<long long>(a->k),
                   static_cast<long long>(a->n));
  float* values = ao::scratch<float>(ctx, a->n * ao_ctx_threads(ctx));
  int32_t* orders = ao::scratch<int32_t>(ctx, a->n * ao_ctx_threads(ctx));
  if (!values || !orders) return 1;
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int thread) {
    float* v = values + thread * a->n;
    int32_t* order = orders + thread * a->n;
    for (int64_t r = begin; r < end; r++) {
      ao::load_floats(a->dtype, ao::element(a->x, a->dtype, r * a->n), 1, v, a->n);
      for (int64_t i = 0; i < a->n; i++) order[i] = static_cast<int32_t>(i);
      const auto before = [v](int32_t p, int32_t q) {
        const bool pn = isnan(v[p]), qn = isnan(v[q]);
        if (pn != qn) return pn;
        return !pn && v[p] != v[q] ? v[p] > v[q] : p < q;
      };
      if (a->k < a->n) std::nth_element(order, order + a->k - 1, order + a->n, before);
      std::sort(order, order + a->k, before);
      for (int64_t i = 0; i < a->k; i++) {
        ao::store_floats(a->dtype, ao::element(a->values, a->dtype, r * a->k + i), 1, &v[order[i]], 1);
        static_cast<int32_t*>(a->indices)[r * a->k + i] = order[i];
      }
    }
  });
  return 0;
}
