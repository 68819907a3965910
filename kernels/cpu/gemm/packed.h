// The packed blob of a weight w [N, K]: a 128-byte header, then ceil(N / 16) panels of 16 rows, rows beyond N zero.
// A panel: codes | scales [K/g][16] | zeros [K/g][16] | row sums float32 [16] (integer codes: sum over k of the decoded row),
// each part rounded up to 64 bytes. Scales and zeros keep the caller's bytes, so unpacking returns what was packed. Codes:
//   float32, float16  [K][16]
//   bfloat16          [K/2][16][2]            a 32-bit lane holds k (low half) and k + 1
//   int8              [K/4][16][4]            a lane holds k .. k + 3
//   int4              [K/8][16][4] bytes      low nibbles k .. k + 3, high nibbles k + 4 .. k + 7, stored as q + 8
// K is padded to what a lane needs (bfloat16 2, int8 and int4 8) with codes of value 0.
#pragma once
#include <stdint.h>

#include "ao/ao.h"
#include "ao/weights.h"

namespace ao {

constexpr int kPanelRows = 16;
constexpr int64_t kHeaderBytes = 128;
constexpr uint32_t kPackedMagic = 0x776f6141; // "Aaow"
constexpr uint32_t kPackedVersion = 1;

struct Packed {
  uint32_t magic, version;
  int32_t code, zero_domain, scale_dtype, zero_dtype, activation, reserved;
  int64_t n, k, group;
  int64_t scale_at, zero_at, sum_at, panel_bytes; // offsets in a panel
};
static_assert(sizeof(Packed) <= kHeaderBytes, "the header holds the description");

static inline int64_t round_up_to(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
static inline int64_t panels_of(int64_t n) { return (n + kPanelRows - 1) / kPanelRows; }
static inline int64_t groups_of(const Packed* w) { return w->k / w->group; }
static inline bool has_scale(int64_t code) { return code == AO_I8 || code == AO_INT4; }
static inline const uint8_t* panel_at(const Packed* w, int64_t panel) {
  return (const uint8_t*)w + kHeaderBytes + panel * w->panel_bytes;
}

// Values of x that share one integer dot product and one scaling, in the integer modes.
static inline int64_t segment_of(const Packed* w) {
  return w->activation == AO_ACT_INT8_GROUP && w->group > 32 ? 32 : w->group;
}

// How far ahead of its use a weight is fetched in the GEMV skeleton: the next panel, so that its scales are there too, unless
// that would not fit the first cache.
static inline int64_t fetch_distance(const Packed* w) { return w->panel_bytes < 16384 ? w->panel_bytes : 16384; }

// Fills the header; false with the reason written to err.
bool describe_packed(Packed* w, int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain,
                     int64_t scale_dtype, int64_t zero_dtype, int64_t activation, char* err, int err_size);
const char* weight_code_name(int64_t code);

} // namespace ao
