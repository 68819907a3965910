// The decoder of weights whose codes are planes of 1 to 8 bits (gemm/planes.h), of one panel or of neighbours at once: eight
// columns of 16 rows at a time. Values come from a table in registers, or from arithmetic where the table holds numbers that
// follow from their codes.
#pragma once
#include <utility>

#include "gemm/isa/vec.h"
#include "gemm/packed.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// The first and the second four of eight columns.
struct Quads {
  VI first, second;
};

// Quads 2 o and 2 o + 1 of a block: a byte of a lane is a column, its lowest `bits` bits the code, the others anything.
template <int bits>
AO_INLINE Quads load_octet(const uint8_t* block, int o) {
  if constexpr (bits == 8) return {vi_load(block + 128 * o), vi_load(block + 128 * o + 64)};
  const auto two = [&](int at) AO_ALWAYS { return vi_shr(vi_load(block + at + 64 * (o >> 1)), 4 * (o & 1)); };
  const auto one = [&](int at) AO_ALWAYS { return vi_shr(vi_load(block + at), 2 * o); };
  Quads low; // what stands below the nibble
  if constexpr (bits == 1 || bits == 5) {
    const VI v = one(bits == 1 ? 0 : 256);
    low = {v, vi_shr(v, 1)};
  } else if constexpr (bits != 4) {
    const VI v = two(bits < 4 ? 0 : 256);
    low = {v, vi_shr(v, 2)};
    if constexpr (bits == 3 || bits == 7) {
      const VI u = one(bits == 3 ? 128 : 384), mask = vi_set1(0x03030303);
      low = {vi_select(mask, low.first, vi_shl(u, 2)), vi_select(mask, low.second, vi_shl(u, 1))};
    }
  }
  if constexpr (bits < 4) return low;
  constexpr int below = bits < 4 ? 0 : bits - 4;
  const VI v = vi_load(block + 64 * o);
  if constexpr (bits == 4) return {v, vi_shr(v, 4)};
  const VI mask = vi_set1((int32_t)(0x01010101u * ((1u << below) - 1)));
  return {vi_select(mask, low.first, vi_shl(v, below)), vi_select(mask, low.second, vi_shr(v, 4 - below))};
}

// four(quad, out): the values of the four bytes of each lane, as out[column].
template <int bits, bool halves>
struct TableColumns {
  static constexpr int kBits = bits;
  static constexpr bool kArbitrary = kHalfTables && !halves;
  static constexpr bool kSpecial = false; // whether special(quads) tells of codes that only memory knows
  Lut<bits, halves> table;
  explicit AO_INLINE TableColumns(const Packed* w) : table(table_of(w)) {}
  AO_INLINE void four(const VI& quad, VF* out) const { table.four(quad, out); }
};

// Two's complement, or without a sign where keep cuts the bits above.
template <int bits>
struct IntegerColumns {
  static constexpr int kBits = bits;
  static constexpr bool kArbitrary = false, kSpecial = false;
  VI keep;
  explicit AO_INLINE IntegerColumns(const Packed* w)
      : keep(vi_set1(w->values == kSignedValues ? -1 : (1 << bits) - 1)) {}
  AO_INLINE void four(const VI& quad, VF* out) const {
    for (int j = 0; j < 4; j++) out[j] = v_cvt(vi_and(vi_sar(vi_shl(quad, 32 - bits - 8 * j), 32 - bits), keep));
  }
};

// sign | exponent | mantissa, moved to where float32 has them.
template <int bits>
struct FloatColumns {
  static constexpr int kBits = bits;
  static constexpr bool kArbitrary = false, kSpecial = true;
  VI keep, up, magnitude, until;
  VF least;
  int shift, specials;
  explicit AO_INLINE FloatColumns(const Packed* w) {
    const int exponent = w->exponent_bits, mantissa = bits - 1 - exponent, half = 1 << (bits - 1);
    const int bias = (1 << (exponent - 1)) - 1;
    keep = vi_set1((int32_t)((uint32_t)(half - 1) << (23 - mantissa)));
    up = vi_set1((127 - bias) << 23);
    least = v_set1(ao_float((uint32_t)(128 - bias) << 23));
    shift = 8 - exponent;
    specials = w->special;
    magnitude = vi_set1((int32_t)(0x01010101u * (uint32_t)(half - 1)));
    until = vi_set1(
        (int32_t)(0x01010101u *
                  (uint32_t)(128 - w->special))); // added to a magnitude, it reaches 128 at the first special one
  }
  AO_INLINE bool special(const Quads& q) const {
    if (specials == 0) return false;
    const VI a = vi_add(vi_and(q.first, magnitude), until), b = vi_add(vi_and(q.second, magnitude), until);
    return vi_any(vi_and(vi_or(a, b), vi_set1((int32_t)0x80808080)));
  }
  AO_INLINE void four(const VI& quad, VF* out) const {
    for (int j = 0; j < 4; j++) {
      const VI code = vi_shl(quad, 32 - bits - 8 * j);
      const VF v = v_from_small(vi_and(vi_shr(code, shift), keep), up, least);
      out[j] = v_bits(vi_or(vi_bits(v), vi_and(code, vi_set1((int32_t)0x80000000))));
    }
  }
};

// Eight columns looked up in memory: special values, and the last columns of a row.
__attribute__((noinline)) void look_up(const Packed* w, VI first, VI second, float* out) {
  alignas(64) uint32_t quads[2][kPanelRows];
  const float* table = table_of(w);
  const uint32_t mask = (1u << w->bits) - 1;
  vi_store(quads[0], first);
  vi_store(quads[1], second);
  for (int j = 0; j < 8; j++)
    for (int r = 0; r < kPanelRows; r++) out[j * kPanelRows + r] = table[quads[j / 4][r] >> (j % 4 * 8) & mask];
}

// How far ahead each of neighbouring panels is fetched: all of them fit the first cache together.
inline int64_t table_distance(const Packed* w, int64_t panels) {
  return panels * w->panel_bytes < 4096 ? panels * w->panel_bytes : 4096;
}

// Where zero points come in: w = (q - before) s + after, each step rounded.
enum Zeros { kNoZeros = 0, kBefore = 1, kAfter = 2, kAnyZeros = 3 };

// One panel's group in registers.
template <Zeros zeros>
struct Group {
  VF scale, before, after;
  AO_INLINE VF apply(const VF& q) const {
    const VF product = v_mul(zeros & kBefore ? v_sub(q, before) : q, scale);
    return zeros & kAfter ? v_add(product, after) : product;
  }
};

// Scales and zero points of some groups of neighbouring panels, as [group][panel][16] float32 each.
struct Groups {
  static constexpr int kCount = 8, kStride = kTablePanels * kPanelRows;
  alignas(64) float scale[kCount * kStride], before[kCount * kStride], after[kCount * kStride];

  template <Zeros zeros>
  AO_INLINE Group<zeros> at(int64_t group, int panel) const {
    const int64_t i = group * kStride + panel * kPanelRows;
    return {v_load(scale + i), zeros & kBefore ? v_load(before + i) : v_zero(),
            zeros & kAfter ? v_load(after + i) : v_zero()};
  }
};

// Groups `first` and up to kCount - 1 after it.
__attribute__((noinline)) void load_groups(const Packed* w, const uint8_t* panel, int panels, int64_t first,
                                           Groups* out) {
  const int64_t left = groups_of(w) - first, count = left < Groups::kCount ? left : Groups::kCount;
  const int64_t distance = table_distance(w, panels);
  const int64_t scale_bytes = kPanelRows * ao_dtype_size(w->scale_dtype),
                zero_bytes = kPanelRows * ao_dtype_size(w->zero_dtype);
  for (int p = 0; p < panels; p++, panel += w->panel_bytes) {
    const uint8_t *scale = panel + w->scale_at + first * scale_bytes, *zero = panel + w->zero_at + first * zero_bytes;
    for (int64_t i = 0; i < count * scale_bytes; i += 64) v_prefetch(scale + distance + i);
    for (int64_t g = 0; g < count; g++)
      v_store(out->scale + g * Groups::kStride + p * kPanelRows, v_load_scale(w->scale_dtype, scale + g * scale_bytes));
    if (w->zero_domain == AO_ZERO_NONE) continue;
    for (int64_t i = 0; i < count * zero_bytes; i += 64) v_prefetch(zero + distance + i);
    const bool before = w->zero_domain == AO_ZERO_INT;
    for (int64_t g = 0; g < count; g++) {
      const VF z = v_load_zero(w->zero_dtype, zero + g * zero_bytes);
      v_store(out->before + g * Groups::kStride + p * kPanelRows, before ? z : v_zero());
      v_store(out->after + g * Groups::kStride + p * kPanelRows, before ? v_zero() : z);
    }
  }
}

// fn(0), fn(1), ... as constants, so that what they index stays in registers.
template <int count, class Fn>
AO_INLINE void unrolled(const Fn& fn) {
  [&]<int... i>(std::integer_sequence<int, i...>)
      AO_ALWAYS { (fn(std::integral_constant<int, i>()), ...); }(std::make_integer_sequence<int, count>());
}

// Columns [k0, k1) of neighbouring panels, in ascending order, to take(panel, k, vector). k0 is a multiple of 8.
template <class Columns, Zeros zeros>
struct DecodeTable {
  // Whether one row of x has code for several panels: arbitrary values with zero points are not worth it.
  static constexpr bool kSideBySide = !Columns::kArbitrary || zeros == kNoZeros;

  // Four columns of each panel, the panels side by side: a chain of sums goes on after the others' turn.
  template <int panels, int half, class Take>
  static AO_INLINE void four(const Columns& columns, const Group<zeros>* groups, const Quads* quads, int64_t k,
                             Take& take) {
    VF values[panels][4];
    unrolled<panels>([&](auto p) AO_ALWAYS { columns.four(half == 0 ? quads[p].first : quads[p].second, values[p]); });
    unrolled<4>([&](auto j) AO_ALWAYS {
      unrolled<panels>([&](auto p) AO_ALWAYS { take(p, k + j, groups[p].apply(values[p][j])); });
    });
  }

  // `count` of eight columns of each panel by memory.
  template <int panels, class Take>
  static AO_INLINE void slowly(const Packed* w, const Group<zeros>* groups, const Quads* quads, int64_t k,
                               int64_t count, Take& take) {
    unrolled<panels>([&](auto p) AO_ALWAYS {
      alignas(64) float memory[8 * kPanelRows];
      look_up(w, quads[p].first, quads[p].second, memory);
      for (int64_t j = 0; j < count; j++) take(p, k + j, groups[p].apply(v_load(memory + j * kPanelRows)));
    });
  }

  // The last columns of a row.
  template <int panels, class Take>
  static AO_INLINE void last(const Packed* w, const uint8_t* block, int o, int64_t count, const Group<zeros>* groups,
                             int64_t k, Take& take) {
    Quads quads[panels];
    unrolled<panels>([&](auto p) AO_ALWAYS { quads[p] = load_octet<Columns::kBits>(block + p * w->panel_bytes, o); });
    slowly<panels>(w, groups, quads, k, count, take);
  }

  // `count` columns of each panel, octet o of a block.
  template <int panels, class Take>
  static AO_INLINE void octet(const Packed* w, const Columns& columns, const uint8_t* block, int o, int64_t count,
                              const Group<zeros>* groups, int64_t k, Take& take) {
    constexpr int bits = Columns::kBits;
    const int64_t distance = table_distance(w, panels);
    Quads quads[panels];
    bool by_memory = kLooksUp || count < 8;
    unrolled<panels>([&](auto p) AO_ALWAYS {
      const uint8_t* at = block + p * w->panel_bytes;
      quads[p] = load_octet<bits>(at, o);
      if constexpr (Columns::kSpecial) by_memory |= columns.special(quads[p]);
      if (o < bits) v_prefetch(at + distance + 64 * o);
      if (o + 4 < bits) v_prefetch(at + distance + 64 * (o + 4));
    });
    if (by_memory) {
      slowly<panels>(w, groups, quads, k, count, take);
    } else if constexpr (!kLooksUp) {
      four<panels, 0>(columns, groups, quads, k, take);
      four<panels, 1>(columns, groups, quads, k + 4, take);
    }
  }

  template <int panels, class Take>
  static AO_INLINE void run(const Packed* w, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    constexpr int bits = Columns::kBits;
    const Columns columns(w);
    Groups memory;
    Group<zeros> groups[panels];
    int64_t group = k0 / w->group, first = group - Groups::kCount; // of those in memory
    for (int64_t k = k0; k < k1; group++) {
      if (group == first + Groups::kCount) load_groups(w, panel, panels, first = group, &memory);
      unrolled<panels>([&](auto p) AO_ALWAYS { groups[p] = memory.template at<zeros>(group - first, p); });
      const int64_t until = (group + 1) * w->group, end = until < k1 ? until : k1;
      const auto next = [&](auto o, auto count) AO_ALWAYS { // whether eight more columns follow in this group
        octet<panels>(w, columns, panel + k / 32 * (64 * bits), o, count, groups, k, take);
        k += 8;
        return end - k >= 8;
      };
      if constexpr (kManyForms && panels > 1 && bits % 4 != 0) { // shifts by constants
        constexpr std::integral_constant<int, 8> all;
        while (end - k >= 8) {
          switch (k / 8 % 4) {
          case 0:
            if (!next(std::integral_constant<int, 0>(), all)) break;
            [[fallthrough]];
          case 1:
            if (!next(std::integral_constant<int, 1>(), all)) break;
            [[fallthrough]];
          case 2:
            if (!next(std::integral_constant<int, 2>(), all)) break;
            [[fallthrough]];
          default:
            next(std::integral_constant<int, 3>(), all);
          }
        }
        if (k < end) last<panels>(w, panel + k / 32 * (64 * bits), (int)(k / 8 % 4), end - k, groups, k, take);
      } else {
        while (k < end) next((int)(k / 8 % 4), end - k < 8 ? end - k : 8);
      }
      k = end;
    }
  }
};

// Calls run(DecodeTable<...>()) with the decoder of w; many: with one of its own for each place of zero points.
template <bool many, class Run>
AO_INLINE void with_table_decoder(const Packed* w, const Run& run) {
  const auto with_zeros = [&](auto columns) AO_ALWAYS {
    typedef typename decltype(columns)::type Columns;
    if (w->zero_domain == AO_ZERO_NONE) return run(DecodeTable<Columns, kNoZeros>());
    if constexpr (!many) return run(DecodeTable<Columns, kAnyZeros>());
    if (w->zero_domain == AO_ZERO_INT) return run(DecodeTable<Columns, kBefore>());
    return run(DecodeTable<Columns, kAfter>());
  };
  const auto with_bits = [&](auto constant) AO_ALWAYS {
    constexpr int bits = decltype(constant)::value;
    if constexpr (bits > kQuickLut) {
      if (w->values == kSignedValues || w->values == kUnsignedValues)
        return with_zeros(std::type_identity<IntegerColumns<bits>>());
      if (w->values == kSmallFloats) return with_zeros(std::type_identity<FloatColumns<bits>>());
    }
    if constexpr (kHalfTables)
      if (w->halves) return with_zeros(std::type_identity<TableColumns<bits, true>>());
    return with_zeros(std::type_identity<TableColumns<bits, false>>());
  };
  switch (w->bits) {
  case 1:
    return with_bits(std::integral_constant<int, 1>());
  case 2:
    return with_bits(std::integral_constant<int, 2>());
  case 3:
    return with_bits(std::integral_constant<int, 3>());
  case 4:
    return with_bits(std::integral_constant<int, 4>());
  case 5:
    return with_bits(std::integral_constant<int, 5>());
  case 6:
    return with_bits(std::integral_constant<int, 6>());
  case 7:
    return with_bits(std::integral_constant<int, 7>());
  default:
    return with_bits(std::integral_constant<int, 8>());
  }
}

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
