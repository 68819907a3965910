// float8 of training against scalar casts: every exponent, ties, zeros, infinities and NaN, by tensor, rows and columns.
#include <math.h>

#include "testing/check.h"

using namespace ao_test;

static uint8_t code_of(int64_t f8, float v) {
  const float top = f8 == AO_F8E4M3 ? 448 : 57344;
  const float r = v < -top ? -top : v > top ? top : v;
  return f8 == AO_F8E4M3 ? ao_to_f8e4m3(r) : ao_to_f8e5m2(r);
}

static float value_of(int64_t f8, uint8_t c) { return f8 == AO_F8E4M3 ? ao_from_f8e4m3(c) : ao_from_f8e5m2(c); }

// Bits, equal for all NaN.
static uint32_t same(float v) { return v != v ? 0x7fc00000u : ao_bits(v); }

static float scale_of(int64_t f8, float amax, bool pow2) {
  const float s = (float)((f8 == AO_F8E4M3 ? 448.0 : 57344.0) / (amax != amax ? amax : fmax((double)amax, 1e-12)));
  return pow2 && s == s ? ldexpf(1, ilogbf(s)) : s;
}

TEST(codes_and_scales_equal_scalar_casts) {
  Context ctx(2);
  Random random(seed());
  for (int64_t dtype : {AO_F32, AO_BF16, AO_F16})
    for (int64_t f8 : {AO_F8E4M3, AO_F8E5M2})
      for (int64_t axis = 0; axis < 3; axis++)
        for (int64_t cols : {1, 7, 16, 64, 131})
          for (int64_t pow2 : {0, 1}) {
            const int64_t rows = 9, n = rows * cols;
            Buffer<unsigned char> x(n * ao_dtype_size(dtype));
            for (int64_t i = 0; i < n; i++)
              encode(dtype, x.data(), i, i / cols == 2 ? 0 : random.normal() * exp2f((float)(i % 31) - 20));
            if (cols == 16) encode(dtype, x.data(), 5, NAN);
            Buffer<uint8_t> q(n);
            const int64_t scales = axis == 0 ? 1 : axis == 1 ? rows : cols;
            Buffer<float> scale(scales), back(n);
            const int64_t axis_t = (axis + pow2) % 3;
            Buffer<uint8_t> q_t(n), plain(n);
            Buffer<float> scale_t(n);
            const bool shared = axis == axis_t;
            const ao_to_float8_args to{q.data(), scale.data(), q_t.data(), shared ? scale.data() : scale_t.data(),
                                       x.data(), rows,         cols,       dtype,
                                       f8,       axis,         axis_t,     pow2,
                                       0};
            CHECK_EQ(ao_cpu_to_float8(&to, ctx), 0);
            const ao_to_float8_args by_t{plain.data(), scale_t.data(), nullptr, nullptr, x.data(), rows, cols, dtype,
                                         f8,           axis_t,         0,       pow2,    0};
            CHECK_EQ(ao_cpu_to_float8(&by_t, ctx), 0);
            for (int64_t i = 0; i < n; i++) CHECK_EQ(q_t[i % cols * rows + i / cols], plain[i]);
            const ao_from_float8_args from{back.data(), q.data(), scale.data(), rows, cols, f8, axis};
            CHECK_EQ(ao_cpu_from_float8(&from, ctx), 0);
            const auto group = [&](int64_t i) { return axis == 0 ? 0 : axis == 1 ? i / cols : i % cols; };
            for (int64_t g = 0; g < scales; g++) {
              float amax = 0;
              for (int64_t i = 0; i < n; i++) {
                const float v = fabsf((float)decode(dtype, x.data(), i));
                if (group(i) == g && !(v <= amax)) amax = amax != amax ? amax : v;
              }
              CHECK_EQ(same(scale[g]), same(scale_of(f8, amax, pow2)));
            }
            for (int64_t i = 0; i < n; i++) {
              const float s = scale[group(i)];
              const uint8_t want = code_of(f8, (float)decode(dtype, x.data(), i) * s);
              const auto code = [f8](uint8_t c) { return isnan(value_of(f8, c)) ? 256 : (int)c; };
              CHECK_EQ(code(q[i]), code(want));
              CHECK_EQ(same(back[i]), same(value_of(f8, q[i]) / s));
            }
          }
}

TEST(every_code_comes_back) {
  Context ctx(1);
  for (int64_t f8 : {AO_F8E4M3, AO_F8E5M2}) {
    Buffer<uint8_t> q(256), again(256);
    Buffer<float> x(256), one(1);
    one[0] = 1;
    for (int i = 0; i < 256; i++) q[i] = (uint8_t)i;
    const ao_from_float8_args from{x.data(), q.data(), one.data(), 1, 256, f8, 0};
    const ao_to_float8_args to{again.data(), one.data(), nullptr, nullptr, x.data(), 1, 256, AO_F32, f8, 0, 0, 0, 1};
    CHECK_EQ(ao_cpu_from_float8(&from, ctx), 0);
    CHECK_EQ(ao_cpu_to_float8(&to, ctx), 0);
    for (int i = 0; i < 256; i++)
      if (isfinite(x[i])) CHECK_EQ((int)again[i], i);
  }
}
AO_TEST_MAIN()
