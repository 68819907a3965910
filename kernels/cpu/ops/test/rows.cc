// Reductions, argmax, top-k, softmax, cross entropy and norms against double precision, sizes around the vector width
// and the blocks.
#include "ops/rows.h"

#include <algorithm>

#include "testing/check.h"

using namespace ao_test;

static const int64_t kFloats[] = {AO_F32, AO_BF16, AO_F16};
static const int64_t kSizes[] = {1, 2, 7, 8, 9, 16, 17, 31, 33, 64, 100, 255, 257, 1023, 1025, 4100};

static Buffer<unsigned char> values(Random& random, int64_t dtype, int64_t n, double scale = 1, double shift = 0) {
  Buffer<unsigned char> b(n * ao_dtype_size(dtype));
  for (int64_t i = 0; i < n; i++) encode(dtype, b.data(), i, random.normal() * scale + shift);
  return b;
}

TEST(reduce_floats) {
  Context ctx(2);
  Random random(seed());
  for (int64_t dtype : kFloats)
    for (int64_t n : {1, 2, 7, 17, 100, 1030, 70000})
      for (int64_t inner : {1, 3, 8, 65})
        for (int op = 0; op < ao::REDUCE_OPS; op++) {
          const int64_t outer = n > 5000 ? 1 : 3;
          if (n > 5000 && inner > 3) continue;
          const Buffer<unsigned char> x = op == ao::PROD ? values(random, dtype, outer * n * inner, 0.01, 1)
                                                         : values(random, dtype, outer * n * inner);
          Buffer<unsigned char> out(outer * inner * ao_dtype_size(dtype)), again(outer * inner * ao_dtype_size(dtype));
          ao_reduce_args args{out.data(), x.data(), outer, n, inner, dtype, dtype, op};
          CHECK_EQ(ao_cpu_reduce(&args, ctx), 0);
          CHECK(out.ok());
          Context one(1);
          args.out = again.data();
          CHECK_EQ(ao_cpu_reduce(&args, one), 0);
          CHECK(memcmp(out.data(), again.data(), out.size()) == 0);
          for (int64_t o = 0; o < outer; o++)
            for (int64_t k = 0; k < inner; k++) {
              double sum = 0, magnitude = 0, most = -INFINITY, least = INFINITY, product = 1;
              for (int64_t j = 0; j < n; j++) {
                const double v = decode(dtype, x.data(), (o * n + j) * inner + k);
                sum += v, magnitude += fabs(v), most = fmax(most, v), least = fmin(least, v), product *= v;
              }
              const double exact = op == ao::SUM    ? sum
                                   : op == ao::MEAN ? sum / n
                                   : op == ao::AMAX ? most
                                   : op == ao::AMIN ? least
                                                    : product;
              const double slack = op == ao::SUM ? magnitude * 0x1p-20 : op == ao::MEAN ? magnitude / n * 0x1p-20 : 0;
              if (dtype == AO_F16 && fabs(exact) > 65500) continue;
              CHECK_NEAR(decode(dtype, out.data(), o * inner + k), exact,
                         slack + fabs(exact) * half_step(dtype) * 1.001 + (dtype == AO_F16 ? 0x1p-25 : 1e-40));
            }
          ao_ctx_reset(ctx);
        }
}

TEST(reduce_specials_and_integers) {
  Context ctx(1);
  const float x[6] = {1, NAN, -3, 5, 2, -7};
  float out[3];
  for (int op : {ao::AMAX, ao::AMIN}) {
    const ao_reduce_args rows{out, x, 2, 3, 1, AO_F32, AO_F32, op}, columns{out, x, 1, 2, 3, AO_F32, AO_F32, op};
    CHECK_EQ(ao_cpu_reduce(&rows, ctx), 0);
    CHECK(isnan(out[0]) && out[1] == (op == ao::AMAX ? 5 : -7));
    CHECK_EQ(ao_cpu_reduce(&columns, ctx), 0);
    CHECK(isnan(out[1]) && out[0] == (op == ao::AMAX ? 5 : 1) && out[2] == (op == ao::AMAX ? -3 : -7));
  }
  const ao_reduce_args empty{out, x, 3, 0, 1, AO_F32, AO_F32, ao::SUM};
  CHECK_EQ(ao_cpu_reduce(&empty, ctx), 0);
  CHECK(out[0] == 0 && out[2] == 0);
  ao_reduce_args refused = empty;
  refused.op = ao::AMAX;
  CHECK_EQ(ao_cpu_reduce(&refused, ctx), 1);
  const int8_t codes[6] = {100, 100, -7, 3, 5, 127};
  int32_t sums[3];
  const ao_reduce_args sum{sums, codes, 1, 2, 3, AO_I8, AO_I32, ao::SUM};
  CHECK_EQ(ao_cpu_reduce(&sum, ctx), 0);
  CHECK(sums[0] == 103 && sums[1] == 105 && sums[2] == 120);
  const ao_reduce_args mean{out, codes, 2, 3, 1, AO_I8, AO_F32, ao::MEAN};
  CHECK_EQ(ao_cpu_reduce(&mean, ctx), 0);
  CHECK_EQ(out[1], 45.0f);
  const uint8_t flags[4] = {0, 1, 0, 0};
  uint8_t any[2];
  const ao_reduce_args or_{any, flags, 2, 2, 1, AO_BOOL, AO_BOOL, ao::AMAX};
  CHECK_EQ(ao_cpu_reduce(&or_, ctx), 0);
  CHECK(any[0] == 1 && any[1] == 0);
}

TEST(argmax_first_of_equals_and_nan_wins) {
  Context ctx(2);
  Random random(seed() + 1);
  for (int64_t dtype : {AO_F32, AO_BF16, AO_F16, AO_I32, AO_I8})
    for (int64_t n : kSizes)
      for (int64_t inner : {1, 3})
        for (int least : {0, 1}) {
          Buffer<unsigned char> x(2 * n * inner * ao_dtype_size(dtype));
          for (int64_t i = 0; i < 2 * n * inner; i++)
            encode(dtype, x.data(), i,
                   dtype <= AO_BF16 && random.below(3 * n) == 0 ? NAN : (double)(random.below(20) - 10));
          Buffer<int32_t> out(2 * inner);
          const ao_argmax_args args{out.data(), x.data(), 2, n, inner, dtype, least};
          CHECK_EQ(ao_cpu_argmax(&args, ctx), 0);
          for (int64_t p = 0; p < 2 * inner; p++) {
            int64_t best = -1;
            for (int64_t j = n - 1; j >= 0; j--) {
              const double v = decode(dtype, x.data(), (p / inner * n + j) * inner + p % inner),
                           b = best < 0 ? 0 : decode(dtype, x.data(), (p / inner * n + best) * inner + p % inner);
              if (best < 0 || isnan(v) || (!isnan(b) && (least ? v <= b : v >= b))) best = j;
            }
            CHECK_EQ((int64_t)out[p], best);
          }
        }
}

TEST(topk_is_sorted_with_low_indices_first) {
  Context ctx(2);
  Random random(seed() + 2);
  for (int64_t dtype : kFloats)
    for (int64_t n : {1, 5, 64, 1000})
      for (int64_t k : {int64_t{1}, (n + 1) / 2, n}) {
        Buffer<unsigned char> x(3 * n * ao_dtype_size(dtype)), top(3 * k * ao_dtype_size(dtype));
        for (int64_t i = 0; i < 3 * n; i++) encode(dtype, x.data(), i, i == 2 ? NAN : (double)random.below(n));
        Buffer<int32_t> indices(3 * k);
        const ao_topk_args args{top.data(), indices.data(), x.data(), 3, n, k, dtype};
        CHECK_EQ(ao_cpu_topk(&args, ctx), 0);
        CHECK(top.ok() && indices.ok());
        ao_ctx_reset(ctx);
        for (int64_t r = 0; r < 3; r++) {
          std::vector<std::pair<double, int64_t>> all;
          for (int64_t i = 0; i < n; i++) {
            const double v = decode(dtype, x.data(), r * n + i);
            all.push_back({isnan(v) ? -INFINITY : -v, i});
          }
          std::sort(all.begin(), all.end());
          for (int64_t i = 0; i < k; i++) {
            CHECK_EQ((int64_t)indices[r * k + i], all[i].second);
            CHECK_NEAR(decode(dtype, top.data(), r * k + i), decode(dtype, x.data(), r * n + all[i].second), 0);
          }
        }
      }
  const ao_topk_args bad{nullptr, nullptr, nullptr, 1, 4, 5, AO_F32};
  CHECK(ao_cpu_topk(&bad, ctx) == 1 && strstr(ao_ctx_error(ctx), "k is 5"));
}

TEST(softmax_and_its_log) {
  Context ctx(2);
  Random random(seed() + 3);
  for (int64_t dtype : kFloats)
    for (int64_t n : kSizes)
      for (int log_ : {0, 1}) {
        const Buffer<unsigned char> x = values(random, dtype, 3 * n, 4);
        Buffer<unsigned char> out(3 * n * ao_dtype_size(dtype));
        const ao_softmax_args args{out.data(), x.data(), 3, n, dtype, log_};
        CHECK_EQ(ao_cpu_softmax(&args, ctx), 0);
        CHECK(out.ok());
        ao_ctx_reset(ctx);
        for (int64_t r = 0; r < 3; r++) {
          double top = -INFINITY, sum = 0;
          for (int64_t i = 0; i < n; i++) top = fmax(top, decode(dtype, x.data(), r * n + i));
          for (int64_t i = 0; i < n; i++) sum += exp(decode(dtype, x.data(), r * n + i) - top);
          for (int64_t i = 0; i < n; i++) {
            const double d = decode(dtype, x.data(), r * n + i) - top, exact = log_ ? d - log(sum) : exp(d) / sum;
            // d itself is rounded, which moves e^d by |d| 2^-24 of itself
            CHECK_NEAR(decode(dtype, out.data(), r * n + i), exact,
                       fabs(exact) * (half_step(dtype) + 5e-7 + fabs(d) * 0x1p-24) + (log_              ? 1e-6
                                                                                      : dtype == AO_F16 ? 0x1p-25
                                                                                                        : 0));
          }
        }
      }
}

TEST(cross_entropy_in_nats) {
  Context ctx(2);
  Random random(seed() + 4);
  for (int64_t dtype : kFloats)
    for (int64_t vocab : {1, 10, 4096, 5001}) {
      const int64_t rows = 5, stride = vocab + 3;
      const Buffer<unsigned char> x = values(random, dtype, rows * stride, 3);
      Buffer<int32_t> targets(rows);
      for (int64_t r = 0; r < rows; r++) targets[r] = r == 1 ? -100 : (int32_t)random.below(vocab);
      Buffer<float> nll(rows);
      const ao_cross_entropy_args args{nll.data(), x.data(), targets.data(), rows, vocab, stride, dtype, -100};
      CHECK_EQ(ao_cpu_cross_entropy(&args, ctx), 0);
      CHECK(nll.ok());
      for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < vocab; i++) sum += exp(decode(dtype, x.data(), r * stride + i));
        const double exact = r == 1 ? 0 : log(sum) - decode(dtype, x.data(), r * stride + targets[r]);
        CHECK_NEAR(nll[r], exact, 1e-6 + fabs(exact) * 2e-7);
      }
      targets[3] = (int32_t)vocab;
      CHECK(ao_cpu_cross_entropy(&args, ctx) == 1 && strstr(ao_ctx_error(ctx), "of row 3"));
    }
}

TEST(norms) {
  Context ctx(2);
  Random random(seed() + 5);
  for (int64_t dtype : kFloats)
    for (int64_t n : kSizes)
      for (const bool weighted : {true, false}) {
        const int64_t rows = 3, stride = n + 2;
        const Buffer<unsigned char> x = values(random, dtype, rows * stride, 2, 0.5), w = values(random, dtype, n),
                                    b = values(random, dtype, n);
        Buffer<unsigned char> rms(rows * n * ao_dtype_size(dtype)), layer(rows * n * ao_dtype_size(dtype));
        const ao_rms_norm_args a{rms.data(), x.data(), weighted ? w.data() : nullptr, rows, n, stride, dtype, 1e-5, 0};
        CHECK_EQ(ao_cpu_rms_norm(&a, ctx), 0);
        Buffer<unsigned char> shifted(rows * n * ao_dtype_size(dtype));
        ao_rms_norm_args plus = a;
        plus.out = shifted.data(), plus.offset = 1;
        CHECK_EQ(ao_cpu_rms_norm(&plus, ctx), 0);
        const ao_layer_norm_args l{
            layer.data(), x.data(), weighted ? w.data() : nullptr, weighted ? b.data() : nullptr, rows, n, stride,
            dtype,        1e-5};
        CHECK_EQ(ao_cpu_layer_norm(&l, ctx), 0);
        CHECK(rms.ok() && shifted.ok() && layer.ok());
        for (int64_t r = 0; r < rows; r++) {
          double squares = 0, mean = 0, variance = 0;
          const auto at = [&](int64_t i) { return decode(dtype, x.data(), r * stride + i); };
          for (int64_t i = 0; i < n; i++) squares += at(i) * at(i) / n, mean += at(i) / n;
          for (int64_t i = 0; i < n; i++) variance += (at(i) - mean) * (at(i) - mean) / n;
          for (int64_t i = 0; i < n; i++) {
            const double weight = weighted ? decode(dtype, w.data(), i) : 1,
                         bias = weighted ? decode(dtype, b.data(), i) : 0;
            const double y = at(i) / sqrt(squares + 1e-5) * weight;
            CHECK_NEAR(decode(dtype, rms.data(), r * n + i), y,
                       fabs(y) * (2.05 * half_step(dtype) + 1e-6) + (dtype == AO_F16 ? 0x1p-23 : 0));
            const double more = at(i) / sqrt(squares + 1e-5) * (weighted ? 1 + weight : 1);
            CHECK_NEAR(decode(dtype, shifted.data(), r * n + i), more,
                       fabs(more) * (2.05 * half_step(dtype) + 1e-6) + fabs(at(i) / sqrt(squares + 1e-5)) * 0x1p-23 +
                           (dtype == AO_F16 ? 0x1p-23 : 0));
            const double z = (at(i) - mean) / sqrt(variance + 1e-5) * weight, exact = z + bias;
            // a float32 mean is off by half an ulp, which a small variance magnifies
            const double of_mean = 0x1p-23 * fabs(mean) / sqrt(variance + 1e-5) * fabs(weight);
            CHECK_NEAR(decode(dtype, layer.data(), r * n + i), exact,
                       of_mean + fabs(exact) * half_step(dtype) * 1.01 +
                           (n == 1 ? 1e-3 : 4e-6) * (fabs(weight) + fabs(z)) + (dtype == AO_F16 ? 0x1p-23 : 1e-7));
          }
        }
      }
}

AO_TEST_MAIN()
