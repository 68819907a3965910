#include "base/simd_map.h"
#include "base/simd_math.h"
#include "ops/elementwise.h"

namespace ao {
namespace AO_ISA_NS {

void unary_run(int op, int64_t dtype, void* out, const void* x, int64_t n) {
  const auto map = [&](auto fn) { map1(dtype, out, x, n, fn); };
  const vf zero = set1(0.0f), one = set1(1.0f);
  switch (op) {
  case NEG:
    return map([](vf v) { return (vf)((vi)v ^ set1i(INT32_MIN)); });
  case ABS:
    return map([](vf v) { return abs_(v); });
  case EXP:
    return map([](vf v) { return exp_(v); });
  case LOG:
    return map([](vf v) { return log_(v); });
  case SQRT:
    return map([](vf v) { return sqrt_(v); });
  case RSQRT:
    return map([=](vf v) { return one / sqrt_(v); });
  case RECIPROCAL:
    return map([=](vf v) { return one / v; });
  case SIN:
    return map([](vf v) { return sin_quarter(v, 0); });
  case COS:
    return map([](vf v) { return sin_quarter(v, 1); });
  case TANH:
    return map([](vf v) { return tanh_(v); });
  case SIGMOID:
    return map([](vf v) { return sigmoid_(v); });
  case SILU:
    return map([](vf v) { return silu_(v); });
  case GELU:
    return map([](vf v) { return gelu_(v); });
  case GELU_TANH:
    return map([](vf v) { return gelu_tanh_(v); });
  case RELU:
    return map([=](vf v) { return v <= zero ? zero : v; });
  case ROUND:
    return map([](vf v) { return round_(v); });
  case FLOOR:
    return map([](vf v) { return floor_(v); });
  case CEIL:
    return map([](vf v) { return ceil_(v); });
  case SIGN:
    return map([=](vf v) { return v > zero ? one : v < zero ? -one : v != v ? v : zero; });
  default:
    return map([](vf v) { return erf_(v); });
  }
}

void clamp_run(int64_t dtype, void* out, const void* x, int64_t n, float low, float high) {
  const vf lo = set1(low), hi = set1(high);
  map1(dtype, out, x, n, [=](vf v) {
    const vf raised = v < lo ? lo : v;
    return raised > hi ? hi : raised;
  });
}

void load_run(int64_t dtype, const void* x, float* out, int64_t n) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(n, [&](int64_t i, int count) { store_as(AO_F32, out, i, load_as(d, x, i, count), count); });
  });
}

void store_run(int64_t dtype, void* out, const float* x, int64_t n) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(n, [&](int64_t i, int count) { store_as(d, out, i, load_as(AO_F32, x, i, count), count); });
  });
}

} // namespace AO_ISA_NS
} // namespace ao
