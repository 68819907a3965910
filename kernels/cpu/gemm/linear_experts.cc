// linear_experts: rows of x, each by the weight of the expert that was chosen for it: out[r] = x[r / per_x] . w[index[r]]^T.
// The rows of an expert are computed together, so a weight is read once, and one that nobody chose not at all.
#include <string.h>

#include "gemm/codes.h"
#include "gemm/linear.h"
#include "gemm/skeleton.h"

namespace ao {
namespace {

// The rows of expert e, in order; `rows` has room for all.
int64_t rows_of(const ao_linear_experts_args* a, int64_t e, int64_t* rows) {
  const int32_t* index = (const int32_t*)a->index;
  int64_t count = 0;
  for (int64_t r = 0; r < a->rows; r++)
    if (index[r] == e) rows[count++] = r;
  return count;
}

int run_expert(ao_ctx* ctx, const ao_linear_experts_args* a, const void* weight, const int64_t* rows, int64_t m,
               char* x, char* y) {
  if (!check_packed(ctx, "linear_experts", weight, a->n, a->k)) return 1;
  const int64_t from = a->k * ao_dtype_size(a->x_dtype), to = a->n * ao_dtype_size(a->out_dtype);
  const char* source = (const char*)a->x + rows[0] / a->per_x * from;
  char* target = (char*)a->out + rows[0] * to;
  if (m > 1) {
    for (int64_t i = 0; i < m; i++) memcpy(x + i * from, (const char*)a->x + rows[i] / a->per_x * from, from);
    source = x, target = y;
  }
  const Target one = {(const Packed*)weight,
                      {nullptr, nullptr, target, 0, a->n, a->n, (int32_t)a->x_dtype, (int32_t)a->out_dtype}};
  if (run_linear(ctx, &one, 1, source, (int32_t)a->x_dtype, a->k, m, {.eps = (float)a->act_eps})) return 1;
  if (m > 1)
    for (int64_t i = 0; i < m; i++) memcpy((char*)a->out + rows[i] * to, y + i * to, to);
  return 0;
}

} // namespace
} // namespace ao

extern "C" int ao_cpu_linear_experts(const ao_linear_experts_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (!check_linear_dtypes(ctx, "linear_experts", a->x_dtype, a->out_dtype, a->x_dtype)) return 1;
  if (a->count < 1 || a->count > 16 || a->per_x < 1)
    return ao_fail(ctx, "linear_experts: %lld weights, %lld rows for one of x; a call takes 1 to 16, and at least 1",
                   (long long)a->count, (long long)a->per_x);
  const int32_t* index = (const int32_t*)a->index;
  for (int64_t r = 0; r < a->rows; r++)
    if (index[r] < 0 || index[r] >= a->experts)
      return ao_fail(ctx, "linear_experts: expert %d of row %lld is outside the %lld experts", index[r], (long long)r,
                     (long long)a->experts);
  const void* weights[] = {a->weight0,  a->weight1,  a->weight2,  a->weight3, a->weight4,  a->weight5,
                           a->weight6,  a->weight7,  a->weight8,  a->weight9, a->weight10, a->weight11,
                           a->weight12, a->weight13, a->weight14, a->weight15};
  int64_t* rows = scratch<int64_t>(ctx, a->rows);
  char* x = scratch<char>(ctx, a->rows * a->k * ao_dtype_size(a->x_dtype));
  char* y = scratch<char>(ctx, a->rows * a->n * ao_dtype_size(a->out_dtype));
  if (!rows || !x || !y) return 1;
  for (int64_t i = 0; i < a->count; i++) {
    const int64_t m = rows_of(a, a->first + i, rows);
    if (m > 0 && run_expert(ctx, a, weights[i], rows, m, x, y)) return 1;
  }
  return 0;
}
