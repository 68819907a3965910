// The packed blob of a weight w [N, K]: a 128-byte header, the values of its codes where a table says them, then ceil(N / 16)
// panels of 16 rows, rows beyond N zero. A panel: codes | scales [groups][16] | zeros [groups][16] | row sums float32 [16]
// (int8, int4: sum over k of the decoded row), each part rounded up to 64 bytes. Of a 2:4 weight k and the groups count the columns
// that are there, and [columns / 32][16] words follow, of two bits for each of these: which of its four it is. The last of ceil(K / g) groups may be short.
// Scales and zeros keep the caller's bytes, so unpacking returns what was packed. Codes:
//   float32, float16  [K][16]
//   bfloat16          [K/2][16][2]            a 32-bit lane holds k (low half) and k + 1
//   table, b bits     [K/32] blocks of 64 b bytes, b = 1 .. 8 (gemm/planes.h)
//   int8              [K/4][16][4]            a lane holds k .. k + 3
//   int4              [K/8][16][4] bytes      low nibbles k .. k + 3, high nibbles k + 4 .. k + 7, stored as q + 8
// K is padded to what a lane needs (bfloat16 2, int8 and int4 8, table 32) with codes of value 0 (table: the code 0).
// In the exact mode integer codes are a table, in two's complement; the integer modes take those of fewer bits as int4 or int8.
#pragma once
#include <stdint.h>

#include "ao/ao.h"
#include "ao/weights.h"

namespace ao {

constexpr int kPanelRows = 16;
constexpr int64_t kHeaderBytes = 128;
constexpr uint32_t kPackedMagic = 0x776f6141; // "Aaow"
constexpr uint32_t kPackedVersion = 3;

// What kind of numbers a table holds, so that a decoder may compute them.
enum TableValues {
  kAnyValues,
  kSignedValues,   // q in two's complement
  kUnsignedValues, // q
  kSmallFloats,    // sign, exponent_bits, mantissa, except magnitudes from `special` on where that is not 0
};

struct Packed {
  uint32_t magic, version;
  int32_t code, zero_domain, scale_dtype, zero_dtype, activation;
  int32_t source;                               // the code that unpacking returns
  int32_t bits, values, exponent_bits, special; // of a table
  int32_t halves;                               // whether a bfloat16 holds every value of the table
  int32_t sparse;                               // two of each four columns are there
  int64_t n, k, group;
  int64_t scale_at, zero_at, sum_at, panel_bytes; // offsets in a panel
  int64_t panels_at;
};
static_assert(sizeof(Packed) <= kHeaderBytes, "the header holds the description");

static inline int64_t round_up_to(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
// Columns of the matrix, where k are those that are there; and those of a group.
static inline int64_t columns_of(const Packed* w) { return w->sparse ? 2 * w->k : w->k; }
static inline int64_t group_columns(const Packed* w) { return w->sparse ? 2 * w->group : w->group; }
static inline int64_t meta_bytes(int64_t columns) { return round_up_to(columns, 32) * 2; }
static inline int64_t panels_of(int64_t n) { return (n + kPanelRows - 1) / kPanelRows; }
static inline int64_t groups_of(const Packed* w) { return (w->k + w->group - 1) / w->group; }
static inline bool has_scale(int64_t code) { return code == AO_I8 || code == AO_INT4 || code == AO_TABLE; }
// The values of all codes, repeated up to 16 of them.
static inline const float* table_of(const Packed* w) { return (const float*)((const uint8_t*)w + kHeaderBytes); }
// Bytes of a row of codes as the caller has them.
int64_t source_row_bytes(const Packed* w);
static inline const uint8_t* panel_at(const Packed* w, int64_t panel) {
  return (const uint8_t*)w + w->panels_at + panel * w->panel_bytes;
}
// The words of a 2:4 panel.
static inline const uint8_t* meta_at(const Packed* w, const uint8_t* panel) {
  return panel + w->panel_bytes - meta_bytes(columns_of(w));
}

// Values of x that share one integer dot product and one scaling, in the integer modes.
static inline int64_t segment_of(const Packed* w) {
  return w->activation == AO_ACT_INT8_GROUP && w->group > 32 ? 32 : group_columns(w);
}

// How far ahead of its use a weight is fetched in the GEMV skeleton: the next panel, so that its scales are there too, unless
// that would not fit the first cache.
static inline int64_t fetch_distance(const Packed* w) { return w->panel_bytes < 16384 ? w->panel_bytes : 16384; }

// Fills the header; false with the reason written to err.
bool describe_packed(Packed* w, int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain,
                     int64_t scale_dtype, int64_t zero_dtype, int64_t activation, int64_t bits, char* err,
                     int err_size);
const char* weight_code_name(int64_t code);

} // namespace ao
