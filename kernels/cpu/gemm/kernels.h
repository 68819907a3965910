// The per-ISA pieces of the GEMM and GEMV skeletons (gemm/isa/*.cc). A tile is some rows of x times one panel (16 columns of the
// output). Every output element is one chain over ascending k, whatever the tile: float32 fused multiply-adds of the decoded
// weight, or, in the integer modes, one fused multiply-add per segment, acc = dot * (sx * sw) + acc.
#pragma once
#include "base/isa.h"
#include "gemm/packed.h"

namespace ao {

// Where a result goes: y = acc + bias, rounded to out_dtype; then, with a residual, rounded sum of the two.
struct Store {
  const void* bias;     // [n] or null
  const void* residual; // [m, n] in out_dtype or null
  void* out;
  int64_t residual_stride, out_stride, n;
  int32_t bias_dtype, out_dtype;
};

// x in float32.
struct FloatRows {
  const float* x;
  int64_t stride;
};

// x quantized per row. Codes q [row][stride] have the form the ISA wants. For each segment of k, and each row: the scale s, the sum of
// the codes, that sum times the offset of the weight's operand, and times s in float32; these lie as [segment][rows].
// shift[row] = s * z of the asymmetric mode, else null.
struct IntRows {
  void* q;
  int64_t stride;
  float* s;
  int32_t* sum;
  int32_t* offset;
  float* total;
  float* shift;
  int64_t segment, segments, rows;
  int32_t between; // dtype that sums * sx round to before the weight's scale; -1 where both scales are one factor
};

constexpr int kFewRows = 4; // up to here the GEMV skeleton runs

} // namespace ao

// n values of a float dtype to float32.
AO_ISA_DECLARE(void, load_row, (int32_t dtype, const void* x, int64_t n, float* out))
// float32 rows [rows][16] of accumulators to column 16 * panel.
AO_ISA_DECLARE(void, store_rows, (const float* acc, int64_t row, int64_t rows, int64_t panel, const Store& store))

// Exact mode. float_rows: up to kFewRows rows, decoding in registers. decode_panel: columns [k0, k1) as [k1 - k0][16] float32, k0 a
// multiple of 8. float_tile: acc [rows][16] = (first ? 0 : acc) + x . panel.
AO_ISA_DECLARE(void, float_rows,
               (const Packed* w, int64_t panel, const FloatRows& x, int64_t row, int64_t rows, const Store& store))
AO_ISA_DECLARE(void, decode_panel, (const Packed* w, int64_t panel, int64_t k0, int64_t k1, float* out))
AO_ISA_DECLARE(void, float_tile,
               (const float* panel, int64_t k, const float* x, int64_t stride, int64_t rows, float* acc, bool first))

// Integer modes. int_rows: up to kFewRows rows from the packed codes. widen_panel turns a panel's codes into operands once for
// int_tile, which takes any number of rows.
AO_ISA_DECLARE(int64_t, int_code_bytes, (int32_t code))            // of one code of x
AO_ISA_DECLARE(int64_t, int_wide_bytes, (int32_t code, int64_t k)) // of a widened panel
AO_ISA_DECLARE(void, quantize_row,
               (const Packed* w, int32_t dtype, float eps, const float* x, const IntRows& out, int64_t row,
                int8_t* codes))
AO_ISA_DECLARE(void, int_rows,
               (const Packed* w, int64_t panel, const IntRows& x, int64_t row, int64_t rows, const Store& store))
AO_ISA_DECLARE(void, widen_panel, (const Packed* w, int64_t panel, uint8_t* wide))
AO_ISA_DECLARE(void, int_tile,
               (const Packed* w, int64_t panel, const uint8_t* wide, const IntRows& x, int64_t row, int64_t rows,
                const Store& store))
AO_ISA_DECLARE(void, decode_strided,
               (int32_t dtype, const void* b, int64_t row, int64_t col, int64_t n, int64_t panel, int64_t k0,
                int64_t k1, float* out))
