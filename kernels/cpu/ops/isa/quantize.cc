#include "ops/quantize.h"

#include <math.h>

#include "base/simd_map.h"

typedef int8_t vbytes __attribute__((vector_size(AO_W)));
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

void int4_block(int64_t dtype, const void* x, float low, float scale, int8_t* q, int64_t n) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const vf least = set1(low), step = set1(scale), zero = set1(0.0f), top = set1(15.0f);
    steps(n, [&](int64_t i, int count) {
      vf r = round_((load_as(d, x, i, count) - least) / step);
      r = r < zero ? zero : r > top ? top : r;
      int32_t codes[AO_W];
      *(vi_any*)codes = to_int(r) - 8;
      for (int k = 0; k < count; k += 2) q[(i + k) / 2] = (int8_t)((codes[k] & 15) | ((codes[k + 1] & 15) << 4));
    });
  });
}

} // namespace AO_ISA_NS
} // namespace ao
