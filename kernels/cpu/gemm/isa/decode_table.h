// The decoder of weights whose codes are planes of 1 to 8 bits (gemm/planes.h), of one panel or of neighbours at once: eight
// columns of 16 rows at a time. Values come from a table in registers, or from arithmetic where the table holds numbers that
// follow from their codes.
#pragma once
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

// column<j>(quad): the values of byte j of each lane.
template <int bits>
struct TableColumns {
  static constexpr int kBits = bits;
  Lut<bits> table;
  explicit AO_INLINE TableColumns(const Packed* w) : table(table_of(w)) {}
  AO_INLINE bool special(const Quads&) const { return false; }
  template <int j>
  AO_INLINE VF column(const VI& quad) const {
    return table.at(j == 0 ? quad : vi_shr(quad, 8 * j));
  }
};

// Two's complement, or without a sign where keep cuts the bits above.
template <int bits>
struct IntegerColumns {
  static constexpr int kBits = bits;
  VI keep;
  explicit AO_INLINE IntegerColumns(const Packed* w)
      : keep(vi_set1(w->values == kSignedValues ? -1 : (1 << bits) - 1)) {}
  AO_INLINE bool special(const Quads&) const { return false; }
  template <int j>
  AO_INLINE VF column(const VI& quad) const {
    return v_cvt(vi_and(vi_sar(vi_shl(quad, 32 - bits - 8 * j), 32 - bits), keep));
  }
};

// sign | exponent | mantissa moved to where float32 has them, times 2^(127 - bias): exact, subnormals included.
template <int bits>
struct FloatColumns {
  static constexpr int kBits = bits;
  VI keep, magnitude, until;
  VF scale;
  int shift, specials;
  explicit AO_INLINE FloatColumns(const Packed* w) {
    const int exponent = w->exponent_bits, mantissa = bits - 1 - exponent, half = 1 << (bits - 1);
    keep = vi_set1((int32_t)(0x80000000u | (uint32_t)(half - 1) << (23 - mantissa)));
    scale = v_set1(ao_float((uint32_t)(254 - ((1 << (exponent - 1)) - 1)) << 23));
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
  template <int j>
  AO_INLINE VF column(const VI& quad) const {
    return v_mul(v_bits(vi_and(vi_sar(vi_shl(quad, 32 - bits - 8 * j), shift), keep)), scale);
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

// Scales and zero points of the group of column k, of neighbouring panels, as [panel][16] float32 each: s, then what is subtracted
// before and what is added after the product with it.
struct Groups {
  alignas(64) float scale[kTablePanels * kPanelRows], before[kTablePanels * kPanelRows],
      after[kTablePanels * kPanelRows];
};
__attribute__((noinline)) void load_groups(const Packed* w, const uint8_t* panel, int panels, int64_t k, Groups* g) {
  const int64_t first = k / w->group * kPanelRows, distance = table_distance(w, panels);
  for (int p = 0; p < panels; p++, panel += w->panel_bytes) {
    const uint8_t* scale = panel + w->scale_at + first * ao_dtype_size(w->scale_dtype);
    v_prefetch(scale + distance);
    v_store(g->scale + p * kPanelRows, v_load_scale(w->scale_dtype, scale));
    if (w->zero_domain == AO_ZERO_NONE) continue;
    const uint8_t* zero = panel + w->zero_at + first * ao_dtype_size(w->zero_dtype);
    v_prefetch(zero + distance);
    const VF z = v_load_zero(w->zero_dtype, zero);
    const bool before = w->zero_domain == AO_ZERO_INT;
    v_store(g->before + p * kPanelRows, before ? z : v_zero());
    v_store(g->after + p * kPanelRows, before ? v_zero() : z);
  }
}

// One panel's group in registers: w = (q - before) s + after, each step rounded. Without zero points q s.
template <bool zeros>
struct Group {
  VF scale, before, after;
  AO_INLINE VF apply(const VF& q) const {
    return zeros ? v_add(v_mul(v_sub(q, before), scale), after) : v_mul(q, scale);
  }
};

// Columns [k0, k1) of neighbouring panels, in ascending order, to take(k, their vectors). k0 is a multiple of 8.
template <class Columns, bool zeros>
struct DecodeTable {
  template <int panels>
  struct State {
    Group<zeros> group[panels];
    Quads quads[panels];
  };
  template <int panels, int j, class Take>
  static AO_INLINE void column(const Columns& c, const State<panels>& s, int64_t k, Take& take) {
    VF values[panels];
    for (int p = 0; p < panels; p++)
      values[p] = s.group[p].apply(c.template column<j & 3>(j < 4 ? s.quads[p].first : s.quads[p].second));
    take(k + j, values);
  }

  template <int panels, class Take>
  static AO_INLINE void run(const Packed* w, const uint8_t* panel, int64_t k0, int64_t k1, Take& take) {
    constexpr int bits = Columns::kBits;
    constexpr int64_t kBlock = 64 * bits;
    const Columns columns(w);
    const int64_t next = w->panel_bytes, distance = table_distance(w, panels);
    Groups groups;
    State<panels> s;
    for (int p = 0; p < panels; p++) s.group[p] = {v_zero(), v_zero(), v_zero()};
    const uint8_t* block = panel + k0 / 32 * kBlock;
    int64_t end = k0; // of the group at hand
    int o = (int)(k0 / 8 % 4);
    for (int64_t k = k0; k < k1; k += 8) {
      if (k == end) {
        end = (k / w->group + 1) * w->group;
        load_groups(w, panel, panels, k, &groups);
        for (int p = 0; p < panels; p++) {
          s.group[p].scale = v_load(groups.scale + p * kPanelRows);
          if (!zeros) continue;
          s.group[p].before = v_load(groups.before + p * kPanelRows);
          s.group[p].after = v_load(groups.after + p * kPanelRows);
        }
      }
      bool slowly = kLooksUp || k1 - k < 8;
      for (int p = 0; p < panels; p++) {
        const uint8_t* at = block + p * next;
        s.quads[p] = load_octet<bits>(at, o);
        slowly |= columns.special(s.quads[p]);
        v_prefetch(at + distance + 64 * o);
        if (bits > 4) v_prefetch(at + distance + 64 * (o + 4));
      }
      if (slowly) { // special values, and the last columns of a row
        alignas(64) float memory[panels][8 * kPanelRows];
        for (int p = 0; p < panels; p++) look_up(w, s.quads[p].first, s.quads[p].second, memory[p]);
        for (int64_t j = 0; j < 8 && k + j < k1; j++) {
          VF values[panels];
          for (int p = 0; p < panels; p++) values[p] = s.group[p].apply(v_load(memory[p] + j * kPanelRows));
          take(k + j, values);
        }
      } else if constexpr (!kLooksUp) {
        column<panels, 0>(columns, s, k, take);
        column<panels, 1>(columns, s, k, take);
        column<panels, 2>(columns, s, k, take);
        column<panels, 3>(columns, s, k, take);
        column<panels, 4>(columns, s, k, take);
        column<panels, 5>(columns, s, k, take);
        column<panels, 6>(columns, s, k, take);
        column<panels, 7>(columns, s, k, take);
      }
      if (++o == 4) o = 0, block += kBlock;
    }
  }
};

// Calls run(DecodeTable<...>()) with the decoder of w.
template <class Run>
AO_INLINE void with_table_decoder(const Packed* w, const Run& run) {
  const auto with_zeros = [&](auto columns) AO_ALWAYS {
    typedef typename decltype(columns)::type Columns;
    if (w->zero_domain == AO_ZERO_NONE) return run(DecodeTable<Columns, false>());
    return run(DecodeTable<Columns, true>());
  };
  const auto with_bits = [&](auto constant) AO_ALWAYS {
    constexpr int bits = decltype(constant)::value;
    if constexpr (bits > kQuickLut) {
      if (w->values == kSignedValues || w->values == kUnsignedValues)
        return with_zeros(std::type_identity<IntegerColumns<bits>>());
      if (w->values == kSmallFloats) return with_zeros(std::type_identity<FloatColumns<bits>>());
    }
    return with_zeros(std::type_identity<TableColumns<bits>>());
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
