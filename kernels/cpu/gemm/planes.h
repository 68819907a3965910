// Codes of b bits as bit planes. A block is 16 rows of 32 columns in 64 b bytes: eight quads of four columns, one byte a column, four
// bytes a row. A quad's codes are cut into parts of 4, 2 and 1 bits (3 = 2 + 1, 5 = 1 + 4, 6 = 2 + 4, 7 = 2 + 1 + 4 from the low bits
// up; 8 is whole), and each part of a block is a plane of 64-byte vectors, in this order:
//   4 bits  [4] vectors, vector v: quads 2 v (low nibbles) and 2 v + 1 (high nibbles)
//   2 bits  [2] vectors, vector v: quads 4 v .. 4 v + 3 from the low bits up
//   1 bit   [1] vector: quads 0 .. 7 from the low bit up
//   8 bits  [8] vectors, one a quad
#pragma once
#include <string.h>

#include "gemm/packed.h"

namespace ao {

// Where the parts of a code of `bits` bits lie: the byte of their plane in a block, -1 where there is none, and their lowest bit.
struct Planes {
  int four, two, one, four_bit, two_bit, one_bit;
  constexpr explicit Planes(int bits)
      : four(bits >= 4 ? 0 : -1), two(bits == 2 || bits == 3 ? 0
                                      : bits >= 6            ? 256
                                                             : -1),
        one(bits == 1   ? 0
            : bits == 3 ? 128
            : bits == 5 ? 256
            : bits == 7 ? 384
                        : -1),
        four_bit(bits - 4), two_bit(0), one_bit(bits == 3 || bits == 7 ? 2 : 0) {}
};

// The codes of row r in a block: words[8], a byte a column.
static inline void store_block(uint8_t* block, int bits, const uint32_t* words, int r) {
  if (bits == 8) {
    for (int q = 0; q < 8; q++) memcpy(block + 64 * q + 4 * r, words + q, 4);
    return;
  }
  const Planes at(bits);
  const auto store = [&](int plane, int low, int width) {
    const uint32_t mask = 0x01010101u * ((1u << width) - 1), each = 8 / width;
    for (uint32_t q = 0; q < 8; q += each) {
      uint32_t v = 0;
      for (uint32_t i = 0; i < each; i++) v |= (words[q + i] >> low & mask) << (width * i);
      memcpy(block + plane + 64 * (q / each) + 4 * r, &v, 4);
    }
  };
  if (at.four >= 0) store(at.four, at.four_bit, 4);
  if (at.two >= 0) store(at.two, at.two_bit, 2);
  if (at.one >= 0) store(at.one, at.one_bit, 1);
}

static inline void load_block(const uint8_t* block, int bits, uint32_t* words, int r) {
  if (bits == 8) {
    for (int q = 0; q < 8; q++) memcpy(words + q, block + 64 * q + 4 * r, 4);
    return;
  }
  const Planes at(bits);
  memset(words, 0, 32);
  const auto load = [&](int plane, int low, int width) {
    const uint32_t mask = 0x01010101u * ((1u << width) - 1), each = 8 / width;
    for (uint32_t q = 0; q < 8; q += each) {
      uint32_t v;
      memcpy(&v, block + plane + 64 * (q / each) + 4 * r, 4);
      for (uint32_t i = 0; i < each; i++) words[q + i] |= (v >> (width * i) & mask) << low;
    }
  };
  if (at.four >= 0) load(at.four, at.four_bit, 4);
  if (at.two >= 0) load(at.two, at.two_bit, 2);
  if (at.one >= 0) load(at.one, at.one_bit, 1);
}

} // namespace ao
