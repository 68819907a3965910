// Tables of 2^bits float32 in registers: four(quad, out) looks up the four codes of each lane, a byte each of which the lowest
// `bits` bits count, as out[column]. Where a bfloat16 holds every value (halves), two columns are looked up at once:
//   up to 6 bits   words by the codes of columns 0 and 2, then of 1 and 3
//   7 and 8 bits   the two bytes of all four columns
// Any other float32:
//   up to 5 bits   one column after the other
//   6 to 8 bits    the four bytes of all four columns
#pragma once

namespace ao {
namespace AO_ISA_NS {
namespace {

// A vector of bfloat16 pairs as the columns that its lanes hold in the lower and in the upper half.
AO_INLINE void split_pairs(VI v, VF& lower, VF& upper) {
  lower = v_bits(vi_shl(v, 16));
  upper = v_bits(vi_and(v, vi_set1((int32_t)0xffff0000)));
}

// The same order of bytes in each 128 bits.
AO_INLINE VI bytes_in_order(VI v, int64_t first, int64_t second) {
  return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_set_epi64x(second, first)));
}

// Words: the upper halves of the values.
template <int bits>
struct WordTable {
  static constexpr int kCount = bits < 6 ? 1 : 2;
  VI part[kCount];
  static AO_INLINE __m256i halves(const float* table, int i) {
    return _mm512_cvtepi32_epi16(vi_shr(vi_load(table + i % (bits < 4 ? 16 : 1 << bits)), 16));
  }
  explicit AO_INLINE WordTable(const float* table) {
    for (int i = 0; i < kCount; i++)
      part[i] = _mm512_inserti64x4(_mm512_castsi256_si512(halves(table, 32 * i)), halves(table, 32 * i + 16), 1);
  }
  AO_INLINE VI at(VI codes) const {
    if constexpr (kCount == 1) return _mm512_permutexvar_epi16(codes, part[0]);
    return _mm512_permutex2var_epi16(part[0], codes, part[kCount - 1]);
  }
};

// Byte `byte` of the values, 64 a part.
template <int bits>
struct ByteTable {
  static constexpr int kCount = 1 << (bits - 6);
  VI part[kCount];
  AO_INLINE ByteTable(const float* table, int byte) {
    const auto sixteen = [&](int i) AO_ALWAYS { return _mm512_cvtepi32_epi8(vi_shr(vi_load(table + i), 8 * byte)); };
    for (int i = 0; i < kCount; i++) {
      const VI v = _mm512_inserti32x4(_mm512_castsi128_si512(sixteen(64 * i)), sixteen(64 * i + 16), 1);
      part[i] = _mm512_inserti32x4(_mm512_inserti32x4(v, sixteen(64 * i + 32), 2), sixteen(64 * i + 48), 3);
    }
  }
  AO_INLINE VI at(VI codes) const {
    if constexpr (kCount == 1) return _mm512_permutexvar_epi8(codes, part[0]);
    const VI low = _mm512_permutex2var_epi8(part[0], codes, part[1]);
    if constexpr (kCount == 2) return low;
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low,
                                  _mm512_permutex2var_epi8(part[kCount / 2], codes, part[kCount - 1]));
  }
};

template <int bits, bool halves>
struct Lut { // float32 of up to 5 bits
  static constexpr int kCount = bits < 5 ? 1 : 2;
  VF part[kCount];
  explicit AO_INLINE Lut(const float* table) {
    for (int i = 0; i < kCount; i++) part[i] = v_load(table + 16 * i);
  }
  AO_INLINE void four(const VI& quad, VF* out) const {
    for (int j = 0; j < 4; j++) {
      const VI codes = vi_shr(quad, 8 * j);
      out[j] = kCount == 1 ? _mm512_permutexvar_ps(codes, part[0])
                           : _mm512_permutex2var_ps(part[0], codes, part[kCount - 1]);
    }
  }
};

template <int bits>
  requires(bits <= 6)
struct Lut<bits, true> {
  WordTable<bits> table;
  explicit AO_INLINE Lut(const float* t) : table(t) {}
  AO_INLINE void four(const VI& quad, VF* out) const {
    split_pairs(table.at(quad), out[0], out[2]);
    split_pairs(table.at(vi_shr(quad, 8)), out[1], out[3]);
  }
};

template <int bits>
  requires(bits > 6)
struct Lut<bits, true> {
  ByteTable<bits> low, high;
  explicit AO_INLINE Lut(const float* t) : low(t, 2), high(t, 3) {}
  AO_INLINE void four(const VI& quad, VF* out) const {
    // columns 0 and 1 of the four rows, then 2 and 3
    const VI codes = bytes_in_order(quad, 0x0d0c090805040100, 0x0f0e0b0a07060302);
    const VI l = low.at(codes), h = high.at(codes);
    split_pairs(_mm512_unpacklo_epi8(l, h), out[0], out[1]);
    split_pairs(_mm512_unpackhi_epi8(l, h), out[2], out[3]);
  }
};

template <int bits>
  requires(bits > 5)
struct Lut<bits, false> {
  ByteTable<bits> byte0, byte1, byte2, byte3;
  explicit AO_INLINE Lut(const float* t) : byte0(t, 0), byte1(t, 1), byte2(t, 2), byte3(t, 3) {}
  AO_INLINE void four(const VI& quad, VF* out) const {
    const VI codes = bytes_in_order(quad, 0x0d0905010c080400, 0x0f0b07030e0a0602); // column after column
    const VI a = byte0.at(codes), b = byte1.at(codes), c = byte2.at(codes), d = byte3.at(codes);
    const VI low01 = _mm512_unpacklo_epi8(a, b), high01 = _mm512_unpacklo_epi8(c, d);
    const VI low23 = _mm512_unpackhi_epi8(a, b), high23 = _mm512_unpackhi_epi8(c, d);
    out[0] = v_bits(_mm512_unpacklo_epi16(low01, high01));
    out[1] = v_bits(_mm512_unpackhi_epi16(low01, high01));
    out[2] = v_bits(_mm512_unpacklo_epi16(low23, high23));
    out[3] = v_bits(_mm512_unpackhi_epi16(low23, high23));
  }
};

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
