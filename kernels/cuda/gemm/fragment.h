// Codes of a tile (base/weight.h) as the first side of products on tensor cores, exactly: pairs of bfloat16 numbers without their scales,
// by bit operations. A float of few bits is an integer beside a known exponent: 0x4300 | q is the bfloat16 128 + q for 7 bits of q.
#pragma once
#include "base/mma.h"
#include "base/weight.h"

namespace ao {

// What a kernel is compiled for: integers of `bits` bits, such small floats, those of 2:4 weights, plain floats.
enum Form : int { kIntForm = 0, kSmallForm = 16, kSparseForm = 32, kPlainForm = 64, kNoForm = -1 };
constexpr int kPlainBf16 = kPlainForm, kPlainF16 = kPlainForm + 1;

AO_HD constexpr bool is_plain(int form) { return form >= kPlainForm; }
AO_HD constexpr bool is_sparse(int form) { return form >= kSparseForm && form < kPlainForm; }
AO_HD constexpr bool is_small(int form) { return (form & kSmallForm) != 0; }
AO_HD constexpr int bits_of(int form) { return is_plain(form) ? 16 : form % 16; }
AO_HD constexpr int planes_of(int form) { return bits_of(form) + (is_sparse(form) ? 2 : 0); }
// Bytes of 16 rows and 64 columns of codes.
AO_HD constexpr int tile_bytes_of(int form) { return 128 * planes_of(form); }
// Tiles of 64 columns of x that meet a tile of codes.
AO_HD constexpr int x_tiles_of(int form) { return is_sparse(form) ? 2 : 1; }

// How numbers come out of codes: from the weight, the same for all lanes.
struct Numbers {
  uint32_t minus; // of integers: two bfloat16s that are subtracted, as negative ones
  uint32_t power; // of small floats: two of 2^(127 - bias)
  int up, sign_up;
  uint32_t mask;
};

AO_HD inline Numbers numbers_of(const Weight& w) {
  const uint32_t low = w.values == kSigned ? 128u + (1u << (w.bits - 1)) : 128u;
  const int mantissa = w.bits - 1 - w.exponent_bits, bias = (1 << (w.exponent_bits - 1)) - 1;
  Numbers n;
  n.minus = ao_to_bf16(-static_cast<float>(low));
  n.minus |= n.minus << 16;
  n.power = static_cast<uint32_t>(254 - bias) << 7; // exponent 127 - bias
  n.power |= n.power << 16;
  n.up = 7 - mantissa;
  n.sign_up = 16 - w.bits;
  n.mask = ((1u << (w.bits - 1)) - 1) << n.up;
  n.mask |= n.mask << 16;
  return n;
}

// The words of a lane, plane after plane.
template <int bits>
__device__ inline void load_words(uint32_t (&words)[bits], const uint8_t* tile, int lane) {
  int at = 0;
  const auto take = [&](int width, int shift) {
    const uint8_t* p = tile + shift * 128 + word_at(width, lane, 0);
    if (width >= 4) {
      for (int i = 0; i < width / 4; i++) {
        const uint4 v = *reinterpret_cast<const uint4*>(p + i * 512);
        words[at] = v.x, words[at + 1] = v.y, words[at + 2] = v.z, words[at + 3] = v.w;
        at += 4;
      }
    } else if (width == 2) {
      const uint2 v = *reinterpret_cast<const uint2*>(p);
      words[at++] = v.x, words[at++] = v.y;
    } else {
      words[at++] = *reinterpret_cast<const uint32_t*>(p);
    }
  };
  if constexpr (bits == 8) {
    take(8, 0);
  } else {
    if constexpr (bits & 4) take(4, 0);
    if constexpr (bits & 2) take(2, bits & 4);
    if constexpr (bits & 1) take(1, bits & 6);
  }
}

AO_HD inline uint32_t shifted(uint32_t v, int right) { return right >= 0 ? v >> right : v << -right; }

// (v & mask) | other in one operation.
__device__ inline uint32_t masked_or(uint32_t v, uint32_t mask, uint32_t other) {
#if defined(AO_EMULATE)
  return (v & mask) | other;
#else
  uint32_t d;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(d) : "r"(v), "r"(mask), "r"(other));
  return d;
#endif
}

// Pair p (a constant after unrolling) of a lane: two codes, in the low bits of either half, beside the bits of `other`.
template <int bits>
__device__ inline uint32_t pair_of(const uint32_t (&words)[bits], int p, uint32_t other = 0) {
  if constexpr (bits == 8) return masked_or(words[p / 2] >> (p % 2 * 8), 0x00ff00ffu, other);
  int at = 0, shift = 0;
  if constexpr (bits & 4) other = masked_or(words[p / 4] >> (p % 4 * 4), 0x000f000fu, other), at = 4, shift = 4;
  if constexpr (bits & 2)
    other = masked_or(shifted(words[at + p / 8], p % 8 * 2 - shift), 0x00030003u << shift, other), at += 2, shift += 2;
  if constexpr (bits & 1) other = masked_or(shifted(words[at], p - shift), 0x00010001u << shift, other);
  return other;
}

// Two numbers as bfloat16s; integers of less than 8 bits without what they are `beside`: 128 and, where signed, half their range.
template <int form, bool beside = false>
__device__ inline uint32_t pair_numbers(const uint32_t (&words)[bits_of(form)], int p, const Numbers& n) {
  constexpr int bits = bits_of(form);
  constexpr uint32_t one = 0x3f803f80u, minus_one = 0xbf80bf80u, base = 0x43004300u;
  if constexpr (is_small(form)) {
    uint32_t codes;
    if constexpr (bits == 8) { // neighbours may stay, beside the masks
      codes = words[p / 2];
      if (p % 2) return fma_bf16x2(masked_or(codes, 0x80008000u, codes >> (8 - n.up) & n.mask), n.power, 0x80008000u);
    } else {
      codes = pair_of<bits>(words, p);
    }
    return fma_bf16x2(masked_or(codes << n.sign_up, 0x80008000u, codes << n.up & n.mask), n.power, 0x80008000u);
  } else if constexpr (bits == 8) {
    // 128 + q's seven low bits, less 128 or, where the sign is set, 256
    const uint32_t codes = p % 2 ? words[p / 2] >> 8 : words[p / 2];
    return fma_bf16x2(masked_or(codes, 0x00800080u, base), minus_one, masked_or(codes, 0x007f007fu, base));
  } else {
    const uint32_t numbers = pair_of<bits>(words, p, base);
    return beside ? numbers : fma_bf16x2(numbers, one, n.minus);
  }
}

// What __byte_perm takes to put the halves of a 2:4 pair at their places of four columns, zeros between: low bits for columns 0 and 1,
// high ones for 2 and 3.
constexpr int kSelectors = 16;
__device__ inline uint32_t selector_of(uint32_t spots) {
  uint32_t selector = 0;
  for (uint32_t column = 0; column < 4; column++)
    selector |= (column == spots >> 2 ? 0x32u : column == (spots & 3) ? 0x10u : 0x44u) << 8 * column;
  return selector;
}

// What a lane has of a tile in shared memory.
template <int form>
struct LaneTile {
  const uint8_t* tile;
  uint32_t words[is_plain(form) ? 1 : bits_of(form)];
  uint2 meta;
  __device__ LaneTile(const uint8_t* at, int lane) : tile(at + lane * 16) {
    if constexpr (!is_plain(form)) load_words<bits_of(form)>(words, at, lane);
    if constexpr (is_sparse(form)) meta = reinterpret_cast<const uint2*>(at + 128 * bits_of(form))[lane];
  }
  // The first side of steps 2 i and 2 i + 1 of x, which has 4 steps of 16 columns in a tile, or 8 that meet a 2:4 weight.
  template <bool beside = false>
  __device__ void two_steps(uint32_t (*a)[4], int i, const Numbers& numbers, const uint32_t* selectors) const {
    if constexpr (is_plain(form)) {
      const uint4 top = *reinterpret_cast<const uint4*>(tile + i * 1024),
                  bottom = *reinterpret_cast<const uint4*>(tile + i * 1024 + 512);
      a[0][0] = top.x, a[0][1] = bottom.x, a[0][2] = top.y, a[0][3] = bottom.y;
      a[1][0] = top.z, a[1][1] = bottom.z, a[1][2] = top.w, a[1][3] = bottom.w;
    } else if constexpr (is_sparse(form)) {
      const uint32_t spots = (i < 2 ? meta.x : meta.y) >> i % 2 * 16;
#pragma unroll
      for (int r = 0; r < 4; r++) {
        const uint32_t pair = pair_numbers<form, false>(words, 4 * i + r, numbers),
                       selector = selectors[spots >> 4 * r & 15];
        a[r / 2][r % 2] = __byte_perm(pair, 0, selector);
        a[r / 2][r % 2 + 2] = __byte_perm(pair, 0, selector >> 16);
      }
    } else {
#pragma unroll
      for (int r = 0; r < 8; r++) a[r / 4][r % 4] = pair_numbers<form, beside>(words, 8 * i + r, numbers);
    }
  }
};
// Adds the sums of x: products with ones.
__device__ inline void add_x(float (&e)[4], const uint32_t (&b)[2]) {
  const uint32_t ones[4] = {0x3f803f80u, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u};
  mma_bf16(e, ones, b);
}

// The form that serves a weight and x of a dtype, or kNoForm.
inline int form_of(const Weight& w, int64_t x_dtype) {
  if (w.values == kFloats) {
    const bool wide = !w.sparse && w.k % 8 == 0 && reinterpret_cast<uintptr_t>(w.codes) % 16 == 0;
    return !wide || w.source == AO_F32 || (w.source == AO_F16 && x_dtype != AO_F16) ? kNoForm
           : w.source == AO_BF16                                                    ? kPlainBf16
                                                                                    : kPlainF16;
  }
  const int form = w.bits + (w.values == kSmallFloat ? kSmallForm : kIntForm) + (w.sparse ? kSparseForm : 0);
  if (w.values == kTable || (w.groups > 1 && w.group % 16)) return kNoForm;
  if (w.values == kSmallFloat && w.bits != 4 && w.bits != 6 && w.bits != 8) return kNoForm;
  if (w.sparse && form != kSparseForm + 4 && form != kSparseForm + 8 && form != kSparseForm + kSmallForm + 8)
    return kNoForm;
  return form;
}

} // namespace ao
