// Vector loops of the elementwise ops over contiguous runs of float32, float16 or bfloat16 (float32 math, one rounding
// on store).
#pragma once
#include "base/isa.h"

namespace ao {

enum UnaryOp {
  NEG,
  ABS,
  EXP,
  LOG,
  SQRT,
  RSQRT,
  RECIPROCAL,
  SIN,
  COS,
  TANH,
  SIGMOID,
  SILU,
  GELU,
  GELU_TANH,
  RELU,
  ROUND,
  FLOOR,
  CEIL,
  SIGN,
  ERF,
  UNARY_OPS
};
enum BinaryOp {
  ADD,
  SUB,
  MUL,
  DIV,
  MAXIMUM,
  MINIMUM,
  POW,
  EQ,
  NE,
  LT,
  LE,
  GT,
  GE,
  LOGICAL_AND,
  LOGICAL_OR,
  BINARY_OPS
};

// An operand of a run: `stored` elements, or one float32 for all where stored is null.
struct Operand {
  const void* stored;
  float value;
};

} // namespace ao

AO_ISA_DECLARE(void, unary_run, (int op, int64_t dtype, void* out, const void* x, int64_t n))
AO_ISA_DECLARE(void, clamp_run, (int64_t dtype, void* out, const void* x, int64_t n, float low, float high))
// ADD .. POW: out has the dtype of the operands. EQ .. GE: out is bool.
AO_ISA_DECLARE(void, binary_run, (int op, int64_t dtype, void* out, ao::Operand a, ao::Operand b, int64_t n))
// Contiguous float32 <-> float16, bfloat16.
AO_ISA_DECLARE(void, load_run, (int64_t dtype, const void* x, float* out, int64_t n))
AO_ISA_DECLARE(void, store_run, (int64_t dtype, void* out, const float* x, int64_t n))
