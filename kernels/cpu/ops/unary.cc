// unary: out[i] = f(x[i]), i < n, contiguous; out may be x. Floats compute in float32 and round once. Codes
// (ops/elementwise.h):
//   0 neg  1 abs  2 exp  3 log  4 sqrt  5 rsqrt  6 reciprocal  7 sin  8 cos  9 tanh  10 sigmoid  11 silu = x sigmoid(x)
//   12 gelu = x/2 (1 + erf(x/sqrt 2))  13 gelu_tanh = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))  14 relu (NaN
//   stays)
//   15 round (half to even)  16 floor  17 ceil  18 sign (NaN stays)  19 erf
// Integers take 0 neg, 1 abs, 14 relu, 18 sign in their low bits, and 15 to 17 as copies.
// clamp: out[i] = min(max(x[i], min), max), NaN stays NaN; an absent bound is an infinity.
#include <math.h>

#include "ops/check.h"
#include "ops/convert.h"
#include "ops/elementwise.h"

namespace {

constexpr int64_t kChunk = 1 << 14, kBlock = 256;

template <class Fn>
void map_integers(ao_ctx* ctx, int64_t dtype, void* out, const void* x, int64_t n, const Fn& fn) {
  ao::parallel_for(ctx, n, kChunk, [&](int64_t begin, int64_t end, int) {
    int64_t block[kBlock];
    for (int64_t at = begin; at < end; at += kBlock) {
      const int64_t count = end - at < kBlock ? end - at : kBlock;
      ao::load_integers(dtype, ao::element(x, dtype, at), 1, block, count);
      for (int64_t i = 0; i < count; i++) block[i] = fn(block[i]);
      ao::store_integers(dtype, ao::element(out, dtype, at), 1, block, count);
    }
  });
}

int64_t unary_integer(int64_t op, int64_t v) {
  switch (op) {
  case ao::NEG:
    return static_cast<int64_t>(-static_cast<uint64_t>(v));
  case ao::ABS:
    return v < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(v)) : v;
  case ao::RELU:
    return v < 0 ? 0 : v;
  case ao::SIGN:
    return (v > 0) - (v < 0);
  default:
    return v;
  }
}

} // namespace

extern "C" int ao_cpu_unary(const ao_unary_args* a, ao_ctx* ctx) {
  if (a->op < 0 || a->op >= ao::UNARY_OPS)
    return ao_fail(ctx, "unary: code %lld is not known", static_cast<long long>(a->op));
  if (ao::need_known(ctx, "unary", a->dtype)) return 1;
  if (!ao::is_float_dtype(a->dtype)) {
    const bool keeps =
        a->op == ao::NEG || a->op == ao::ABS || a->op == ao::RELU || (a->op >= ao::ROUND && a->op <= ao::SIGN);
    if (!keeps || a->dtype == AO_BOOL)
      return ao_fail(ctx, "unary: code %lld on %s; cast to float32 first", static_cast<long long>(a->op),
                     ao_dtype_name(a->dtype));
    map_integers(ctx, a->dtype, a->out, a->x, a->n, [op = a->op](int64_t v) { return unary_integer(op, v); });
    return 0;
  }
  if (ao::need_float(ctx, "unary", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, unary_run);
  ao::parallel_for(ctx, a->n, kChunk, [&](int64_t begin, int64_t end, int) {
    run(static_cast<int>(a->op), a->dtype, ao::element(a->out, a->dtype, begin), ao::element(a->x, a->dtype, begin),
        end - begin);
  });
  return 0;
}

extern "C" int ao_cpu_clamp(const ao_clamp_args* a, ao_ctx* ctx) {
  if (ao::need_known(ctx, "clamp", a->dtype)) return 1;
  if (!ao::is_float_dtype(a->dtype)) {
    const double low = ceil(a->min), high = floor(a->max);
    map_integers(ctx, a->dtype, a->out, a->x, a->n, [=](int64_t v) {
      const int64_t raised = static_cast<double>(v) < low ? ao::truncate(low) : v;
      return static_cast<double>(raised) > high ? ao::truncate(high) : raised;
    });
    return 0;
  }
  if (ao::need_float(ctx, "clamp", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, clamp_run);
  ao::parallel_for(ctx, a->n, kChunk, [&](int64_t begin, int64_t end, int) {
    run(a->dtype, ao::element(a->out, a->dtype, begin), ao::element(a->x, a->dtype, begin), end - begin,
        static_cast<float>(a->min), static_cast<float>(a->max));
  });
  return 0;
}
