// Processed logits against sums by hand, and refusals of texts that do not fit.
#include <algorithm>

#include "testing/check.h"

using namespace ao_test;

namespace {
struct Call {
  std::vector<float> logits;
  std::vector<int32_t> history, lengths, token, ends, mask;
  std::vector<float> bias;
  int64_t rows = 1, ngram = 0, min_new = 0;
  double repetition = 1, frequency = 0, presence = 0;
  int run(ao_ctx* ctx) {
    const auto at = [](auto& v) { return v.empty() ? nullptr : v.data(); };
    const ao_process_logits_args args{at(logits),
                                      at(history),
                                      at(lengths),
                                      at(token),
                                      at(bias),
                                      at(ends),
                                      at(mask),
                                      rows,
                                      (int64_t)logits.size() / rows,
                                      (int64_t)history.size() / rows,
                                      (int64_t)ends.size(),
                                      min_new,
                                      ngram,
                                      repetition,
                                      frequency,
                                      presence};
    const int failed = ao_cpu_process_logits(&args, ctx);
    ao_ctx_reset(ctx);
    return failed;
  }
};
} // namespace

TEST(penalties_by_hand) {
  Context ctx(1);
  Call c{{4, -4, 2, 1}, {0, 1, 1, 0, 0}, {2, 4}, {1}, {}, {}, {}};
  c.repetition = 2, c.frequency = 0.5, c.presence = 0.25;
  CHECK_EQ(c.run(ctx), 0);
  // the text is 0 1 | 1 0 1: id 0 was chosen once, id 1 twice
  CHECK_EQ(c.logits[0], 2 - 0.5f - 0.25f);
  CHECK_EQ(c.logits[1], -8 - 1 - 0.25f);
  CHECK(c.logits[2] == 2 && c.logits[3] == 1);
  CHECK(c.history[4] == 1 && c.lengths[1] == 5 && c.lengths[0] == 2);
}

TEST(forbidden_ids) {
  Context ctx(1);
  Call c{std::vector<float>(40, 1), {7, 8, 9, 7, 8}, {5, 5}, {}, {3}, {}, {}};
  c.ngram = 3, c.min_new = 1;
  CHECK_EQ(c.run(ctx), 0);
  for (int i = 0; i < 40; i++) CHECK_EQ(std::isinf(c.logits[i]), i == 9 || i == 3);
  Call masked{std::vector<float>(40, 1), {}, {}, {}, {}, {1 << 30 | 2, 0x80}, std::vector<float>(40, 2)};
  CHECK_EQ(masked.run(ctx), 0);
  for (int i = 0; i < 40; i++) CHECK_EQ(masked.logits[i], i == 1 || i == 30 || i == 39 ? 3 : -INFINITY);
}

TEST(rows_do_not_depend_on_threads_or_neighbours) {
  Random random(seed());
  const int64_t rows = 5, n = 500, length = 60;
  Call all;
  all.rows = rows, all.repetition = 1.1, all.frequency = 0.3, all.presence = 0.2, all.ngram = 2;
  for (int i = 0; i < rows * n; i++) all.logits.push_back(random.normal());
  for (int i = 0; i < rows * length; i++) all.history.push_back(std::abs((int)(random.normal() * 9)));
  for (int r = 0; r < rows; r++) all.lengths.push_back(3 * r), all.lengths.push_back(20 + 8 * r);
  Call one = all;
  Context first(1), second(3);
  CHECK_EQ(one.run(first), 0);
  Call many = all;
  CHECK_EQ(many.run(second), 0);
  CHECK(one.logits == many.logits || std::equal(one.logits.begin(), one.logits.end(), many.logits.begin()));
  for (int r = 0; r < rows; r++) {
    Call alone = all;
    alone.rows = 1;
    alone.logits.assign(all.logits.begin() + r * n, all.logits.begin() + (r + 1) * n);
    alone.history.assign(all.history.begin() + r * length, all.history.begin() + (r + 1) * length);
    alone.lengths.assign(all.lengths.begin() + 2 * r, all.lengths.begin() + 2 * r + 2);
    CHECK_EQ(alone.run(first), 0);
    CHECK(std::equal(alone.logits.begin(), alone.logits.end(), one.logits.begin() + r * n));
  }
}

TEST(texts_that_do_not_fit_are_refused) {
  Context ctx(1);
  Call full{{1, 2}, {0, 1}, {1, 2}, {1}, {}, {}, {}};
  CHECK(full.run(ctx) != 0);
  Call outside{{1, 2}, {0, 2}, {1, 2}, {}, {}, {}, {}};
  CHECK(outside.run(ctx) != 0);
  Call lengths{{1, 2}, {0, 1}, {2, 1}, {}, {}, {}, {}};
  CHECK(lengths.run(ctx) != 0);
  Call none{{1, 2}, {}, {}, {}, {}, {}, {}};
  none.presence = 1;
  CHECK(none.run(ctx) != 0);
}

AO_TEST_MAIN()
