// reduce: out[o, i] = f over j of x[o, j, i], x [outer, n, inner] and out [outer, inner] contiguous. Codes: 0 sum  1
// mean  2 amax  3 amin
// (NaN wins)  4 prod.  Float x gives a float out_dtype; integers and bool give int32 sums and products (low bits),
// float32 means, and keep their dtype for amax and amin (any and all of bool). An empty sum is 0, an empty prod 1,
// other empty ones errors.
// Float sums: float32 lanes within blocks of 1024 (256 rows where inner > 1), blocks in double in order; rows longer
// than 65536 are summed in segments of that size, each as its own row, so that threads do not change the result. prod
// runs in double.
#include <math.h>

#include "ops/check.h"
#include "ops/convert.h"
#include "ops/rows.h"

namespace {

constexpr int64_t kSegment = 65536, kColumns = 64, kBlock = 256;

double combine(int op, double a, double b) {
  switch (op) {
  case ao::AMAX:
    return isnan(a) ? a : isnan(b) || b > a ? b : a;
  case ao::AMIN:
    return isnan(a) ? a : isnan(b) || b < a ? b : a;
  case ao::PROD:
    return a * b;
  default:
    return a + b;
  }
}

double start(int op) { return op == ao::AMAX ? -INFINITY : op == ao::AMIN ? INFINITY : op == ao::PROD ? 1 : 0; }

double product(int64_t dtype, const void* x, int64_t stride, int64_t n) {
  double result = 1;
  float block[kBlock];
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t count = n - at < kBlock ? n - at : kBlock;
    ao::load_floats(dtype, ao::element(x, dtype, at * stride), stride, block, count);
    for (int64_t i = 0; i < count; i++) result *= block[i];
  }
  return result;
}

void store_double(int64_t dtype, void* out, int64_t at, int op, double value, int64_t n) {
  if (op == ao::MEAN) value /= static_cast<double>(n);
  const float rounded = static_cast<float>(value);
  ao::store_floats(dtype, ao::element(out, dtype, at), 1, &rounded, 1);
}

int reduce_rows(const ao_reduce_args* a, int op, ao_ctx* ctx) { // inner == 1
  const int64_t segments = a->n > kSegment ? (a->n + kSegment - 1) / kSegment : 1;
  double* partial = ao::scratch<double>(ctx, a->outer * segments);
  if (!partial) return 1;
  const auto run = AO_ISA_PICK(ctx, reduce_row);
  const int base = op == ao::MEAN ? ao::SUM : op;
  ao::parallel_for(ctx, a->outer * segments, ao::rows_per_chunk(a->n < kSegment ? a->n : kSegment),
                   [&](int64_t begin, int64_t end, int) {
                     for (int64_t p = begin; p < end; p++) {
                       const int64_t from = p % segments * kSegment,
                                     n = a->n - from < kSegment ? a->n - from : kSegment;
                       const void* x = ao::element(a->x, a->x_dtype, p / segments * a->n + from);
                       partial[p] = op == ao::PROD ? product(a->x_dtype, x, 1, n) : run(base, a->x_dtype, x, n);
                     }
                   });
  for (int64_t o = 0; o < a->outer; o++) {
    double value = start(base);
    for (int64_t s = 0; s < segments; s++) value = combine(base, value, partial[o * segments + s]);
    store_double(a->out_dtype, a->out, o, op, value, a->n);
  }
  return 0;
}

void reduce_inner(const ao_reduce_args* a, int op, ao_ctx* ctx) {
  const int64_t tiles = (a->inner + kColumns - 1) / kColumns;
  const auto run = AO_ISA_PICK(ctx, reduce_columns);
  ao::parallel_for(ctx, a->outer * tiles, ao::rows_per_chunk(a->n * kColumns), [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; p++) {
      const int64_t o = p / tiles, column = p % tiles * kColumns;
      const int count = static_cast<int>(a->inner - column < kColumns ? a->inner - column : kColumns);
      const int64_t at = o * a->n * a->inner + column;
      double values[kColumns];
      if (op == ao::PROD || a->n == 0) {
        for (int k = 0; k < count; k++)
          values[k] = op == ao::PROD ? product(a->x_dtype, ao::element(a->x, a->x_dtype, at + k), a->inner, a->n) : 0;
      } else {
        run(op == ao::MEAN ? ao::SUM : op, a->x_dtype, ao::element(a->x, a->x_dtype, at), a->n, a->inner, count,
            values);
      }
      for (int k = 0; k < count; k++)
        store_double(a->out_dtype, a->out, o * a->inner + column + k, op, values[k], a->n);
    }
  });
}

void reduce_integers(const ao_reduce_args* a, int op, ao_ctx* ctx) {
  ao::parallel_for(ctx, a->outer * a->inner, ao::rows_per_chunk(a->n), [&](int64_t begin, int64_t end, int) {
    int64_t block[kBlock];
    for (int64_t p = begin; p < end; p++) {
      const int64_t first = p / a->inner * a->n * a->inner + p % a->inner;
      uint64_t total = op == ao::PROD ? 1 : 0;
      int64_t extreme = op == ao::AMAX ? INT64_MIN : INT64_MAX;
      for (int64_t at = 0; at < a->n; at += kBlock) {
        const int64_t count = a->n - at < kBlock ? a->n - at : kBlock;
        ao::load_integers(a->x_dtype, ao::element(a->x, a->x_dtype, first + at * a->inner), a->inner, block, count);
        for (int64_t i = 0; i < count; i++) {
          if (op == ao::PROD)
            total *= static_cast<uint64_t>(block[i]);
          else
            total += static_cast<uint64_t>(block[i]);
          extreme = (op == ao::AMAX ? block[i] > extreme : block[i] < extreme) ? block[i] : extreme;
        }
      }
      void* out = ao::element(a->out, a->out_dtype, p);
      if (ao::is_float_dtype(a->out_dtype)) {
        const double value = op == ao::AMAX || op == ao::AMIN ? static_cast<double>(extreme)
                                                              : static_cast<double>(static_cast<int64_t>(total));
        store_double(a->out_dtype, a->out, p, op, value, a->n);
      } else {
        const int64_t value = op == ao::AMAX || op == ao::AMIN ? extreme : static_cast<int64_t>(total);
        ao::store_integers(a->out_dtype, out, 1, &value, 1);
      }
    }
  });
}

} // namespace

extern "C" int ao_cpu_reduce(const ao_reduce_args* a, ao_ctx* ctx) {
  const int op = static_cast<int>(a->op);
  if (a->op < 0 || a->op >= ao::REDUCE_OPS)
    return ao_fail(ctx, "reduce: code %lld is not known", static_cast<long long>(a->op));
  if (ao::need_known(ctx, "reduce", a->x_dtype) || ao::need_known(ctx, "reduce", a->out_dtype)) return 1;
  if (a->n == 0 && op != ao::SUM && op != ao::PROD)
    return ao_fail(ctx, "reduce: the dimension is empty; mean, amax and amin need elements");
  const bool floats = ao::is_float_dtype(a->x_dtype);
  if ((floats || op == ao::MEAN) && ao::need_float(ctx, "reduce", a->out_dtype)) return 1;
  if (!floats) return reduce_integers(a, op, ctx), 0;
  if (ao::need_float(ctx, "reduce", a->x_dtype)) return 1;
  if (a->inner == 1) return reduce_rows(a, op, ctx);
  return reduce_inner(a, op, ctx), 0;
}
