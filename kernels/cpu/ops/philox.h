// Philox4x32-10, the counter-based generator behind all random numbers: four 32-bit words from a key and a 128-bit
// counter.
// Here key = {seed, 0} and counter = {element, element's upper half, call, 0}, all unsigned; a state tensor is int32
// {seed, call}.
#pragma once
#include <stdint.h>

#include "base/host_device.h"

namespace ao {

struct Philox {
  uint32_t word[4];
};

AO_HD inline Philox philox(uint32_t seed, uint64_t element, uint32_t call) {
  uint32_t c[4] = {static_cast<uint32_t>(element), static_cast<uint32_t>(element >> 32), call, 0};
  uint32_t key[2] = {seed, 0};
  for (int round = 0; round < 10; round++) {
    const uint64_t p = static_cast<uint64_t>(0xd2511f53u) * c[0], q = static_cast<uint64_t>(0xcd9e8d57u) * c[2];
    const uint32_t next[4] = {static_cast<uint32_t>(q >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(q),
                              static_cast<uint32_t>(p >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(p)};
    for (int i = 0; i < 4; i++) c[i] = next[i];
    key[0] += 0x9e3779b9u;
    key[1] += 0xbb67ae85u;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

} // namespace ao
