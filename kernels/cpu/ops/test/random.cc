// Philox against the published known answers; sampling against the distribution it is asked for.
#include "ops/philox.h"

#include <algorithm>

#include "testing/check.h"

using namespace ao_test;

TEST(philox_known_answer) {
  // Random123's kat_vectors for philox4x32-10 with counter and key zero
  const ao::Philox zero = ao::philox(0, 0, 0);
  CHECK(zero.word[0] == 0x6627e8d5 && zero.word[1] == 0xe169c58d && zero.word[2] == 0xbc57ac4c &&
        zero.word[3] == 0x9b00dbd8);
}

TEST(uniform_is_uniform_and_repeats) {
  Context one(1), two(3);
  constexpr int64_t n = 100000;
  Buffer<float> x(n), y(n), z(n);
  int32_t state[2] = {1234, 7}, same[2] = {1234, 7};
  ao_random_uniform_args args{x.data(), state, n, AO_F32, -1, 3};
  CHECK_EQ(ao_cpu_random_uniform(&args, one), 0);
  args.out = y.data(), args.state = same;
  CHECK_EQ(ao_cpu_random_uniform(&args, two), 0);
  CHECK(memcmp(x.data(), y.data(), n * 4) == 0 && state[1] == 8 && state[0] == 1234);
  args.out = z.data();
  CHECK_EQ(ao_cpu_random_uniform(&args, two), 0);
  double mean = 0, square = 0;
  int64_t equal = 0;
  for (int64_t i = 0; i < n; i++) {
    CHECK(x[i] >= -1 && x[i] < 3);
    CHECK_EQ(x[i], -1 + (float)(ao::philox(1234, (uint64_t)i, 7).word[0] >> 8) * 0x1p-24f * 4);
    mean += x[i] / n, square += (x[i] - 1) * (x[i] - 1) / n, equal += x[i] == z[i];
  }
  CHECK_NEAR(mean, 1, 5 * 4 / sqrt(12.0 * n));
  CHECK_NEAR(square, 16.0 / 12, 0.02);
  CHECK(equal < 10);
}

static int sample(ao_ctx* ctx, const std::vector<float>& logits, int32_t* state, double temperature, int64_t k,
                  double p, double min_p) {
  Buffer<float> x(logits);
  int32_t token = -1;
  const ao_sample_args args{&token, state, x.data(), 1, (int64_t)logits.size(), AO_F32, temperature, k, p, min_p};
  if (ao_cpu_sample(&args, ctx)) token = -2;
  ao_ctx_reset(ctx);
  return token;
}

TEST(greedy_takes_the_first_of_the_largest) {
  Context ctx(1);
  int32_t state[2] = {1, 5};
  CHECK_EQ(sample(ctx, {1, 3, 3, 2}, state, 0, 0, 1, 0), 1);
  CHECK_EQ(state[1], 6);
  CHECK_EQ(sample(ctx, {1, 3, NAN, 2}, nullptr, 0, 0, 1, 0), 2);
  CHECK_EQ(sample(ctx, {1, 3}, nullptr, 1, 0, 1, 0), -2);
  CHECK_EQ(sample(ctx, {1, 3}, state, -1, 0, 1, 0), -2);
  CHECK_EQ(sample(ctx, {1, NAN}, state, 1, 0, 1, 0), -2);
}

// The tokens kept and their probabilities, by sorting all.
static std::vector<double> expected(const std::vector<float>& logits, double temperature, int64_t k, double p,
                                    double min_p) {
  const int64_t n = (int64_t)logits.size();
  std::vector<int> order(n);
  for (int i = 0; i < n; i++) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  if (k > 0 && k < n) order.resize(k);
  std::vector<double> out(n, 0);
  double total = 0, kept = 0, before = 0;
  for (int i : order) total += exp((logits[i] - logits[order[0]]) / temperature);
  for (int i : order) {
    const double w = exp((logits[i] - logits[order[0]]) / temperature);
    if (before < p * total && w >= min_p) out[i] = w, kept += w;
    before += w;
  }
  for (double& w : out) w /= kept;
  return out;
}

TEST(draws_follow_the_distribution) {
  Context ctx(1);
  Random random(seed());
  std::vector<float> logits(40);
  for (float& v : logits) v = random.normal() * 2;
  logits[5] = logits[6];
  const struct {
    double t;
    int64_t k;
    double p, min_p;
  } cases[] = {{1, 0, 1, 0},   {0.7, 0, 1, 0}, {1, 5, 1, 0},    {1, 0, 0.6, 0},  {1.3, 10, 0.8, 0},
               {1, 0, 1, 0.2}, {1, 1, 1, 0},   {1, 0, 1e-9, 0}, {2, 0, 0.9, 0.1}};
  for (const auto& c : cases) {
    const std::vector<double> p = expected(logits, c.t, c.k, c.p, c.min_p);
    constexpr int draws = 20000;
    std::vector<int> seen(logits.size());
    int32_t state[2] = {(int32_t)seed(), 0};
    for (int i = 0; i < draws; i++) {
      const int token = sample(ctx, logits, state, c.t, c.k, c.p, c.min_p);
      CHECK(token >= 0 && token < (int)logits.size());
      if (token >= 0) seen[token]++;
    }
    CHECK_EQ(state[1], draws);
    double chi = 0;
    int cells = -1;
    for (size_t i = 0; i < p.size(); i++) {
      if (p[i] == 0) {
        CHECK_MSG(seen[i] == 0, "token %zu was dropped but drawn", i);
        continue;
      }
      chi += (seen[i] - draws * p[i]) * (seen[i] - draws * p[i]) / (draws * p[i]), cells++;
    }
    CHECK_MSG(chi < cells + 6 * sqrt(2.0 * (cells + 1)) + 6, "chi square %.1f on %d", chi, cells);
  }
}

TEST(a_seed_and_a_counter_name_a_token) {
  Context ctx(1);
  Random random(seed() + 1);
  std::vector<float> logits(5000);
  for (float& v : logits) v = random.normal();
  for (int i = 0; i < 50; i++) {
    int32_t a[2] = {i, 3 * i}, b[2] = {i, 3 * i};
    CHECK_EQ(sample(ctx, logits, a, 0.9, 50, 0.9, 0), sample(ctx, logits, b, 0.9, 50, 0.9, 0));
  }
}

TEST(rows_are_drawn_each_by_its_own_state) {
  Random random(seed() + 2);
  const int64_t rows = 5, n = 3000;
  std::vector<float> logits(rows * n);
  for (float& v : logits) v = random.normal();
  for (int threads : {1, 3}) {
    Context ctx(threads);
    for (double temperature : {0.0, 0.8}) {
      Buffer<float> x(logits);
      int32_t token[rows], state[2 * rows];
      for (int i = 0; i < rows; i++) state[2 * i] = 40 + i, state[2 * i + 1] = i;
      const ao_sample_args args{token, state, x.data(), rows, n, AO_F32, temperature, 50, 0.9, 0};
      CHECK_EQ(ao_cpu_sample(&args, ctx), 0);
      ao_ctx_reset(ctx);
      for (int i = 0; i < rows; i++) {
        int32_t alone[2] = {40 + i, i};
        CHECK_EQ(token[i],
                 sample(ctx, {logits.begin() + i * n, logits.begin() + (i + 1) * n}, alone, temperature, 50, 0.9, 0));
        CHECK_EQ(state[2 * i + 1], i + 1);
      }
    }
  }
}

AO_TEST_MAIN()
