// What a table's values are: integers, small floats (base/dtype.h), or anything; and the table as a weight holds it.
#pragma once
#include "base/dtype.h"
#include "gemm/packed.h"

namespace ao {

// The least magnitude (code without its sign bit) from which on values differ from those of a float with `exponent` bits; 2^(bits-1)
// where none does.
static inline int small_float_until(const float* table, int bits, int exponent) {
  const int half = 1 << (bits - 1), mantissa = bits - 1 - exponent;
  int m = 0;
  for (; m < half; m++)
    for (int code : {m, m + half})
      if (ao_bits(table[code]) != ao_bits(ao_from_small((uint32_t)code, exponent, mantissa))) return m;
  return m;
}

// Infinity and NaN are a few codes at the end.
static inline void recognize_table(Packed* w, const float* table) {
  const int count = 1 << w->bits, half = count / 2;
  bool is_signed = true, is_unsigned = true;
  for (int i = 0; i < count; i++) {
    is_signed &= table[i] == (float)((i ^ half) - half);
    is_unsigned &= table[i] == (float)i;
  }
  w->values = is_signed ? kSignedValues : is_unsigned ? kUnsignedValues : kAnyValues;
  for (int exponent = 1; w->values == kAnyValues && exponent < w->bits; exponent++) {
    const int until = small_float_until(table, w->bits, exponent);
    if (until < half - half / 16 - 1) continue;
    w->values = kSmallFloats;
    w->exponent_bits = exponent;
    w->special = until < half ? until : 0;
  }
}

// The values of 16 codes at least, repeated where there are fewer; null: those of integers in two's complement.
static inline void fill_table(Packed* w, const float* from, float* table) {
  const int count = 1 << w->bits, half = count / 2;
  w->halves = 1;
  for (int i = 0; i < (count < 16 ? 16 : count); i++) {
    const int code = i % count;
    table[i] = from ? from[code] : (float)((code ^ half) - half);
    if (ao_bits(table[i]) & 0xffff) w->halves = 0;
  }
  if (from) recognize_table(w, table);
}

} // namespace ao
