// Scalar functions of the elementwise kernels, by the codes of kernels/cpu/ops/elementwise.h.
#pragma once
#include <math.h>

#include "ops/elementwise.h"

namespace ao {

__device__ inline float sigmoid(float x) {
  const float z = expf(-fabsf(x));
  return x != x ? x : (x >= 0 ? 1.0f : z) / (1.0f + z);
}

__device__ inline float silu(float x) {
  const float z = expf(-fabsf(x)), y = (x >= 0 ? x : x * z) / (1.0f + z);
  return x == -INFINITY ? -0.0f : x != x ? x : y;
}

// The same to 2^-17, for what is rounded to 16 bits.
__device__ inline float near_quotient(float x, float y) {
#if defined(__CUDA_ARCH__)
  return __fdividef(x, y);
#else
  return x / y;
#endif
}
__device__ inline float near_exp(float x) {
#if defined(__CUDA_ARCH__)
  return __expf(x);
#else
  return expf(x);
#endif
}
__device__ inline float near_sigmoid(float x) {
  const float z = near_exp(-fabsf(x));
  return near_quotient(x >= 0 ? 1.0f : z, 1.0f + z); // NaN stays: z is one
}
__device__ inline float near_silu(float x) {
  const float z = near_exp(-fabsf(x)), y = near_quotient(x >= 0 ? x : x * z, 1.0f + z);
  return x == -INFINITY ? -0.0f : y;
}

// x/2 erfc(-x / sqrt 2): the tail keeps its relative accuracy.
__device__ inline float gelu(float x) { return x == -INFINITY ? -0.0f : 0.5f * x * erfcf(-x * 0.70710678118654752f); }

__device__ inline float gelu_tanh(float x) {
  const float v = 1.5957691216057308f * fmaf(x * x * x, 0.044715f, x);
  return x == -INFINITY ? -0.0f : x * sigmoid(v);
}

__device__ inline float unary_float(int op, float v) {
  switch (op) {
  case NEG:
    return -v;
  case ABS:
    return fabsf(v);
  case EXP:
    return expf(v);
  case LOG:
    return logf(v);
  case SQRT:
    return sqrtf(v);
  case RSQRT:
    return 1.0f / sqrtf(v);
  case RECIPROCAL:
    return 1.0f / v;
  case SIN:
    return sinf(v);
  case COS:
    return cosf(v);
  case TANH:
    return tanhf(v);
  case SIGMOID:
    return sigmoid(v);
  case SILU:
    return silu(v);
  case GELU:
    return gelu(v);
  case GELU_TANH:
    return gelu_tanh(v);
  case RELU:
    return v <= 0 ? 0.0f : v;
  case ROUND:
    return nearbyintf(v);
  case FLOOR:
    return floorf(v);
  case CEIL:
    return ceilf(v);
  case SIGN:
    return v > 0 ? 1.0f : v < 0 ? -1.0f : v != v ? v : 0.0f;
  default:
    return erff(v);
  }
}

__device__ inline int64_t unary_integer(int op, int64_t v) {
  switch (op) {
  case NEG:
    return static_cast<int64_t>(-static_cast<uint64_t>(v));
  case ABS:
    return v < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(v)) : v;
  case RELU:
    return v < 0 ? 0 : v;
  case SIGN:
    return (v > 0) - (v < 0);
  default:
    return v;
  }
}

// What a comparison or a logical operation says, 0 or 1.
template <class T>
__device__ inline bool compare(int op, T a, T b) {
  switch (op) {
  case EQ:
    return a == b;
  case NE:
    return a != b;
  case LT:
    return a < b;
  case LE:
    return a <= b;
  case GT:
    return a > b;
  case GE:
    return a >= b;
  case LOGICAL_AND:
    return a != 0 && b != 0;
  default:
    return a != 0 || b != 0;
  }
}

__device__ inline float binary_float(int op, float a, float b) {
  switch (op) {
  case ADD:
    return a + b;
  case SUB:
    return a - b;
  case MUL:
    return a * b;
  case DIV:
    return a / b;
  case MAXIMUM:
    return a != a ? a : b != b ? b : a > b ? a : b;
  case MINIMUM:
    return a != a ? a : b != b ? b : a < b ? a : b;
  case POW:
    return b == 2.0f
               ? a * a
               : static_cast<float>(pow(static_cast<double>(a), static_cast<double>(b))); // CUDA's powf is 4 ulps off
  default:
    return compare(op, a, b);
  }
}

__device__ inline int64_t integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
  uint64_t result = 1, factor = static_cast<uint64_t>(base);
  for (; exponent; exponent >>= 1, factor *= factor)
    if (exponent & 1) result *= factor;
  return static_cast<int64_t>(result);
}

__device__ inline int64_t binary_integer(int op, int64_t a, int64_t b) {
  const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  switch (op) {
  case ADD:
    return static_cast<int64_t>(x + y);
  case SUB:
    return static_cast<int64_t>(x - y);
  case MUL:
    return static_cast<int64_t>(x * y);
  case MAXIMUM:
    return a > b ? a : b;
  case MINIMUM:
    return a < b ? a : b;
  case POW:
    return integer_power(a, b);
  default:
    return compare(op, a, b);
  }
}

// d/dx x sigmoid(x) = s (1 + x (1 - s)), of which x beyond 88 changes nothing.
__device__ inline float silu_slope(float x, float s) {
  const float a = x > 88.0f ? 88.0f : x < -88.0f ? -88.0f : x;
  return s * fmaf(a, 1.0f - s, 1.0f);
}

// f' of silu, gelu and gelu_tanh; kernels/cpu/ops/activation_backward.cc.
__device__ inline float activation_slope(int op, float x) {
  if (op == 0) return silu_slope(x, sigmoid(x));
  const float a = x > 19.0f ? 19.0f : x < -19.0f ? -19.0f : x; // NaN stays
  if (op == 1) return fmaf(a, expf(a * a * -0.5f) * 0.3989422804014327f, 0.5f * erfcf(-a * 0.70710678118654752f));
  const float square = a * a, two_root = 1.5957691216057308f;
  const float s = sigmoid(two_root * fmaf(square * a, 0.044715f, a));
  return fmaf(a * (two_root * fmaf(square, 0.134145f, 1.0f)), s * (1.0f - s), s);
}

} // namespace ao
