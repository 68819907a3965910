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

// A moment of element i, d the dtype where it is floats.
template <int d, int form>
static inline vf read(const Moment& m, vf scale, int64_t i, int count) {
  const uint8_t* codes = (const uint8_t*)m.codes;
  if (form == MOMENT_FLOATS) return load_as(d, m.codes, i, count);
  if (form == MOMENT_MAP_16) return value_of<16>(*m.table, load_nibbles(codes + i / 2, count)) * scale;
  const vi c = load_bytes(codes + i, count);
  return (form == MOMENT_MAP_256 ? value_of<256>(*m.table, c) : from_float8(c)) * scale;
}

// The block of fresh values x as codes, with their scale.
template <int form>
static inline void write(const Moment& m, int64_t at, int64_t n, int64_t block, float most, const float* x) {
  const float clipped = most < 1e-12f ? 1e-12f : most;
  const float scale = form == MOMENT_FLOAT8 ? clipped / 448.0f : clipped;
  m.scale[block] = scale;
  uint8_t* codes = (uint8_t*)m.codes;
  steps(n, [&](int64_t i, int count) {
    const vf v = load(x + i) / set1(scale);
    if (form == MOMENT_MAP_16)
      store_nibbles(codes + (at + i) / 2, code_of<16>(*m.table, v), count);
    else
      store_bytes(codes + at + i, form == MOMENT_MAP_256 ? code_of<256>(*m.table, v) : to_float8(v), count);
  });
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
  const int64_t room = (n + 15) / 16 * 16;
  float *m = work, *v = work + room, *x = work + 2 * room; // fresh moments, whose scales are known at the end
  const bool amsgrad = s.max_exp_avg_sq.codes != nullptr;
  const auto scale_of = [&](const Moment& moment) { return set1(coded ? moment.scale[block] : 1.0f); };
  const vf m_scale = scale_of(s.exp_avg), v_scale = scale_of(s.exp_avg_sq);
  const vf x_scale = amsgrad ? scale_of(s.max_exp_avg_sq) : m_scale;
  const vf decay = set1(s.decay), step_size = set1(s.step_size), root = set1(s.root), eps = set1(s.eps);
  Most most_m, most_v, most_x;
  // where a fresh moment goes: to its place as floats, or to `fresh` until the scale is known
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
    const vf first = lerp_(read<d, form>(s.exp_avg, m_scale, at + i, count), g, s.weight1);
    const vf square = lerp_(read<d, form>(s.exp_avg_sq, v_scale, at + i, count), g * g, s.weight2);
    vf second = square;
    if (amsgrad) {
      second = max_nan(read<d, form>(s.max_exp_avg_sq, x_scale, at + i, count), square);
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
  if (!coded) return;
  write<form>(s.exp_avg, at, n, block, most_m.value(), m);
  write<form>(s.exp_avg_sq, at, n, block, most_v.value(), v);
  if (amsgrad) write<form>(s.max_exp_avg_sq, at, n, block, most_x.value(), x);
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
