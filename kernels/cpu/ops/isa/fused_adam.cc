#include "ops/fused_adam.h"

#include "base/simd_map.h"
#include "ops/isa/codes.h"
#include "ops/philox.h"

namespace ao {
namespace AO_ISA_NS {

// self + w (end - self), from the nearer end, as torch's lerp.
static inline vf lerp_(vf self, vf end, float w) {
  return w < 0.5f ? self + set1(w) * (end - self) : end - (end - self) * set1(1.0f - w);
}

// The largest magnitude, NaN where there is one: the bits of magnitudes are in the order of their values, NaN above all.
struct Most {
  vi bits = set1i(0);
  void take(vf v, int count) {
    const vi magnitude = (vi)abs_(v) & (count == AO_W ? set1i(-1) : first_n(count));
    bits = magnitude > bits ? magnitude : bits;
  }
  float value() const {
    int32_t t[AO_W], most = 0;
    *(vi_any*)t = bits;
    for (int i = 0; i < AO_W; i++) most = t[i] > most ? t[i] : most;
    return ao_float((uint32_t)most);
  }
};

// The values of a block of codes.
template <int form>
static inline void read(const Moment& m, int64_t at, int64_t n, int64_t block, float* out) {
  const uint8_t* codes = (const uint8_t*)m.codes;
  const vf scale = set1(m.scale[block]);
  if constexpr (form == MOMENT_MAP_256) {
    read_bytes(*m.table, codes + at, n, m.scale[block], out);
  } else if constexpr (form == MOMENT_MAP_16) {
    const Values16 values(*m.table);
    steps(n, [&](int64_t i, int count) { store(out + i, values(load_nibbles(codes + (at + i) / 2, count)) * scale); });
  } else {
    steps(n, [&](int64_t i, int count) { store(out + i, from_float8(load_bytes(codes + at + i, count)) * scale); });
  }
}

// The block of fresh values x as codes, with their scale.
template <int form>
static inline void write(const Moment& m, int64_t at, int64_t n, int64_t block, float most, const float* x) {
  uint8_t* codes = (uint8_t*)m.codes;
  const float clipped = most < 1e-12f ? 1e-12f : most;
  m.scale[block] = form == MOMENT_FLOAT8 ? clipped / 448.0f : clipped;
  const vf scale = set1(m.scale[block]);
  if constexpr (form == MOMENT_MAP_256) {
    write_bytes(*m.table, x, n, m.scale[block], codes + at);
  } else if constexpr (form == MOMENT_MAP_16) {
    const Codes<16> code(*m.table);
    steps(n, [&](int64_t i, int count) { store_nibbles(codes + (at + i) / 2, code(load(x + i) / scale), count); });
  } else {
    steps(n, [&](int64_t i, int count) { store_bytes(codes + at + i, to_float8(load(x + i) / scale), count); });
  }
}

// bfloat16 of n floats, element first + i rounded by its 16 bits of Philox.
static inline void store_random(uint16_t* out, vf v, int64_t first, int n, const uint32_t* rng) {
  float x[AO_W];
  store(x, v);
  Philox random{};
  for (int i = 0; i < n; i++) {
    const uint64_t element = (uint64_t)(first + i);
    if (i == 0 || element % 8 == 0) random = philox(rng[0], element >> 3, rng[1]);
    const uint32_t chance = random.word[element >> 1 & 3] >> (element & 1) * 16 & 0xffffu, u = ao_bits(x[i]);
    out[i] = (uint16_t)((u >> 16) + (chance < (u & 0xffffu)));
  }
}

template <int d, int form>
static inline void block_as(const AdamStep& s, int64_t at, int64_t n, int64_t block, float* work) {
  constexpr bool coded = form != MOMENT_FLOATS;
  const int64_t room = (n + 63) / 64 * 64;
  float *m = work, *v = work + room, *x = work + 2 * room; // the moments of codes, first as they were
  const bool amsgrad = s.max_exp_avg_sq.codes != nullptr;
  if constexpr (coded) {
    read<form>(s.exp_avg, at, n, block, m);
    read<form>(s.exp_avg_sq, at, n, block, v);
    if (amsgrad) read<form>(s.max_exp_avg_sq, at, n, block, x);
  }
  const vf decay = set1(s.decay), step_size = set1(s.step_size), root = set1(s.root), eps = set1(s.eps);
  Most most_m, most_v, most_x;
  const auto old = [&](const Moment& moment, const float* values, int64_t i, int count) {
    return coded ? load(values + i) : load_as(d, moment.codes, at + i, count);
  };
  // fresh codes wait for the scale of the whole block
  const auto keep = [&](const Moment& moment, Most& most, float* fresh, vf value, int64_t i, int count) {
    if (!coded) return store_as(d, moment.codes, at + i, value, count);
    store(fresh + i, value);
    most.take(value, count);
  };
  steps(n, [&](int64_t i, int count) {
    vf p = load_as(d, s.param, at + i, count), g = load_as(d, s.grad, at + i, count);
    if (s.decoupled)
      p = p - decay * p;
    else
      g = g + decay * p;
    const vf first = lerp_(old(s.exp_avg, m, i, count), g, s.weight1);
    const vf square = lerp_(old(s.exp_avg_sq, v, i, count), g * g, s.weight2);
    vf second = square;
    if (amsgrad) {
      second = max_nan(old(s.max_exp_avg_sq, x, i, count), square);
      keep(s.max_exp_avg_sq, most_x, x, second, i, count);
    }
    keep(s.exp_avg, most_m, m, first, i, count);
    keep(s.exp_avg_sq, most_v, v, square, i, count);
    p = p - step_size * first / (sqrt_(second) / root + eps);
    if (d == AO_BF16 && s.rng)
      store_random((uint16_t*)s.param + at + i, p, at + i, count, s.rng);
    else
      store_as(d, s.param, at + i, p, count);
  });
  if constexpr (coded) {
    write<form>(s.exp_avg, at, n, block, most_m.value(), m);
    write<form>(s.exp_avg_sq, at, n, block, most_v.value(), v);
    if (amsgrad) write<form>(s.max_exp_avg_sq, at, n, block, most_x.value(), x);
  }
}

void fused_adam_block(const AdamStep& s, int64_t at, int64_t n, int64_t block, float* work) {
  by_dtype(s.dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    if (s.form == MOMENT_FLOATS) return block_as<d, MOMENT_FLOATS>(s, at, n, block, work);
    if (s.form == MOMENT_MAP_256) return block_as<d, MOMENT_MAP_256>(s, at, n, block, work);
    if (s.form == MOMENT_MAP_16) return block_as<d, MOMENT_MAP_16>(s, at, n, block, work);
    block_as<d, MOMENT_FLOAT8>(s, at, n, block, work);
  });
}

} // namespace AO_ISA_NS
} // namespace ao
