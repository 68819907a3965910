// A packed weight w [N, K] on the device: codes | scales | zeros | table | meta | row sums, each part at a multiple of 256 bytes. What
// it is stands on the host beside the blob's address, so that nothing has to be read back.
// Codes: float ones as they came, [N][K]. Others in planes of 4, 2, 1 (or 8) bits that make up their b bits, low bits in the first
// plane, in chunks of 32 codes. 32 chunks (the last ones of a row: fewer) are a step: lane l has the columns first + 4 L r + 4 l ..
// + 3 for r = 0 .. 7, L the lanes of the step, so that a warp reads codes and x side by side. K is padded to 32 by the code 0.
#pragma once
#include <stdint.h>

#include "ao/kernel.h"
#include "ao/weights.h"
#include "base/host_device.h"

namespace ao {

// Numbers that codes stand for.
enum Values : int32_t {
  kFloats, // the codes are floats
  kSigned, // q in two's complement
  kTable,  // table[q]
};

struct Weight {
  const uint8_t* codes;
  const void* scale;
  const void* zero;
  const float* table;
  const uint8_t* meta;
  const float* sums; // of the decoded values of a row, for asymmetric activations
  int64_t n, k;      // k counts the columns that are there, of a 2:4 weight half of all
  int64_t group;     // columns that share a scale, counted as k is
  int64_t groups, row_bytes;
  int32_t source, bits, values; // source: AO_F32 .. AO_INT4, AO_TABLE, as given
  int32_t scale_dtype, zero_dtype, zero_domain, activation, sparse;
  AO_HD int64_t columns() const { return sparse ? 2 * k : k; }
};

// Offsets of the parts in a blob; bytes is its whole size, -1 with a reason where such a weight cannot be packed.
struct WeightLayout {
  Weight weight; // without addresses
  int64_t scale_at, zero_at, table_at, meta_at, sums_at, bytes;
  const char* refusal;
};
WeightLayout weight_layout(int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain, int64_t scale_dtype,
                           int64_t zero_dtype, int64_t bits, int64_t activation);

AO_HD inline int64_t chunks_of(int64_t k) { return (k + 31) / 32; }

// Which chunk column k is in, and which of its codes it is.
struct Place {
  int64_t chunk;
  int code;
};
AO_HD inline Place place_of(int64_t k, int64_t chunks) {
  const int64_t step = k / 1024, left = chunks - step * 32, lanes = left < 32 ? left : 32, within = k % 1024;
  return {step * 32 + within / 4 % lanes, static_cast<int>(within / (4 * lanes) * 4 + k % 4)};
}

// The bits of a code beside each other in planes: fn(width, shift, offset of the plane in units of `chunks` bytes).
template <class Fn>
AO_HD inline void each_plane(int bits, const Fn& fn) {
  int shift = 0, at = 0;
  for (int width : {8, 4, 2, 1}) {
    if (width == 8 ? bits != 8 : bits == 8 || !(bits & width)) continue;
    fn(width, shift, at);
    shift += width, at += 4 * width;
  }
}

// The code at column k of a row.
AO_HD inline uint32_t code_at(const uint8_t* row, int bits, int64_t k, int64_t chunks) {
  const Place place = place_of(k, chunks);
  uint32_t code = 0;
  each_plane(bits, [&](int width, int shift, int at) {
    const int bit = place.code * width;
    const uint8_t byte = row[at * chunks + place.chunk * 4 * width + bit / 8];
    code |= (static_cast<uint32_t>(byte) >> (bit % 8) & ((1u << width) - 1)) << shift;
  });
  return code;
}

} // namespace ao
