// Rows of codes with a scale of their own, as bytes: float32 s; where asymmetric float32 m; then the codes.
//   8 bits: int8 c,             value = s c          or s c + m
//   4 bits: 0 <= c <= 15,       value = s (c - 8)    or s c + m;   byte i holds c of value i (low half) and of i + n / 2
// A row of n values takes `row_bytes`. How values become codes: code_row_write. A row that holds NaN or infinity, or spans more
// than float32, reads as NaN throughout.
#pragma once
#include "base/ctx.h"
#include "base/host_device.h"
#include "base/isa.h"

namespace ao {

struct CodeRows {
  int bits;        // 8 or 4; 0 = these are no code rows
  bool asymmetric; // has m
  AO_HD int64_t header() const { return asymmetric ? 8 : 4; }
  AO_HD int64_t row_bytes(int64_t n) const { return header() + n * bits / 8; }
};

// No code rows at all, or of 8 bits, or of 4 and an even number of values.
inline int need_code_rows(ao_ctx* ctx, const char* op, CodeRows rows, int64_t n) {
  if (rows.bits == 0 || rows.bits == 8 || (rows.bits == 4 && n % 2 == 0)) return 0;
  return ao_fail(ctx, "%s: no rows of %lld codes of %d bits; they have 8 bits, or 4 and an even number of codes", op,
                 static_cast<long long>(n), rows.bits);
}

} // namespace ao

// Symmetric: s = max |x| / (2^(bits - 1) - 1), c = x / s. Asymmetric: s = (max - min) / (2^bits - 1), c counts from min.
// s is at least 2^-126; float32 steps, nearest even, the same bits on every instruction set.
AO_ISA_DECLARE(void, code_row_write, (ao::CodeRows rows, unsigned char* out, const float* x, int64_t n))
