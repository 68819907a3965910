// Vector loops over one contiguous row of float32, float16 or bfloat16. Sums run over AO_W lanes in a fixed order that
// depends on the length of the row alone.
#pragma once
#include "base/isa.h"

namespace ao {
enum ReduceOp { SUM, MEAN, AMAX, AMIN, PROD, REDUCE_OPS };
}

// `row` has room for n floats rounded up to 16; it may be out where dtype is float32.
AO_ISA_DECLARE(void, softmax_row, (int64_t dtype, void* out, const void* x, int64_t n, int log, float* row))
// log(sum(exp(x))), and x[target]
AO_ISA_DECLARE(double, log_sum_exp_row, (int64_t dtype, const void* x, int64_t n))
AO_ISA_DECLARE(void, rms_norm_row,
               (int64_t dtype, void* out, const void* x, const void* weight, int64_t n, float eps, float offset))
AO_ISA_DECLARE(void, layer_norm_row,
               (int64_t dtype, void* out, const void* x, const void* weight, const void* bias, int64_t n, float eps))
AO_ISA_DECLARE(void, silu_mul_row, (int64_t dtype, void* out, const void* gate, const void* up, int64_t n))
// SUM in blocks of 1024 (lanes in float32, blocks in double); AMAX and AMIN, where NaN wins.
AO_ISA_DECLARE(double, reduce_row, (int op, int64_t dtype, const void* x, int64_t n))
// The same down `n` rows that are `stride` elements apart, for `count` <= 64 columns; SUM takes blocks of 256 rows.
AO_ISA_DECLARE(void, reduce_columns,
               (int op, int64_t dtype, const void* x, int64_t n, int64_t stride, int count, double* out))
// out = x cos - rotate_half(x) sin over `half` pairs, both halves.
AO_ISA_DECLARE(void, rope_row,
               (int64_t dtype, void* out, const void* x, const float* cos, const float* sin, int64_t half))
