// Where the code of row r (0..15) and column k of a panel lies, and what one decoded element is. Scalar: packing, unpacking
// and row gather share it.
#pragma once
#include <string.h>

#include "base/dtype.h"
#include "gemm/packed.h"

namespace ao {

// Byte offset in the panel's codes; for int4 of the byte that holds the nibble.
static inline int64_t code_offset(int32_t code, int64_t k, int r) {
  switch (code) {
  case AO_F32:
    return (k * kPanelRows + r) * 4;
  case AO_F16:
    return (k * kPanelRows + r) * 2;
  case AO_BF16:
    return (k / 2 * kPanelRows + r) * 4 + k % 2 * 2;
  case AO_I8:
    return (k / 4 * kPanelRows + r) * 4 + k % 4;
  default:
    return (k / 8 * kPanelRows + r) * 4 + k % 4;
  }
}
static inline int nibble_shift(int64_t k) { return k % 8 < 4 ? 0 : 4; }

static inline int panel_code(const uint8_t* codes, int32_t code, int64_t k, int r) {
  const uint8_t byte = codes[code_offset(code, k, r)];
  return code == AO_I8 ? (int8_t)byte : ((byte >> nibble_shift(k)) & 15) - 8;
}

static inline float load_float(int32_t dtype, const void* p, int64_t i) {
  if (dtype == AO_F32) return ((const float*)p)[i];
  if (dtype == AO_F8E8M0) return ao_from_f8e8m0(((const uint8_t*)p)[i]);
  if (dtype == AO_F8E4M3) return ao_from_f8e4m3(((const uint8_t*)p)[i]);
  return dtype == AO_BF16 ? ao_from_bf16(((const uint16_t*)p)[i]) : ao_from_f16(((const uint16_t*)p)[i]);
}

static inline void store_float(int32_t dtype, void* p, int64_t i, float x) {
  if (dtype == AO_F32)
    ((float*)p)[i] = x;
  else if (dtype == AO_BF16)
    ((uint16_t*)p)[i] = ao_to_bf16(x);
  else
    ((uint16_t*)p)[i] = ao_to_f16(x);
}

static inline float load_zero(int32_t dtype, const void* p, int64_t i) {
  if (dtype == AO_I8) return ((const int8_t*)p)[i];
  if (dtype == AO_U8) return ((const uint8_t*)p)[i];
  return load_float(dtype, p, i);
}

// Scale and zero point of a group of one row.
struct GroupParameters {
  float scale, zero;
};

static inline GroupParameters group_parameters(const Packed* w, const uint8_t* panel, int64_t group, int r) {
  const int64_t at = group * kPanelRows + r;
  GroupParameters p = {load_float(w->scale_dtype, panel + w->scale_at, at), 0};
  if (w->zero_domain != AO_ZERO_NONE) p.zero = load_zero(w->zero_dtype, panel + w->zero_at, at);
  return p;
}

// w = (q - z) s, or q s + z, each step rounded: the value the exact mode multiplies by.
static inline float decode_code(int32_t zero_domain, const GroupParameters& p, float q) {
  if (zero_domain == AO_ZERO_INT) return (q - p.zero) * p.scale;
  return zero_domain == AO_ZERO_FLOAT ? q * p.scale + p.zero : q * p.scale;
}

// Checks a blob handed in as a weight [n, k]; false with the error recorded.
bool check_packed(ao_ctx* ctx, const char* op, const void* packed, int64_t n, int64_t k);

} // namespace ao
