#include "ops/fused_adam.h"

#include "base/simd_map.h"
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

// e4m3fn codes in the low bytes.
static inline vf from_float8(vi c) {
  const vi magnitude = c & 0x7f;
  const vf tiny = to_float(magnitude) * set1(0x1p-9f), normal = (vf)((magnitude << 20) + (120 << 23));
  const vf v = magnitude < 8 ? tiny : normal;
  return (vf)((vi)(magnitude == 0x7f ? set1(NAN) : v) | ((c & 0x80) << 24));
}

// Nearest even, |v| <= 464 or NaN.
static inline vi to_float8(vf v) {
  const vu u = (vu)abs_(v), sign = ((vu)v >> 24) & 0x80u;
  const vf magic = set1(16384.0f); // its last place is 2^-9
  const vi tiny = (vi)((vu)((vf)u + magic) - (vu)magic);
  const vi normal = (vi)((u + 0x7ffffu + ((u >> 20) & 1u) - (120u << 23)) >> 20);
  const vi code = (vf)u < set1(0x1p-6f) ? tiny : normal;
  return (v != v ? set1i(0x7f) : code) | (vi)sign;
}

template <int form>
static inline void decode(const Moment& m, int64_t state_dtype, int64_t at, int64_t n, int64_t block, float* out) {
  if (form == MOMENT_FLOATS) {
    by_dtype(state_dtype, [&](auto tag) {
      steps(n, [&](int64_t i, int count) {
        const vf v = load_as(decltype(tag)::dtype, m.codes, at + i, count);
        store(out + i, v);
      });
    });
    return;
  }
  const vf scale = set1(m.scale[block]);
  if (form == MOMENT_MAP_16) {
    const uint8_t* codes = (const uint8_t*)m.codes + at / 2;
    for (int64_t i = 0; i < n / 2; i++) {
      out[2 * i] = m.table->value[codes[i] >> 4];
      out[2 * i + 1] = m.table->value[codes[i] & 15];
    }
  } else {
    const uint8_t* codes = (const uint8_t*)m.codes + at;
    if (form == MOMENT_MAP_256) {
      for (int64_t i = 0; i < n; i++) out[i] = m.table->value[codes[i]];
    } else {
      int32_t* wide = (int32_t*)out;
      for (int64_t i = 0; i < n; i++) wide[i] = codes[i];
      steps(n, [&](int64_t i, int) { store(out + i, from_float8(*(const vi_any*)(wide + i))); });
    }
  }
  steps(n, [&](int64_t i, int) { store(out + i, load(out + i) * scale); });
}

// The codes of x, n floats in [-1, 1] or NaN, as bytes of their own; `keys` has room for n.
static inline void search(const CodeTable& t, const float* x, int64_t n, int32_t* keys, uint8_t* out) {
  const vi low = set1i((int32_t)CodeTable::kLow), last = set1i((int32_t)CodeTable::kBuckets - 1);
  const vi nan = set1i(t.nan_bucket);
  steps(n, [&](int64_t i, int) {
    const vf v = load(x + i);
    vi key = (((vi)v & INT32_MAX) >> 16) - low;
    key = key < 0 ? set1i(0) : key > last ? last : key;
    key += (vi)((vu)v >> 31) * (int32_t)CodeTable::kBuckets;
    *(vi_any*)(keys + i) = v != v ? nan : key;
  });
  if (t.deep) {
    for (int64_t i = 0; i < n; i++) {
      int c = t.base[keys[i]];
      while (x[i] >= t.threshold[c]) c++;
      out[i] = (uint8_t)c;
    }
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    const int c = t.base[keys[i]];
    out[i] = (uint8_t)(c + (x[i] >= t.threshold[c]));
  }
}

template <int form>
static inline void encode(const Moment& m, int64_t state_dtype, int64_t at, int64_t n, int64_t block, float most,
                          float* x, int32_t* keys) {
  if (form == MOMENT_FLOATS) {
    by_dtype(state_dtype, [&](auto tag) {
      steps(n, [&](int64_t i, int count) { store_as(decltype(tag)::dtype, m.codes, at + i, load(x + i), count); });
    });
    return;
  }
  const float clipped = most < 1e-12f ? 1e-12f : most;
  const float scale = form == MOMENT_FLOAT8 ? clipped / 448.0f : clipped;
  m.scale[block] = scale;
  steps(n, [&](int64_t i, int) { store(x + i, load(x + i) / set1(scale)); });
  if (form == MOMENT_FLOAT8) {
    uint8_t* codes = (uint8_t*)m.codes + at;
    steps(n, [&](int64_t i, int) { *(vi_any*)(keys + i) = to_float8(load(x + i)); });
    for (int64_t i = 0; i < n; i++) codes[i] = (uint8_t)keys[i];
  } else if (form == MOMENT_MAP_256) {
    search(*m.table, x, n, keys, (uint8_t*)m.codes + at);
  } else {
    uint8_t* codes = (uint8_t*)x; // behind the values that are still to be read
    search(*m.table, x, n, keys, codes);
    uint8_t* out = (uint8_t*)m.codes + at / 2;
    for (int64_t i = 0; i < n / 2; i++) out[i] = (uint8_t)(codes[2 * i] << 4 | codes[2 * i + 1]);
  }
}

// bfloat16 of n floats, element first + i rounded by its 16 bits of Philox.
static inline void store_random(uint16_t* out, const float* x, int64_t first, int64_t n, const uint32_t* rng) {
  Philox random{};
  for (int64_t i = 0; i < n; i++) {
    const uint64_t element = (uint64_t)(first + i);
    if (i == 0 || element % 8 == 0) random = philox(rng[0], element >> 3, rng[1]);
    const uint32_t chance = random.word[element >> 1 & 3] >> (element & 1) * 16 & 0xffffu, u = ao_bits(x[i]);
    out[i] = (uint16_t)((u >> 16) + (chance < (u & 0xffffu)));
  }
}

template <int d, int form>
static inline void block_as(const AdamStep& s, int64_t at, int64_t n, int64_t block, float* work) {
  const int64_t room = (n + 15) / 16 * 16;
  float *m = work, *v = work + room, *x = work + 2 * room;
  decode<form>(s.exp_avg, s.state_dtype, at, n, block, m);
  decode<form>(s.exp_avg_sq, s.state_dtype, at, n, block, v);
  const bool amsgrad = s.max_exp_avg_sq.codes != nullptr;
  if (amsgrad) decode<form>(s.max_exp_avg_sq, s.state_dtype, at, n, block, x);
  const vf decay = set1(s.decay), step_size = set1(s.step_size), root = set1(s.root), eps = set1(s.eps);
  Most most_m, most_v, most_x;
  steps(n, [&](int64_t i, int count) {
    vf p = load_as(d, s.param, at + i, count), g = load_as(d, s.grad, at + i, count);
    if (s.decoupled)
      p = p - decay * p;
    else
      g = g + decay * p;
    const vf fresh_m = lerp_(load(m + i), g, s.weight1), fresh_v = lerp_(load(v + i), g * g, s.weight2);
    store(m + i, fresh_m);
    store(v + i, fresh_v);
    vf second = fresh_v;
    if (amsgrad) {
      second = max_nan(load(x + i), fresh_v);
      store(x + i, second);
      if (form != MOMENT_FLOATS) most_x.take(second, count);
    }
    if (form != MOMENT_FLOATS) {
      most_m.take(fresh_m, count);
      most_v.take(fresh_v, count);
    }
    p = p - step_size * fresh_m / (sqrt_(second) / root + eps);
    if (d == AO_BF16 && s.rng) {
      float wide[AO_W];
      store(wide, p);
      store_random((uint16_t*)s.param + at + i, wide, at + i, count, s.rng);
    } else {
      store_as(d, s.param, at + i, p, count);
    }
  });
  int32_t* keys = (int32_t*)(work + 3 * room);
  encode<form>(s.exp_avg, s.state_dtype, at, n, block, most_m.value(), m, keys);
  encode<form>(s.exp_avg_sq, s.state_dtype, at, n, block, most_v.value(), v, keys);
  if (amsgrad) encode<form>(s.max_exp_avg_sq, s.state_dtype, at, n, block, most_x.value(), x, keys);
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
