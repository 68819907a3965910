// The int8 forms of x: error bounds, torchao's rounding in the dtype of x, the ends of the range.
#include "gemm/test/cases.h"

using namespace ao_test;

TEST(groups_stay_within_half_a_step) {
  Random random(seed());
  std::vector<float> x(32);
  std::vector<int8_t> q(32);
  for (int round = 0; round < 2000; round++) {
    const float size = (float)ldexp(1.0, (int)random.below(200) - 120);
    float amax = 0;
    for (float& v : x) v = random.normal() * size, amax = fmaxf(amax, fabsf(v));
    const float s = ao::quantize_group(x.data(), 32, q.data());
    CHECK_NEAR(s, fmax(amax / 127.0, 0x1p-126), s * 1e-7);
    int top = 0;
    for (int i = 0; i < 32; i++) {
      top = std::max(top, abs(q[i]));
      CHECK(fabs((double)q[i] * s - x[i]) <= 0.5001 * s);
    }
    if (amax > 1e-30f) CHECK_EQ(top, 127);
  }
  std::fill(x.begin(), x.end(), 0.0f);
  CHECK(ao::quantize_group(x.data(), 32, q.data()) > 0 && q[5] == 0);
}

// The formulas of torchao on a bfloat16 or float16 row: the asymmetric form rounds each step to that dtype, the symmetric one s only.
TEST(tokens_follow_torchao_in_their_dtype) {
  Random random(seed());
  for (int64_t dtype : {AO_F32, AO_BF16, AO_F16})
    for (bool asymmetric : {false, true})
      for (int round = 0; round < 400; round++) {
        const bool reduced = round % 4 == 3;
        const double low = reduced ? -64 : -128, high = reduced ? 63 : 127, steps = high - low;
        const auto rounded = [&](double v) {
          uint8_t b[8];
          encode(dtype, b, 0, (float)v);
          return decode(dtype, b, 0);
        };
        const int64_t n = 1 + random.below(70);
        std::vector<float> x(n);
        std::vector<int8_t> q(n);
        const double shift = asymmetric ? 3 * random.normal() : 0;
        const double size = round % 7 ? 1 : 1e-4; // small rows reach eps, and in float16 an inverse that overflows
        for (float& v : x) v = (float)rounded((random.normal() + shift) * size);
        double lo = 0, hi = 0;
        for (float v : x) lo = fmin(lo, v), hi = fmax(hi, v);
        double s = asymmetric ? rounded(rounded(hi - lo) / steps) : rounded((float)fmax(-lo, hi) / (float)(steps / 2));
        s = fmax(s, asymmetric ? (dtype == AO_F16 ? 0x1p-14 : 0x1p-126) : 0x1p-23);
        const double z = asymmetric ? fmin(fmax(low - nearbyint(rounded((float)lo / (float)s)), low), high) : 0;
        const auto stepped = [&](float v) { return asymmetric ? rounded(v) : (double)v; };
        double inverse = stepped(1.0f / (float)s);
        if (isinf(inverse)) inverse = 1.0f / (float)s;
        int32_t zero;
        const float got = ao::quantize_token((int32_t)dtype, asymmetric, 0, x.data(), n, q.data(), &zero, reduced);
        CHECK(got == (float)s && zero == z);
        for (int64_t i = 0; i < n; i++) {
          const double code = fmin(fmax(nearbyint(stepped((float)x[i] * (float)inverse)) + z, low), high);
          CHECK_MSG(q[i] == code, "%s: code %d against %g", ao_dtype_name(dtype), q[i], code);
        }
      }
}

TEST(values_that_are_not_finite_poison_their_group) {
  std::vector<int8_t> q(8);
  int32_t zero;
  for (float bad : {(float)NAN, (float)-NAN, INFINITY, -INFINITY}) {
    const float x[] = {1, 2, bad, 3, 4, 5, 6, 7};
    CHECK(isnan(ao::quantize_group(x, 8, q.data())) && q[0] == 0 && q[7] == 0);
    for (bool asymmetric : {false, true})
      CHECK(isnan(ao::quantize_token(AO_F32, asymmetric, 0, x, 8, q.data(), &zero)) && q[1] == 0 && zero == 0);
  }
}

AO_TEST_MAIN()
