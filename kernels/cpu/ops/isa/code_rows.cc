#include "ops/code_rows.h"

#include <float.h>

#include "base/simd_map.h"

namespace ao {
namespace AO_ISA_NS {

// 0 <= codes <= 255 of [at, at + count) into the row's bytes.
static inline void put_codes(int bits, unsigned char* codes, int64_t half, int64_t at, const int32_t* c, int count) {
  for (int k = 0; k < count; k++) {
    const int64_t i = at + k;
    if (bits == 8)
      codes[i] = (unsigned char)(c[k] ^ 128); // as int8: less 128
    else if (i < half)
      codes[i] = (unsigned char)c[k];
    else
      codes[i - half] |= (unsigned char)(c[k] << 4);
  }
}

void code_row_write(CodeRows rows, unsigned char* out, const float* x, int64_t n) {
  const float steps_of = rows.bits == 8 ? (rows.asymmetric ? 255.0f : 127.0f) : (rows.asymmetric ? 15.0f : 7.0f);
  const float center = rows.bits == 8 ? 128.0f : 8.0f;
  Largest high, low;
  steps(n, [&](int64_t i, int count) {
    const vf v = load_as(AO_F32, x, i, count);
    const vf up = rows.asymmetric ? v : abs_(v), down = rows.asymmetric ? -v : set1(0.0f);
    high.take(count == AO_W ? up : first_n(count) ? up : set1(-INFINITY));
    low.take(count == AO_W ? down : first_n(count) ? down : set1(-INFINITY));
  });
  const float least = -low.value(), span = high.value() - least, step = span / steps_of;
  float s = step > FLT_MIN ? step : FLT_MIN;
  const bool whole = span <= FLT_MAX; // not NaN, not infinite
  if (!whole) s = NAN;
  const float start = rows.asymmetric ? least : 0.0f, shift = rows.asymmetric ? 0.0f : center;
  memcpy(out, &s, sizeof s);
  if (rows.asymmetric) {
    const float m = rows.bits == 8 || !whole ? least + center * s : least; // NaN as s is
    memcpy(out + 4, &m, sizeof m);
  }
  unsigned char* codes = out + rows.header();
  if (!whole) {
    memset(codes, 0, (size_t)(n * rows.bits / 8));
    return;
  }
  const float top = rows.bits == 8 ? 255.0f : 15.0f;
  steps(n, [&](int64_t i, int count) {
    const vf v = round_((load_as(AO_F32, x, i, count) - set1(start)) / set1(s)) + set1(shift);
    const vi nearest = to_int(min_(set1(top), max_(set1(0.0f), v)));
    int32_t c[AO_W];
    memcpy(c, &nearest, sizeof c);
    put_codes(rows.bits, codes, n / 2, i, c, count);
  });
}

} // namespace AO_ISA_NS
} // namespace ao
