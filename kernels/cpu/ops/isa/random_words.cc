#include "ops/random_words.h"

#include "base/simd_map.h"

namespace ao {
namespace AO_ISA_NS {

void philox_words(uint32_t seed, uint64_t first, uint32_t call, uint32_t* words) {
  constexpr int kLanes = 16;
  uint32_t a[kLanes], b[kLanes], c[kLanes], d[kLanes], k0 = seed, k1 = 0;
  for (int i = 0; i < kLanes; i++) {
    a[i] = (uint32_t)(first + (uint64_t)i), b[i] = (uint32_t)((first + (uint64_t)i) >> 32);
    c[i] = call, d[i] = 0;
  }
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < kLanes; i++) {
      const uint64_t p = (uint64_t)0xd2511f53u * a[i], q = (uint64_t)0xcd9e8d57u * c[i];
      a[i] = (uint32_t)(q >> 32) ^ b[i] ^ k0, b[i] = (uint32_t)q;
      c[i] = (uint32_t)(p >> 32) ^ d[i] ^ k1, d[i] = (uint32_t)p;
    }
    k0 += 0x9e3779b9u, k1 += 0xbb67ae85u;
  }
  for (int i = 0; i < kLanes; i++)
    words[4 * i] = a[i], words[4 * i + 1] = b[i], words[4 * i + 2] = c[i], words[4 * i + 3] = d[i];
}

void dropout_run(int64_t dtype, void* out, const void* x, int64_t n, const uint32_t* words, uint32_t least,
                 float scale) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const vf factor = set1(scale);
    const vu bound = (vu)set1i((int32_t)least);
    steps(n, [&](int64_t i, int count) {
      const vi kept = (vi)((vu)load_as(AO_F32, words, i, count) >= bound);
      store_as(d, out, i, (vf)((vi)(load_as(d, x, i, count) * factor) & kept), count);
    });
  });
}

} // namespace AO_ISA_NS
} // namespace ao
