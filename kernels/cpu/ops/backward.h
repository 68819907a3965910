// Vector loops of the backward ops over one contiguous row of float32, float16 or bfloat16: float32 math, one rounding on store, sums
// over AO_W lanes in an order that depends on the length of the row alone. What each computes opens the .cc of its op.
#pragma once
#include "base/isa.h"

namespace ao {
enum ActivationGrad { SILU_GRAD, GELU_GRAD, GELU_TANH_GRAD, ACTIVATION_GRADS };

// What the gradients of one row's norm go to, each null where it is not wanted.
struct NormGrads {
  void* dx;       // of the row's dtype
  float *dw, *db; // added to
};
} // namespace ao

AO_ISA_DECLARE(void, rms_norm_backward_row,
               (int64_t dtype, const ao::NormGrads& out, const void* g, const void* x, const void* weight, int64_t n,
                float eps, float offset))
AO_ISA_DECLARE(void, layer_norm_backward_row,
               (int64_t dtype, const ao::NormGrads& out, const void* g, const void* x, const void* weight, int64_t n,
                float eps))
// out[i] = sum over ascending p of parts[p * stride + i], in double.
AO_ISA_DECLARE(void, sum_parts,
               (int64_t dtype, void* out, const float* parts, int64_t count, int64_t stride, int64_t n))
AO_ISA_DECLARE(void, activation_backward_run,
               (int op, int64_t dtype, void* dx, const void* g, const void* x, int64_t n))
AO_ISA_DECLARE(void, silu_mul_backward_run,
               (int64_t dtype, void* dgate, void* dup, const void* g, const void* gate, const void* up, int64_t n))
AO_ISA_DECLARE(void, softmax_backward_row, (int64_t dtype, void* dx, const void* g, const void* y, int64_t n, int log))
// `row` has room for n floats rounded up to 16; it may be dx where dtype is float32.
AO_ISA_DECLARE(void, cross_entropy_backward_row,
               (int64_t dtype, void* dx, float g, const void* x, int64_t n, int64_t target, float* row))
// sum[i] += x[i], i < n
AO_ISA_DECLARE(void, add_row, (int64_t dtype, float* sum, const void* x, int64_t n))
// sum of x[i]^2, lanes in float32 over blocks of 1024, blocks in double
AO_ISA_DECLARE(double, sum_of_squares_run, (int64_t dtype, const void* x, int64_t n))
AO_ISA_DECLARE(void, scale_run, (int64_t dtype, void* x, float factor, int64_t n))
