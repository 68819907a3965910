// Packed weights: one blob per matrix w [N, K] that serves linear, small batches and row gather, private to this backend.
// Rows: pack_weight, unpack_weight, linear_packed, gather_packed, and `linear` for weights that are not packed.
#pragma once
#include "ao/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

// How a weight's values are coded: the float dtypes by their ao_dtype code, AO_I8 (within `bits` bits, 0 = 8), AO_INT4 (two
// per byte, the low nibble is the even column, two's complement), or AO_TABLE: codes of `bits` bits, one a byte, that
// stand for what a table of 2^bits floats says.
enum { AO_INT4 = 16, AO_TABLE = 17 };

// Added to a code: of each four columns two are there. Codes are [n, k / 2], and meta, uint8 [n, k / 8], has for each four columns,
// from the low bits up, the two that are there in ascending order, two bits each. k and group_size count all columns. There is no
// zero point; integer activations are by token, and take int8 with a scale a row.
enum { AO_TWO_OF_FOUR = 256 };

// w = q * scale without a zero point; (q - zero) * scale; q * scale + zero, with a float one.
typedef enum ao_zero_domain { AO_ZERO_NONE = 0, AO_ZERO_INT = 1, AO_ZERO_FLOAT = 2 } ao_zero_domain;

// What linear does with x; see gemm/activation.h for the formulas.
typedef enum ao_activation {
  AO_ACT_EXACT = 0,          // float32 x times the decoded weight
  AO_ACT_INT8_GROUP = 1,     // symmetric int8 per min(32, group size) values
  AO_ACT_INT8_TOKEN = 2,     // symmetric int8 per row
  AO_ACT_INT8_TOKEN_ASYM = 3 // asymmetric int8 per row
} ao_activation;

// How a call of an int8-token mode departs from it.
typedef enum ao_act_flags {
  AO_ACT_REDUCED = 1,   // codes from -64 to 63: pairs of products fit 16 bits
  AO_ACT_ONE_SCALE = 2, // one scale for all rows of x
  AO_ACT_EXACT_ROW = 4, // one row of x is not quantized
  AO_ACT_ROW_SCALES = 8 // act_scale and act_zero have a value for each row of x
} ao_act_flags;

// Bytes of the blob for w [n, k], or -1 where pack_weight would refuse. scale_dtype and zero_dtype only count where the
// weight has them; float codes have neither. ISA independent.
int64_t AO_ROW(weight_packed_size)(int64_t code, int64_t n, int64_t k, int64_t group_size, int64_t zero_domain,
                                   int64_t scale_dtype, int64_t zero_dtype, int64_t bits, int64_t activation);

#ifdef __cplusplus
}
#endif
