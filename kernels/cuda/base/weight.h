// A packed weight w [N, K] on the device: codes | scales | zeros | table | meta | odd rows | row sums, each part at a multiple of 16 bytes. What
// it is stands on the host beside the blob's address, so that nothing has to be read back.
// Codes: float ones as they came, [N][K]. Others in tiles of 16 rows and 64 columns, [N / 16][K / 64], padded by the code of 0: what each
// lane of a warp multiplies by tensor cores (base/mma.h), side by side for all lanes. Lane 4 g + t has rows g and g + 8, and columns
// 16 s + 4 t + j for steps s, j = 0 .. 3: 32 codes, which are 16 pairs of neighbours, P = 4 s + 2 (j / 2) + (row >= 8). A tile is planes
// of 4, 2, 1 (or 8) bits that make up the b bits of its codes, low bits in the first plane. In a plane of width v, a lane's word P v / 16
// has the pair's first code at bit P v % 16 and its second 16 bits above.
// A 2:4 weight has meta behind these planes, 8 bytes a lane: for pair P the nibble P says which of its four columns its two are. For
// floats these are tiles of their own.
// Scales and zeros: [N / 16][groups][16 rows].
#pragma once
#include <stdint.h>

#include "ao/kernel.h"
#include "ao/weights.h"
#include "base/host_device.h"

namespace ao {

// Numbers that codes stand for.
enum Values : int32_t {
  kFloats,     // the codes are floats
  kSigned,     // q in two's complement, stored as q + 2^(bits - 1) where that is less than 8 bits
  kUnsigned,   // q, of less than 8 bits
  kSmallFloat, // sign, exponent, mantissa, as far as a row is not odd
  kTable,      // table[q]
};

constexpr int kTileRows = 16, kTileColumns = 64;

struct Weight {
  const uint8_t* codes;
  const void* scale;
  const void* zero;
  const float* table;
  const uint8_t* meta;            // of 2:4 floats
  const uint8_t* odd;             // [n], of kSmallFloat: whether a row has codes that are infinite or NaN in its table
  const float* sums;              // of the decoded values of a row, for asymmetric activations
  int64_t n, k;                   // k counts the columns that are there, of a 2:4 weight half of all
  int64_t group;                  // columns that share a scale, counted as k is
  int64_t groups, row_bytes;      // row_bytes: of float codes
  int32_t source, bits, values;   // source: AO_F32 .. AO_INT4, AO_TABLE, as given
  int32_t exponent_bits, special; // of kSmallFloat: magnitudes from `special` on are not such floats
  int32_t scale_dtype, zero_dtype, zero_domain, activation, sparse;
  AO_HD int64_t columns() const { return sparse ? 2 * k : k; }
  AO_HD int64_t tiles() const { return (k + kTileColumns - 1) / kTileColumns; } // of a row
  AO_HD int64_t panels() const { return (n + kTileRows - 1) / kTileRows; }
  AO_HD int tile_bytes() const { return 128 * (bits + (sparse ? 2 : 0)); }
  // Where scale and zero point of a row and group are.
  AO_HD int64_t part_at(int64_t row, int64_t g) const {
    return (row / kTileRows * groups + g) * kTileRows + row % kTileRows;
  }
};

// Offsets of the parts in a blob; bytes is its whole size, -1 with a reason where such a weight cannot be packed.
struct WeightLayout {
  Weight weight; // without addresses
  int64_t scale_at, zero_at, table_at, meta_at, odd_at, sums_at, bytes;
  const char* refusal;
};
WeightLayout weight_layout(int64_t code, int64_t n, int64_t k, int64_t group, int64_t zero_domain, int64_t scale_dtype,
                           int64_t zero_dtype, int64_t bits, int64_t activation);

// Where a code of a tile is: whose, in which pair, and whether it is the pair's second.
struct Place {
  int lane, pair, second;
};
AO_HD inline Place place_of(int row, int column) {
  const int j = column % 4;
  return {row % 8 * 4 + column % 16 / 4, column / 16 * 4 + j / 2 * 2 + row / 8, j % 2};
}

// Byte of a lane's word in a plane of a tile: 16 bytes of all lanes side by side at most.
AO_HD inline int word_at(int width, int lane, int word) {
  return width == 8 ? word / 4 * 512 + lane * 16 + word % 4 * 4 : lane * 4 * width + word * 4;
}

// The planes of codes: fn(width, shift, offset in a tile).
template <class Fn>
AO_HD inline void each_plane(int bits, const Fn& fn) {
  int shift = 0;
  for (int width : {8, 4, 2, 1}) {
    if (width == 8 ? bits != 8 : bits == 8 || !(bits & width)) continue;
    fn(width, shift, shift * 128);
    shift += width;
  }
}

// The bits of a pair's code in a plane.
AO_HD inline uint32_t bits_at(const uint8_t* plane, int width, const Place& p) {
  const int q = p.pair * width;
  const uint32_t word = *reinterpret_cast<const uint32_t*>(plane + word_at(width, p.lane, q / 16));
  return word >> (q % 16 + 16 * p.second) & ((1u << width) - 1);
}

// The tile that column k of a row is in.
AO_HD inline const uint8_t* tile_of(const Weight& w, int64_t row, int64_t k) {
  return w.codes + (row / kTileRows * w.tiles() + k / kTileColumns) * w.tile_bytes();
}
AO_HD inline Place place_in(int64_t row, int64_t k) {
  return place_of(static_cast<int>(row % kTileRows), static_cast<int>(k % kTileColumns));
}

// The code of a row at column k.
AO_HD inline uint32_t code_at(const Weight& w, int64_t row, int64_t k) {
  const uint8_t* tile = tile_of(w, row, k);
  const Place place = place_in(row, k);
  uint32_t code = 0;
  each_plane(w.bits, [&](int width, int shift, int at) { code |= bits_at(tile + at, width, place) << shift; });
  return code;
}

// Which of its four columns kept column k is.
AO_HD inline int spot_at(const Weight& w, int64_t row, int64_t k) {
  const uint8_t* meta =
      w.meta ? w.meta + (row / kTileRows * w.tiles() + k / kTileColumns) * 256 : tile_of(w, row, k) + 128 * w.bits;
  const Place p = place_in(row, k);
  return meta[p.lane * 8 + p.pair / 2] >> (p.pair % 2 * 4 + 2 * p.second) & 3;
}

} // namespace ao
