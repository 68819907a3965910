// scaled_mm and int_mm: products of float8 codes with scales, and of int8. Codes are decoded to float32, which is exact but for their
// scale, and meet in the float product; sums of int8 are exact over 1024 of k, then join as integers.
#include <algorithm>

#include "base/ctx.h"
#include "gemm/product.h"
#include "ops/check.h"
#include "ops/float8.h"
#include "ops/rows.h"

namespace ao {
namespace {

constexpr int64_t kExact = 1024; // 2^24 / 128^2

Store plain_store(void* out, int64_t n, int64_t dtype) {
  return {nullptr, nullptr, out, 0, n, n, AO_F32, (int32_t)dtype};
}

struct Codes {
  const void* data;
  const float* scale; // null: int8, as they are
  int64_t f8, rows, row, col;
  bool by_rows, divides;
};

void scale_all(float* v, int64_t n, float s, bool divides) {
  if (divides)
    for (int64_t i = 0; i < n; i++) v[i] /= s;
  else
    for (int64_t i = 0; i < n; i++) v[i] *= s;
}

void scale_each(float* v, int64_t n, const float* s, bool divides) {
  if (divides)
    for (int64_t i = 0; i < n; i++) v[i] /= s[i];
  else
    for (int64_t i = 0; i < n; i++) v[i] *= s[i];
}

// The values of codes as a side in scratch, in the order of their memory; data is null with the error recorded.
Side decoded(ao_ctx* ctx, const Codes& c, int64_t k) {
  const bool turned = c.col != 1;
  const int64_t lines = turned ? k : c.rows, length = turned ? c.rows : k, stride = turned ? c.col : c.row;
  float* values = scratch<float>(ctx, lines * length);
  if (!values) return {nullptr, AO_F32, length, turned};
  const auto decode = AO_ISA_PICK(ctx, float8_decode);
  parallel_for(ctx, lines, rows_per_chunk(length), [&](int64_t begin, int64_t end, int) {
    const float one = 1;
    for (int64_t i = begin; i < end; i++) {
      float* to = values + i * length;
      if (!c.scale) {
        const int8_t* from = (const int8_t*)c.data + i * stride;
        for (int64_t j = 0; j < length; j++) to[j] = from[j];
        continue;
      }
      decode(c.f8, (const uint8_t*)c.data + i * stride, length, &one, false, to);
      if (turned && c.by_rows)
        scale_each(to, length, c.scale, c.divides);
      else
        scale_all(to, length, c.scale[c.by_rows ? i : 0], c.divides);
    }
  });
  return {values, AO_F32, length, turned};
}

int check_strides(ao_ctx* ctx, const char* op, int64_t row, int64_t col) {
  if (row == 1 || col == 1) return 0;
  return ao_fail(ctx, "%s: strides %lld and %lld; one of them is 1", op, (long long)row, (long long)col);
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cpu_scaled_mm(const ao_scaled_mm_args* a, ao_ctx* ctx) {
  const char* op = "scaled_mm";
  if (need_float(ctx, op, a->out_dtype) || check_strides(ctx, op, a->a_row, a->a_col) ||
      check_strides(ctx, op, a->b_row, a->b_col))
    return 1;
  const bool divides = a->divides != 0;
  const Side left =
      decoded(ctx, {a->a, (const float*)a->a_scale, a->a_f8, a->m, a->a_row, a->a_col, a->a_rows != 0, divides}, a->k);
  const Side right =
      decoded(ctx, {a->b, (const float*)a->b_scale, a->b_f8, a->n, a->b_row, a->b_col, a->b_rows != 0, divides}, a->k);
  if (!left.data || !right.data) return 1;
  const Term term = {left, right, nullptr, a->k};
  return run_product(ctx, &term, 1, a->m, plain_store(a->out, a->n, a->out_dtype));
}

extern "C" int ao_cpu_int_mm(const ao_int_mm_args* a, ao_ctx* ctx) {
  const char* op = "int_mm";
  if (check_strides(ctx, op, a->a_row, a->a_col) || check_strides(ctx, op, a->b_row, a->b_col)) return 1;
  const Side left = decoded(ctx, {a->a, nullptr, 0, a->m, a->a_row, a->a_col, false, false}, a->k);
  const Side right = decoded(ctx, {a->b, nullptr, 0, a->n, a->b_row, a->b_col, false, false}, a->k);
  float* sums = scratch<float>(ctx, a->m * a->n);
  if (!left.data || !right.data || !sums) return 1;
  int32_t* out = (int32_t*)a->out;
  const auto from = [](Side s, int64_t k) {
    s.data = (const float*)s.data + (s.turned ? k * s.stride : k);
    return s;
  };
  for (int64_t k = 0; k == 0 || k < a->k; k += kExact) {
    const Term term = {from(left, k), from(right, k), nullptr, std::min(kExact, a->k - k)};
    if (run_product(ctx, &term, 1, a->m, plain_store(sums, a->n, AO_F32))) return 1;
    parallel_for(ctx, a->m, rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin * a->n; i < end * a->n; i++) out[i] = (k ? out[i] : 0) + (int32_t)sums[i];
    });
  }
  return 0;
}
