// Columns of a 2:4 weight among those that are not there. A word of meta has four bits for each four columns: the lower of the two that
// are there, then the higher.
#pragma once
#include "gemm/isa/vec.h"
#include "gemm/packed.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// The words of 32 columns, `at` bytes into a panel's. Those of a panel lie apart from its codes, so what will be needed is fetched here:
// words further on, or the next panel's.
AO_INLINE VI load_words(const Packed* w, const uint8_t* meta, int64_t at) {
  constexpr int64_t kAhead = 2048;
  const int64_t then = at + kAhead, bytes = meta_bytes(columns_of(w));
  v_prefetch(meta + (then < bytes ? then : then - bytes + w->panel_bytes));
  return vi_load(meta + at);
}

#if AO_ISA_LEVEL == 2
// For each four bits of meta the bytes that a shuffle takes for `width` columns from column `first` on: those of the values that are
// there, which begin at byte `from`, and zero (0x80) for the others. A value has `size` bytes.
struct Shuffles {
  uint32_t at[16];
  constexpr Shuffles(int size, int first, int from) : at() {
    for (int nibble = 0; nibble < 16; nibble++)
      for (int byte = 0; byte < 4; byte++) {
        const int column = first + byte / size, kept = column == (nibble & 3) ? 0 : column == nibble >> 2 ? 1 : -1;
        at[nibble] |= (uint32_t)(kept < 0 ? 0x80 : from + kept * size + byte % size) << (8 * byte);
      }
  }
};

alignas(64) inline constexpr Shuffles kSpreadBytes[2] = {{1, 0, 0}, {1, 0, 2}};
alignas(64) inline constexpr Shuffles kSpreadPairs[2] = {{2, 0, 0}, {2, 2, 0}};

AO_INLINE VI vi_shuffled(VI kept, VI words, const Shuffles& table) {
  const VI lane = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0); // a shuffle reaches 16 bytes
  return _mm512_shuffle_epi8(kept, vi_or(_mm512_permutexvar_epi32(words, vi_load(table.at)), lane));
}

// x[the low two bits of each lane]
AO_INLINE VF v_pick(const float* x, VI places) {
  return _mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(x)), places);
}

// Columns 2 half and 2 half + 1 of four, of a pair that is there.
template <int half>
AO_INLINE VI vi_spread_pair(VI kept, VI words) {
  return vi_shuffled(kept, words, kSpreadPairs[half]);
}

// For each four bits of meta what picks the two of four x that meet a pair, the upper of them first in a product's order. Columns of
// different halves meet in ascending order, so their pair is turned by `turn` bits.
struct Picks {
  uint32_t x[16], turn[16];
  constexpr Picks() : x(), turn() {
    for (int nibble = 0; nibble < 16; nibble++) {
      const int a = nibble & 3, b = nibble >> 2;
      const bool apart = a < 2 && b >= 2;
      const int lower = apart ? b : a, upper = apart ? a : b;
      x[nibble] = (uint32_t)(2 * lower | (2 * lower + 1) << 8 | 2 * upper << 16 | (2 * upper + 1) << 24);
      turn[nibble] = apart ? 16 : 0;
    }
  }
};
alignas(64) inline constexpr Picks kPicks;

// acc + a pair that is there times its two of the four x, rounded as that of the four columns.
AO_INLINE VF v_dot_picked(VF acc, VI kept, VI words, const uint32_t* x) {
  const VI four = _mm512_set1_epi64(*(const int64_t*)x);
  const VI two = _mm512_shuffle_epi8(four, _mm512_permutexvar_epi32(words, vi_load(kPicks.x)));
  const VI pair = _mm512_rorv_epi32(kept, _mm512_permutexvar_epi32(words, vi_load(kPicks.turn)));
  return _mm512_dpbf16_ps(acc, (__m512bh)pair, (__m512bh)two);
}

// For each four bits of meta which two of four bytes, from byte `from` on, and where they go.
struct Bytes2 {
  uint32_t at[16];
  constexpr Bytes2(int from, int shift) : at() {
    for (int nibble = 0; nibble < 16; nibble++)
      at[nibble] = (uint32_t)((from + (nibble & 3)) | (from + (nibble >> 2)) << 8) << shift;
  }
};
alignas(64) inline constexpr Bytes2 kPickBytes[2] = {{0, 0}, {4, 16}};

// acc += four codes that are there, 128 more each, times their four of the eight x; of += these x.
inline constexpr bool kPicksBytes = true;
AO_INLINE void vi_dot_picked(VI& acc, VI& of, VI kept, VI words, const uint32_t* x) {
  const VI eight = _mm512_set1_epi64(*(const int64_t*)x);
  const VI places = vi_or(_mm512_permutexvar_epi32(words, vi_load(kPickBytes[0].at)),
                          _mm512_permutexvar_epi32(vi_shr(words, 4), vi_load(kPickBytes[1].at)));
  const VI four = _mm512_shuffle_epi8(eight, places);
  acc = _mm512_dpbusd_epi32(acc, _mm512_xor_si512(kept, _mm512_set1_epi8((char)0x80)), four);
  of = _mm512_dpbusd_epi32(of, _mm512_set1_epi8(1), four);
}

// Eight columns [2][16][4] of the four codes [16][4] that are there; the low eight bits of words say which.
AO_INLINE void spread_codes(const uint8_t* kept, VI words, uint8_t* out) {
  const VI v = vi_load(kept);
  vi_store(out, vi_shuffled(v, words, kSpreadBytes[0]));
  vi_store(out + 64, vi_shuffled(v, vi_shr(words, 4), kSpreadBytes[1]));
}
#else
#if AO_ISA_LEVEL == 1
AO_INLINE VF v_pick(const float* x, VI places) {
  const __m256 four = _mm256_broadcast_ps((const __m128*)x);
  return {_mm256_permutevar_ps(four, places.a), _mm256_permutevar_ps(four, places.b)};
}
#else
AO_INLINE VF v_pick(const float* x, VI places) {
  alignas(64) int32_t at[kPanelRows];
  alignas(64) float picked[kPanelRows];
  vi_store(at, places);
  for (int r = 0; r < kPanelRows; r++) picked[r] = x[at[r] & 3];
  return v_load(picked);
}
#endif

template <int half>
AO_INLINE VI vi_spread_pair(VI kept, VI words) {
  alignas(64) uint32_t values[kPanelRows], places[kPanelRows];
  vi_store(values, kept);
  vi_store(places, words);
  for (int r = 0; r < kPanelRows; r++) {
    const uint64_t low = values[r] & 0xffff, high = values[r] >> 16;
    const uint64_t four = low << (places[r] % 4 * 16) | high << (places[r] / 4 % 4 * 16);
    values[r] = (uint32_t)(four >> (32 * half));
  }
  return vi_load(values);
}

AO_INLINE void spread_codes(const uint8_t* kept, VI words, uint8_t* out) {
  alignas(64) uint32_t values[kPanelRows], places[kPanelRows], spread[2 * kPanelRows];
  memcpy(values, kept, sizeof values);
  vi_store(places, words);
  for (int r = 0; r < kPanelRows; r++) {
    const uint32_t v = values[r], p = places[r];
    spread[r] = (v & 255) << (p % 4 * 8) | (v >> 8 & 255) << (p / 4 % 4 * 8);
    spread[kPanelRows + r] = (v >> 16 & 255) << (p / 16 % 4 * 8) | (v >> 24) << (p / 64 % 4 * 8);
  }
  memcpy(out, spread, sizeof spread);
}

AO_INLINE VF v_dot_picked(VF acc, VI kept, VI words, const uint32_t* x) {
  return v_dot_pairs(v_dot_pairs(acc, vi_spread_pair<0>(kept, words), x[0]), vi_spread_pair<1>(kept, words), x[1]);
}

inline constexpr bool kPicksBytes = false;
AO_INLINE void vi_dot_picked(VI&, VI&, VI, VI, const uint32_t*) {}
#endif

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
