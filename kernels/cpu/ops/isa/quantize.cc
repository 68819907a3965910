#include "ops/quantize.h"

#include <math.h>

#include "base/simd_map.h"

typedef int8_t vbytes __attribute__((vector_size(AO_W)));
typedef uint64_t vpairs __attribute__((vector_size(4 * AO_W)));
typedef int8_t vpairbytes __attribute__((vector_size(AO_W / 2)));
typedef int8_t vbytes_any __attribute__((vector_size(AO_W), aligned(1), may_alias));

namespace ao {
namespace AO_ISA_NS {

// Codes of int8, uint8 (the low byte) or int32.
static inline void store_codes(int64_t q_dtype, void* q, int64_t i, vi codes, int n) {
  if (q_dtype == AO_I32) {
    for (int k = 0; k < n; k++) ((int32_t*)q)[i + k] = codes[k];
    return;
  }
  const vbytes bytes = __builtin_convertvector(codes, vbytes);
  if (n == AO_W) {
    *(vbytes_any*)((int8_t*)q + i) = bytes;
  } else {
    for (int k = 0; k < n; k++) ((int8_t*)q)[i + k] = bytes[k];
  }
}

static inline vi load_codes(int64_t q_dtype, const void* q, int64_t i, int n) {
  int32_t t[AO_W] = {0};
  if (q_dtype == AO_I32) {
    for (int k = 0; k < n; k++) t[k] = ((const int32_t*)q)[i + k];
    return *(const vi_any*)t;
  }
  if (n == AO_W) {
    const vi wide = __builtin_convertvector((vbytes) * (const vbytes_any*)((const int8_t*)q + i), vi);
    return q_dtype == AO_U8 ? wide & 255 : wide;
  }
  for (int k = 0; k < n; k++) t[k] = q_dtype == AO_U8 ? ((const uint8_t*)q)[i + k] : ((const int8_t*)q)[i + k];
  return *(const vi_any*)t;
}

void min_max_block(int64_t dtype, const void* x, int64_t n, float* low, float* high) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    Largest largest, negated;
    steps(n, [&](int64_t i, int count) {
      const vf v = load_as(d, x, i, count);
      largest.take(count == AO_W ? v : first_n(count) ? v : set1(-INFINITY));
      negated.take(count == AO_W ? -v : first_n(count) ? -v : set1(-INFINITY));
    });
    *low = -negated.value();
    *high = largest.value();
  });
}

void quantize_block(const QuantizeBlock& b, const void* x, void* q, int64_t n) {
  by_dtype(b.dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const vf factor = set1(b.inverse), shift = set1(b.shift), low = set1(b.low), high = set1(b.high);
    const int p = (int)b.p, add_p = (int)b.add_p;
    steps(n, [&](int64_t i, int count) {
      const vf v = load_as(d, x, i, count);
      vf r;
      if (b.divides) {
        r = round_(round_as(p, round_as(p, v - shift) / factor));
      } else {
        r = round_as(add_p, round_(round_as(p, v * factor)) + shift);
      }
      r = r < low ? low : r > high ? high : r;
      store_codes(b.q_dtype, q, i, to_int(r), count);
    });
  });
}

void dequantize_block(const DequantizeBlock& b, const void* q, void* out, int64_t n) {
  by_dtype(b.dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const vf scale = set1(b.scale), shift = set1(b.shift), mid = set1(b.mid);
    const vi zero = to_int(set1(b.zero_domain == ZERO_INT ? b.shift : 0.0f));
    steps(n, [&](int64_t i, int count) {
      const vi codes = load_codes(b.q_dtype, q, i, count);
      if (b.zero_domain == ZERO_FLOAT) {
        const vf centred = round_as(d, to_float(codes) - mid);
        store_as(d, out, i, round_as(d, centred * scale) + shift, count);
      } else {
        store_as(d, out, i, round_as(d, to_float(codes - zero)) * scale, count);
      }
    });
  });
}

void fake_quantize_block(const QuantizeBlock& b, float scale, const void* x, const void* grad, void* out, int64_t n) {
  by_dtype(b.dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const vf factor = set1(b.inverse), shift = set1(b.shift), low = set1(b.low), high = set1(b.high),
             unit = set1(scale);
    const int p = (int)b.p;
    steps(n, [&](int64_t i, int count) {
      const vf q = round_as(p, round_(round_as(p, load_as(d, x, i, count) * factor)) + shift);
      if (grad) {
        const vf g = load_as(d, grad, i, count), none = set1(0.0f);
        store_as(d, out, i, q < low ? none : q > high ? none : g, count);
      } else {
        const vf code = q < low ? low : q > high ? high : q;
        store_as(d, out, i, round_as(d, code - shift) * unit, count);
      }
    });
  });
}

// The largest lane; none is NaN.
static inline float largest_lane(vf v) {
#if AO_ISA_LEVEL == 2
  return _mm512_reduce_max_ps((__m512)v);
#elif AO_ISA_LEVEL == 1
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
#else
  const float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
  return a > b ? a : b;
#endif
}

static inline bool any_lane(vi v) {
#if AO_ISA_LEVEL == 2
  return _mm512_test_epi32_mask((__m512i)v, (__m512i)v) != 0;
#elif AO_ISA_LEVEL == 1
  return !_mm256_testz_si256((__m256i)v, (__m256i)v);
#else
  return (v[0] | v[1] | v[2] | v[3]) != 0;
#endif
}

// Codes 0..15, as two's complement nibbles of q - 8, two a byte.
static inline void store_nibbles(int8_t* q, vi codes, int n) {
  const vpairs pairs = (vpairs)((codes & 15) ^ 8);
  const vpairbytes bytes = __builtin_convertvector((pairs | pairs >> 28) & 255, vpairbytes);
  memcpy(q, &bytes, n == AO_W ? AO_W / 2 : n / 2);
}

template <int d>
static inline void int4_group(const void* x, int64_t at, int64_t g, int8_t* q, float* scale, float* zero) {
  vf most = set1(-INFINITY), least = most; // of x and of -x
  vi nan = set1i(0);
  steps(g, [&](int64_t i, int count) {
    const vf v = load_as(d, x, at + i, count), outside = set1(-INFINITY);
    const vf up = count == AO_W ? v : first_n(count) ? v : outside;
    const vf down = count == AO_W ? -v : first_n(count) ? -v : outside;
    most = up > most ? up : most;
    least = down > least ? down : least;
    nan |= (vi)(v != v);
  });
  const bool bad = any_lane(nan);
  const float lo = bad ? NAN : -largest_lane(least), hi = bad ? NAN : largest_lane(most);
  *scale = (hi - lo < 1e-6f ? 1e-6f : hi - lo) / 15.0f;
  *zero = lo + *scale * 8.0f;
  const vf low = set1(lo), step = set1(*scale), none = set1(0.0f), top = set1(15.0f);
  steps(g, [&](int64_t i, int count) {
    vf r = round_((load_as(d, x, at + i, count) - low) / step);
    r = r < none ? none : r > top ? top : r;
    store_nibbles(q + (at + i) / 2, to_int(r), count);
  });
}

void int4_groups(int64_t dtype, const void* x, int64_t groups, int64_t g, int8_t* q, float* scale, float* zero,
                 int64_t step) {
  by_dtype(dtype, [&](auto tag) {
    for (int64_t k = 0; k < groups; k++)
      int4_group<decltype(tag)::dtype>(x, k * g, g, q, scale + k * step, zero + k * step);
  });
}

static inline float lanes(vf v) {
  float total = 0;
  for (int k = 0; k < AO_W; k++) total += v[k];
  return total;
}

void fake_int4_block(int64_t dtype, float lo, float hi, const void* x, const void* grad, void* out, int64_t n) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const float range = hi - lo, scale = (range < 1e-6f ? 1e-6f : range) / 15;
    const vf low = set1(lo), high = set1(hi), unit = set1(scale), shift = set1(lo + 8 * scale), none = set1(0.0f);
    const auto codes = [&](vf t) {
      const vf c = round_(t);
      return c < none ? none : c > set1(15.0f) ? set1(15.0f) : c;
    };
    if (!grad) {
      steps(n, [&](int64_t i, int count) {
        const vf t = (load_as(d, x, i, count) - low) / unit;
        store_as(d, out, i, (codes(t) - set1(8.0f)) * unit + shift, count);
      });
      return;
    }
    vf sum = none, least = none, greatest = none;
    steps(n, [&](int64_t i, int count) {
      const vi in = first_n(count);
      const vf v = load_as(d, x, i, count), g = load_as(d, grad, i, count), t = (v - low) / unit;
      sum += in ? g * (codes(t) - t) : none;
      least += (v == low) & in ? set1(1.0f) : none;
      greatest += (v == high) & in ? set1(1.0f) : none;
    });
    const float through = range > 1e-6f ? lanes(sum) / 15 : 0;
    const vf to_least = set1(through / lanes(least)), to_greatest = set1(through / lanes(greatest));
    steps(n, [&](int64_t i, int count) {
      const vf v = load_as(d, x, i, count), g = load_as(d, grad, i, count);
      const vf up = g + (v == high ? to_greatest : none);
      store_as(d, out, i, up - (v == low ? to_least : none), count);
    });
  });
}

} // namespace AO_ISA_NS
} // namespace ao
