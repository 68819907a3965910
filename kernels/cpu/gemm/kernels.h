// The per-ISA pieces of the GEMM and GEMV skeletons (gemm/isa/*.cc). A tile is some rows of x times one panel (16 columns of the
// output). Every output element is one chain over ascending k, whatever the tile: fused multiply-adds of the decoded weight in
// float32 or of bfloat16 pairs, or, in the integer modes, exact dot products joined as gemm/isa/int_sums.cc says.
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

// x as the kernels read it: tiles of `height` rows, each [units][height]. A unit is 32 bits of one row: a float32, two bfloat16, four
// int8 codes, or two int16 codes where the ISA multiplies those. With one row that is the row itself.
struct Tiles {
  const uint32_t* units;
  int64_t count; // units of a row
  int64_t height;
  const uint32_t* at(int64_t row) const { return units + row / height * height * count + row % height; }
};

// x quantized per row, its codes in tiles. For each segment of k, and each row: the scale s, the sum of the codes, and that sum times
// minus the offset of the weight's operand; for each group total, the sum of x. These lie as [segment][rows]. In the token modes s
// [rows] is the row's, and total counts codes.
struct TokenForm;
struct IntRows {
  Tiles tiles;
  float* s;
  int32_t* sum;
  int32_t* offset;
  float* total;
  float* shift; // s * z of the asymmetric mode, else null
  int64_t segment, segments, rows;
  bool token;
  bool reduced;           // codes from -64 to 63
  const TokenForm* forms; // one a row, or null to find each row's own
  bool given;             // forms were known beforehand: its codes are float32 steps
  int32_t between; // dtype that sums * sx round to before the weight's scale; -1 where nothing is rounded between
};

// What waits between two blocks of k: per row and column of a panel, the result so far and the open group's part of it; [panel][row][16],
// panels `stride` values apart.
struct IntState {
  float *sums, *group;
  int64_t stride;
};

constexpr int kFewRows = 4; // up to here the GEMV skeleton runs

} // namespace ao

// n values of a float dtype to float32.
AO_ISA_DECLARE(void, load_row, (int32_t dtype, const void* x, int64_t n, float* out))
// float32 rows [rows][16] of accumulators to column 16 * panel.
AO_ISA_DECLARE(void, store_rows, (const float* acc, int64_t row, int64_t rows, int64_t panel, const Store& store))

AO_ISA_DECLARE(int64_t, tile_height, ()) // of x in the GEMM skeleton
// out[unit][height] from `rows` rows of `count` units; rows beyond `rows` are left alone.
AO_ISA_DECLARE(void, interleave_rows,
               (const uint32_t* const* from, int64_t rows, int64_t count, int64_t height, uint32_t* out))

// Rows k of [count][n] values, `stride` apart, as groups of `width` neighbours: out[group][unit][width], groups `apart` units from each
// other, zeros beyond n. A unit is a value as float32 or, in pairs, the bfloat16 of rows 2 u and 2 u + 1.
AO_ISA_DECLARE(void, spread_rows,
               (int32_t dtype, bool pairs, const void* from, int64_t stride, int64_t count, int64_t n, int64_t width,
                uint32_t* out, int64_t apart))
// Rows [row, row + count) and columns [column, column + n) of a packed weight as spread_rows has them for width 16; row and column are
// multiples of 16, room takes 16 float32 for each column.
AO_ISA_DECLARE(void, decode_turned,
               (const Packed* w, bool pairs, int64_t row, int64_t count, int64_t column, int64_t n, float* room,
                uint32_t* out, int64_t apart))

// Exact mode. float_rows: up to kFewRows rows and neighbouring panels, decoding in registers; pairs says that x is bfloat16 pairs, which takes a bfloat16
// weight. decode_panel: columns [k0, k1) as [k1 - k0][16] float32, k0 a multiple of 8. float_tile: acc [panel][row][16] = (first ? 0 :
// acc) + panel . x, for up to two panels, the tiles of `rows` rows from `row` on and units [u0, u0 + count); in pairs a panel is the
// packed one. Rows beyond the last of a tile are computed too.
AO_ISA_DECLARE(bool, multiplies_pairs, ())
AO_ISA_DECLARE(void, float_rows,
               (const Packed* w, int64_t panel, int64_t panels, const Tiles& x, bool pairs, int64_t rows,
                const Store& store))
AO_ISA_DECLARE(void, decode_panel, (const Packed* w, int64_t panel, int64_t k0, int64_t k1, float* out))
// Of a 2:4 weight: the columns that are there as decode_panel has all of them; and the units [u0, u1) of pairs as a packed panel has
// them, zeros among them.
AO_ISA_DECLARE(void, decode_kept, (const Packed* w, int64_t panel, int64_t c0, int64_t c1, float* out))
AO_ISA_DECLARE(void, spread_pairs, (const Packed* w, int64_t panel, int64_t u0, int64_t u1, float* out))
AO_ISA_DECLARE(void, float_tile,
               (const void* const* panel, int64_t panels, bool pairs, int64_t u0, int64_t count, const Tiles& x,
                int64_t row, int64_t rows, float* acc, int64_t stride, bool first))

// Integer modes. int_rows: up to kFewRows rows from the packed codes. int_tile: columns [k0, k1) of up to two neighbouring panels
// for the tiles of `rows` rows from `row` on, k0 at the start of a segment, from the codes widen_panel made where wide_bytes(w, k) > 0
// of them are wanted. `first` starts the state, int_finish turns it into output.
AO_ISA_DECLARE(int64_t, units_per_quad, (int32_t code)) // 32-bit units of four codes of x
AO_ISA_DECLARE(int64_t, wide_bytes, (const Packed* w, int64_t k))
AO_ISA_DECLARE(void, quantize_row,
               (const Packed* w, int32_t dtype, float eps, const float* x, const IntRows& out, int64_t row,
                int8_t* codes, uint32_t* units))
AO_ISA_DECLARE(void, int_rows,
               (const Packed* w, int64_t panel, int64_t panels, const IntRows& x, int64_t rows, const Store& store))
AO_ISA_DECLARE(void, widen_panel, (const Packed* w, int64_t panel, int64_t k0, int64_t k1, uint8_t* wide))
AO_ISA_DECLARE(void, int_tile,
               (const Packed* w, int64_t panel, int64_t panels, const uint8_t* const* wide, int64_t k0, int64_t k1,
                const IntRows& x, int64_t row, int64_t rows, const IntState& state, bool first))
AO_ISA_DECLARE(void, int_finish,
               (const Packed* w, int64_t panel, int64_t panels, const IntRows& x, int64_t row, int64_t rows,
                const IntState& state, const Store& store))
AO_ISA_DECLARE(void, decode_strided,
               (int32_t dtype, const void* b, int64_t row, int64_t col, int64_t n, int64_t panel, int64_t k0,
                int64_t k1, float* out))
