#include "ops/float8.h"

#include "base/simd_map.h"

typedef uint8_t vcode __attribute__((vector_size(AO_W)));
typedef uint8_t vcode_any __attribute__((vector_size(AO_W), aligned(1), may_alias));

namespace ao {
namespace AO_ISA_NS {

struct E4M3 {
  static constexpr int mantissa = 3, bias = 7, last = 0x7f;
  static constexpr float max = 448, least = 0x1p-6f, magic = 0x1p14f; // magic's last place is the least step, 2^-9
};
struct E5M2 {
  static constexpr int mantissa = 2, bias = 15, last = 0x7f;
  static constexpr float max = 57344, least = 0x1p-14f, magic = 0x1p7f; // 2^-16
};

template <class Fn>
static inline void by_float8(int64_t f8, const Fn& fn) {
  if (f8 == AO_F8E4M3)
    fn(E4M3());
  else
    fn(E5M2());
}

static inline vi load_codes(const uint8_t* p, int n) {
  if (n == AO_W) return __builtin_convertvector((vcode) * (const vcode_any*)p, vi);
  int32_t t[AO_W] = {0};
  for (int k = 0; k < n; k++) t[k] = p[k];
  return *(const vi_any*)t;
}

static inline void store_codes(uint8_t* p, vi codes, int n) {
#if AO_ISA_LEVEL == 2
  _mm512_mask_cvtepi32_storeu_epi8(p, (__mmask16)((1u << n) - 1), (__m512i)codes);
#else
  const vcode bytes = __builtin_convertvector(codes, vcode);
  if (n == AO_W) {
    *(vcode_any*)p = bytes;
  } else {
    for (int k = 0; k < n; k++) p[k] = bytes[k];
  }
#endif
}

// The lesser of magnitudes' bits, which are never negative.
static inline vi least(vi a, vi b) { return a < b ? a : b; }

static inline bool any(vi mask) {
#if AO_ISA_LEVEL == 2
  return _mm512_movepi32_mask((__m512i)mask) != 0;
#elif AO_ISA_LEVEL == 1
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

template <class F>
static inline vi encode(vf v) {
  constexpr int drop = 23 - F::mantissa;
  const vi bits = (vi)v, whole = bits & INT32_MAX;
  const vi u = least(whole, (vi)set1(F::max));
  vi code = (u + (((1 << (drop - 1)) - 1) - ((127 - F::bias) << 23)) + ((u >> drop) & 1)) >> drop;
  const vi special = (whole < (vi)set1(F::least)) | (whole > (int32_t)0x7f800000);
  if (any(special)) { // seldom: values far below the largest, and NaN
    const vf magic = set1(F::magic);
    const vi tiny = (vi)((vf)u + magic) - (vi)magic;
    code = u < (vi)set1(F::least) ? tiny : code;
    code = whole > (int32_t)0x7f800000 ? set1i(F::last) : code;
  }
  return code | ((bits >> 24) & 0x80);
}

template <class F>
static inline vf decode(vi c) {
  constexpr int shift = 23 - F::mantissa;
  const vi magnitude = c & 0x7f, sign = (c & 0x80) << 24;
  const vf tiny = to_float(magnitude) * set1(F::least / (1 << F::mantissa));
  const vf normal = (vf)((magnitude << shift) + ((127 - F::bias) << 23));
  vf v = magnitude < (1 << F::mantissa) ? tiny : normal;
  if constexpr (F::mantissa == 3) {
    v = magnitude == 0x7f ? set1(NAN) : v;
  } else {
    v = magnitude == 0x7c ? set1(INFINITY) : magnitude > 0x7c ? set1(NAN) : v;
  }
  return (vf)((vi)v | sign);
}

static inline vi bits_of(vf v, int count) { return (vi)abs_(v) & (count == AO_W ? set1i(-1) : first_n(count)); }

static inline int32_t largest(vi v) {
  int32_t t[AO_W], most = 0;
  *(vi_any*)t = v;
  for (int i = 0; i < AO_W; i++) most = t[i] > most ? t[i] : most;
  return most;
}

int32_t float8_peak(int64_t dtype, const void* x, int64_t n, int32_t most) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    vi a = set1i(0), b = a, c = a, e = a; // four chains, so that loads do not wait for the comparison
    int64_t i = 0;
    for (; i + 4 * AO_W <= n; i += 4 * AO_W) {
      const vi p = (vi)abs_(load_as(d, x, i, AO_W)), q = (vi)abs_(load_as(d, x, i + AO_W, AO_W)),
               r = (vi)abs_(load_as(d, x, i + 2 * AO_W, AO_W)), s = (vi)abs_(load_as(d, x, i + 3 * AO_W, AO_W));
      a = p > a ? p : a, b = q > b ? q : b, c = r > c ? r : c, e = s > e ? s : e;
    }
    for (; i < n; i += AO_W) {
      const int count = n - i < AO_W ? (int)(n - i) : AO_W;
      const vi p = bits_of(load_as(d, x, i, count), count);
      a = p > a ? p : a;
    }
    a = a > b ? a : b, c = c > e ? c : e;
    const int32_t found = largest(a > c ? a : c);
    most = found > most ? found : most;
  });
  return most;
}

void float8_peaks(int64_t dtype, const void* x, int64_t n, int32_t* most) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    steps(n, [&](int64_t i, int count) {
      const vi v = bits_of(load_as(d, x, i, count), count);
      const vi had = (vi)(count == AO_W ? load((const float*)most + i) : load_n((const float*)most + i, count));
      const vf next = (vf)(v > had ? v : had);
      if (count == AO_W)
        store((float*)most + i, next);
      else
        store_n((float*)most + i, next, count);
    });
  });
}

template <bool each>
static inline vf scale_at(const float* scale, int64_t i, int count) {
  if constexpr (!each) return set1(scale[0]);
  return count == AO_W ? load(scale + i) : load_n(scale + i, count);
}

template <bool each>
static void encode_all(int64_t dtype, int64_t f8, const void* x, int64_t n, const float* scale, uint8_t* q) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    by_float8(f8, [&](auto form) {
      steps(n, [&](int64_t i, int count) {
        store_codes(q + i, encode<decltype(form)>(load_as(d, x, i, count) * scale_at<each>(scale, i, count)), count);
      });
    });
  });
}

void float8_encode(int64_t dtype, int64_t f8, const void* x, int64_t n, const float* scale, bool each, uint8_t* q) {
  if (each)
    encode_all<true>(dtype, f8, x, n, scale, q);
  else
    encode_all<false>(dtype, f8, x, n, scale, q);
}

template <bool each>
static void decode_all(int64_t f8, const uint8_t* q, int64_t n, const float* scale, float* out) {
  by_float8(f8, [&](auto form) {
    steps(n, [&](int64_t i, int count) {
      const vf v = decode<decltype(form)>(load_codes(q + i, count)) / scale_at<each>(scale, i, count);
      if (count == AO_W)
        store(out + i, v);
      else
        store_n(out + i, v, count);
    });
  });
}

void float8_decode(int64_t f8, const uint8_t* q, int64_t n, const float* scale, bool each, float* out) {
  if (each)
    decode_all<true>(f8, q, n, scale, out);
  else
    decode_all<false>(f8, q, n, scale, out);
}

} // namespace AO_ISA_NS
} // namespace ao
