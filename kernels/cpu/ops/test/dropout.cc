// Dropout and normal numbers: the words of Philox, the mask again in backward, moments of the normals, and equal bits for any threads.
#include <algorithm>
#include <vector>

#include "ops/philox.h"
#include "testing/check.h"

using namespace ao_test;

static uint32_t word(uint32_t seed, int64_t i, uint32_t call) {
  return ao::philox(seed, (uint64_t)(i / 4), call).word[i % 4];
}

TEST(dropout_and_its_gradient) {
  Random random(seed());
  for (int64_t dtype : {AO_F32, AO_BF16, AO_F16})
    for (int64_t n : {1, 3, 63, 64, 65, 20001})
      for (const double p : {0.0, 0.1, 0.75}) {
        Context ctx(2);
        Buffer<unsigned char> x(n * ao_dtype_size(dtype)), out(n * ao_dtype_size(dtype)), dx(n * ao_dtype_size(dtype));
        for (int64_t i = 0; i < n; i++) encode(dtype, x.data(), i, random.normal());
        const int32_t of = (int32_t)random.next();
        Buffer<int32_t> state(std::vector<int32_t>{of, 41}), saved(2);
        const ao_dropout_args a{out.data(), saved.data(), state.data(), x.data(), n, dtype, p};
        CHECK_EQ(ao_cpu_dropout(&a, ctx), 0);
        CHECK(out.ok() && state[0] == of && state[1] == 42 && saved[0] == of && saved[1] == 41);
        int64_t kept = 0;
        for (int64_t i = 0; i < n; i++) {
          const bool keeps = word((uint32_t)of, i, 41) >= p * 0x1p32;
          kept += keeps;
          float wanted[1];
          encode(dtype, wanted, 0, keeps ? (double)((float)decode(dtype, x.data(), i) * (float)(1 / (1 - p))) : 0);
          CHECK_NEAR(decode(dtype, out.data(), i), decode(dtype, wanted, 0), 0);
        }
        if (n > 20000) CHECK_NEAR((double)kept / (double)n, 1 - p, 0.02);
        const ao_dropout_backward_args b{dx.data(), x.data(), saved.data(), n, dtype, p};
        CHECK_EQ(ao_cpu_dropout_backward(&b, ctx), 0);
        CHECK(dx.ok() && memcmp(dx.data(), out.data(), (size_t)out.size()) == 0);
      }
  Context ctx(1);
  Buffer<int32_t> state(2), saved(2);
  const ao_dropout_args bad{nullptr, saved.data(), state.data(), nullptr, 1, AO_F32, 1.0};
  CHECK(ao_cpu_dropout(&bad, ctx) == 1 && strstr(ao_ctx_error(ctx), "p is 1"));
}

TEST(normals) {
  const int64_t n = 100001;
  Buffer<float> x(n), again(n);
  Buffer<int32_t> state(std::vector<int32_t>{7, 3}), other(std::vector<int32_t>{7, 3});
  Context two(2), one(1);
  ao_random_normal_args a{x.data(), state.data(), n, AO_F32, 0.5, 2, 0, 1, -INFINITY, INFINITY};
  CHECK_EQ(ao_cpu_random_normal(&a, two), 0);
  CHECK(x.ok() && state[1] == 4);
  a.out = again.data(), a.state = other.data();
  CHECK_EQ(ao_cpu_random_normal(&a, one), 0);
  CHECK(memcmp(x.data(), again.data(), (size_t)n * sizeof(float)) == 0);
  double sum = 0, squares = 0, fourth = 0;
  for (int64_t i = 0; i < n; i++) {
    const double z = (x[i] - 0.5) / 2, p = 0.5 * erfc(-z / sqrt(2.0));
    sum += z, squares += z * z, fourth += z * z * z * z;
    CHECK_NEAR(p, (word(7, i, 3) + 0.5) * 0x1p-32, 1e-7); // the quantile's inverse, to float32's rounding
  }
  CHECK_NEAR(sum / (double)n, 0, 0.01);
  CHECK_NEAR(squares / (double)n, 1, 0.02);
  CHECK_NEAR(fourth / (double)n, 3, 0.1);
  a.low = 0.1, a.high = 0.3, a.least = -1.5, a.most = -0.8;
  CHECK_EQ(ao_cpu_random_normal(&a, two), 0);
  const float least = *std::min_element(again.data(), again.data() + n),
              most = *std::max_element(again.data(), again.data() + n);
  CHECK(least == -1.5f && most == -0.8f);
  a.high = 0.1;
  CHECK(ao_cpu_random_normal(&a, two) == 1 && strstr(ao_ctx_error(two), "0.1 to 0.1"));
}

AO_TEST_MAIN()
