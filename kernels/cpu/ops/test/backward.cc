// The gradients of norms, activations, softmax, cross entropy and lookups against double precision, sizes around the vector width and the
// blocks; one thread gives the bits of two.
#include "ops/backward.h"

#include <vector>

#include "testing/check.h"

using namespace ao_test;

typedef Buffer<unsigned char> Bytes;

static const int64_t kFloats[] = {AO_F32, AO_BF16, AO_F16};
static const int64_t kSizes[] = {1, 7, 16, 17, 64, 100, 257, 1025};

static Bytes values(Random& random, int64_t dtype, int64_t n, double scale = 1) {
  Bytes b(n * ao_dtype_size(dtype));
  for (int64_t i = 0; i < n; i++) encode(dtype, b.data(), i, random.normal() * scale);
  return b;
}
static Bytes room(int64_t dtype, int64_t n) { return Bytes(n * ao_dtype_size(dtype), 0x5a); }

// A rounding to the dtype beside float32's own error, relative to `scale`, what the sums' terms are like.
static double slack(int64_t dtype, double exact, double scale) {
  return fabs(exact) * half_step(dtype) * 1.01 + scale * 4e-6 + (dtype == AO_F16 ? 0x1p-25 : 1e-38);
}

// Runs with two threads, and with one into other memory; every output has the same bits and nothing around it is written.
template <class Args, class Swap>
static void run_twice(int (*run)(const Args*, ao_ctx*), const Args& args, std::vector<Bytes*> outs, const Swap& swap) {
  Context two(2), one(1);
  CHECK_EQ(run(&args, two), 0);
  std::vector<Bytes> again;
  for (Bytes* out : outs) again.emplace_back(out->size(), 0x33);
  Args other = args;
  swap(other, again);
  CHECK_EQ(run(&other, one), 0);
  for (size_t i = 0; i < outs.size(); i++) {
    CHECK(outs[i]->ok() && again[i].ok());
    CHECK(memcmp(outs[i]->data(), again[i].data(), (size_t)outs[i]->size()) == 0);
  }
}

TEST(norms) {
  Random random(seed());
  for (int64_t dtype : kFloats)
    for (int64_t n : kSizes)
      for (int64_t rows : {1, 3, 40, 1100})
        for (const double offset : {0.0, 1.0}) {
          if (rows > 100 && n > 100) continue;
          const Bytes g = values(random, dtype, rows * n), x = values(random, dtype, rows * n, 2),
                      w = values(random, dtype, n);
          const bool weighted = n != 64;
          Bytes dx = room(dtype, rows * n), dw = room(dtype, n), lx = room(dtype, rows * n), lw = room(dtype, n),
                lb = room(dtype, n);
          const double eps = 1e-3;
          const ao_rms_norm_backward_args rms{dx.data(), dw.data(), g.data(), x.data(), weighted ? w.data() : nullptr,
                                              rows,      n,         dtype,    eps,      weighted ? offset : 0};
          run_twice(ao_cpu_rms_norm_backward, rms, {&dx, &dw},
                    [](auto& a, auto& to) { a.dx = to[0].data(), a.dw = to[1].data(); });
          const ao_layer_norm_backward_args layer{
              lx.data(), lw.data(), lb.data(), g.data(), x.data(), weighted ? w.data() : nullptr, rows, n, dtype, eps};
          run_twice(ao_cpu_layer_norm_backward, layer, {&lx, &lw, &lb},
                    [](auto& a, auto& to) { a.dx = to[0].data(), a.dw = to[1].data(), a.db = to[2].data(); });
          std::vector<double> sums(n), layers(n), biases(n), sizes(n);
          for (int64_t r = 0; r < rows; r++) {
            const auto at = [&](const Bytes& t, int64_t i) { return decode(dtype, t.data(), r * n + i); };
            const auto weight = [&](int64_t i) { return weighted ? decode(dtype, w.data(), i) : 1; };
            double squares = 0, mean = 0, variance = 0;
            for (int64_t i = 0; i < n; i++) squares += at(x, i) * at(x, i) / n, mean += at(x, i) / n;
            for (int64_t i = 0; i < n; i++) variance += (at(x, i) - mean) * (at(x, i) - mean) / n;
            const double s = 1 / sqrt(squares + eps), t = 1 / sqrt(variance + eps);
            double dot = 0, a = 0, b = 0, size = 0;
            for (int64_t i = 0; i < n; i++) {
              const double gw = at(g, i) * (weight(i) + (weighted ? offset : 0)), y = (at(x, i) - mean) * t;
              dot += gw * at(x, i) / n, a += at(g, i) * weight(i) / n, b += at(g, i) * weight(i) * y / n;
              size += fabs(gw) / n + fabs(gw * y) / n;
            }
            for (int64_t i = 0; i < n; i++) {
              const double gw = at(g, i) * (weight(i) + (weighted ? offset : 0)), y = (at(x, i) - mean) * t;
              const double exact = s * (gw - at(x, i) * s * s * dot);
              CHECK_NEAR(decode(dtype, dx.data(), r * n + i), exact,
                         slack(dtype, exact, s * (fabs(gw) + size * (1 + fabs(at(x, i) * s)))));
              const double lexact = t * (at(g, i) * weight(i) - a - y * b);
              // the mean is off by float32's half ulp, which a small variance magnifies
              CHECK_NEAR(decode(dtype, lx.data(), r * n + i), lexact,
                         slack(dtype, lexact, t * (1 + fabs(mean) * t) * (fabs(gw) + size + 1) * (1 + fabs(y))));
              sums[i] += at(g, i) * at(x, i) * s, layers[i] += at(g, i) * y, biases[i] += at(g, i);
              sizes[i] += fabs(at(g, i)) * (1 + fabs(at(x, i) * s) + fabs(y) + fabs(mean) * t);
            }
          }
          for (int64_t i = 0; i < n; i++) {
            CHECK_NEAR(decode(dtype, dw.data(), i), sums[i], slack(dtype, sums[i], sizes[i]));
            CHECK_NEAR(decode(dtype, lw.data(), i), layers[i], slack(dtype, layers[i], sizes[i]));
            CHECK_NEAR(decode(dtype, lb.data(), i), biases[i], slack(dtype, biases[i], sizes[i]));
          }
        }
}

TEST(norms_of_what_is_wanted) {
  Context ctx(2);
  Random random(seed() + 1);
  const int64_t rows = 5, n = 33;
  const Bytes g = values(random, AO_F32, rows * n), x = values(random, AO_F32, rows * n), w = values(random, AO_F32, n);
  Bytes dx = room(AO_F32, rows * n), dw = room(AO_F32, n), both_x = room(AO_F32, rows * n), both_w = room(AO_F32, n);
  ao_rms_norm_backward_args a{both_x.data(), both_w.data(), g.data(), x.data(), w.data(), rows, n, AO_F32, 1e-5, 0};
  CHECK_EQ(ao_cpu_rms_norm_backward(&a, ctx), 0);
  a.dx = dx.data(), a.dw = nullptr;
  CHECK_EQ(ao_cpu_rms_norm_backward(&a, ctx), 0);
  a.dx = nullptr, a.dw = dw.data();
  CHECK_EQ(ao_cpu_rms_norm_backward(&a, ctx), 0);
  CHECK(memcmp(dx.data(), both_x.data(), (size_t)dx.size()) == 0);
  CHECK(memcmp(dw.data(), both_w.data(), (size_t)dw.size()) == 0);
  Bytes db = room(AO_F32, n);
  const ao_layer_norm_backward_args bias{nullptr,  nullptr, db.data(), g.data(), x.data(),
                                         w.data(), rows,    n,         AO_F32,   1e-5};
  CHECK_EQ(ao_cpu_layer_norm_backward(&bias, ctx), 0);
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) sum += decode(AO_F32, g.data(), r * n + i);
    CHECK_NEAR(decode(AO_F32, db.data(), i), sum, 1e-5);
  }
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double slope_of(int op, double x) {
  if (op == ao::SILU_GRAD) return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  if (op == ao::GELU_GRAD) return 0.5 * erfc(-x / sqrt(2.0)) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
  const double k = 2 * sqrt(2 / M_PI), s = sigmoid(k * (x + 0.044715 * x * x * x));
  return s + x * s * (1 - s) * k * (1 + 3 * 0.044715 * x * x);
}

TEST(activations) {
  Random random(seed() + 2);
  for (int64_t dtype : kFloats)
    for (int64_t n : {1, 7, 16, 33, 20000}) {
      const Bytes g = values(random, dtype, n), up = values(random, dtype, n);
      Bytes x = values(random, dtype, n, 3), dx = room(dtype, n), dup = room(dtype, n);
      if (n == 33)
        for (int64_t i = 0; i < 8; i++)
          encode(dtype, x.data(), i, (i % 2 ? 1 : -1) * (i < 2 ? INFINITY : 5.0 * (double)i));
      for (int op = 0; op < ao::ACTIVATION_GRADS; op++) {
        const ao_activation_backward_args a{dx.data(), g.data(), x.data(), n, dtype, op};
        run_twice(ao_cpu_activation_backward, a, {&dx}, [](auto& b, auto& to) { b.dx = to[0].data(); });
        for (int64_t i = 0; i < n; i++) {
          const double v = decode(dtype, x.data(), i), gi = decode(dtype, g.data(), i);
          const double exact = isinf(v) ? (v > 0 ? gi : 0) : gi * slope_of(op, v);
          CHECK_NEAR(decode(dtype, dx.data(), i), exact, slack(dtype, exact, fabs(gi) * 0.5));
        }
      }
      const ao_silu_mul_backward_args a{dx.data(), dup.data(), g.data(), x.data(), up.data(), n, dtype};
      run_twice(ao_cpu_silu_mul_backward, a, {&dx, &dup},
                [](auto& b, auto& to) { b.dgate = to[0].data(), b.dup = to[1].data(); });
      for (int64_t i = 0; i < n; i++) {
        const double v = decode(dtype, x.data(), i), gi = decode(dtype, g.data(), i), u = decode(dtype, up.data(), i);
        const double exact = isinf(v) ? (v > 0 ? gi * u : 0) : gi * u * slope_of(ao::SILU_GRAD, v);
        const double other = v == -INFINITY ? 0 : gi * v * sigmoid(v);
        CHECK_NEAR(decode(dtype, dx.data(), i), exact, slack(dtype, exact, fabs(gi * u) * 0.5));
        CHECK_NEAR(decode(dtype, dup.data(), i), other, slack(dtype, other, isinf(v) ? 0 : fabs(other)) + 1e-35);
      }
    }
  Context ctx(1);
  const ao_activation_backward_args bad{nullptr, nullptr, nullptr, 1, AO_F32, 9};
  CHECK(ao_cpu_activation_backward(&bad, ctx) == 1 && strstr(ao_ctx_error(ctx), "code 9"));
}

TEST(softmax_and_cross_entropy) {
  Random random(seed() + 3);
  for (int64_t dtype : kFloats)
    for (int64_t n : {1, 7, 16, 100, 257, 5001}) {
      const int64_t rows = 5;
      const Bytes g = values(random, dtype, rows * n), x = values(random, dtype, rows * n, 2);
      Bytes y = room(dtype, rows * n), z = room(dtype, rows * n), dx = room(dtype, rows * n);
      std::vector<double> p(rows * n);
      for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += exp(decode(dtype, x.data(), r * n + i));
        for (int64_t i = 0; i < n; i++) {
          p[r * n + i] = exp(decode(dtype, x.data(), r * n + i)) / sum;
          encode(dtype, y.data(), r * n + i, p[r * n + i]), encode(dtype, z.data(), r * n + i, log(p[r * n + i]));
        }
      }
      for (int log_ : {0, 1}) {
        const Bytes& of = log_ ? z : y;
        const ao_softmax_backward_args a{dx.data(), g.data(), of.data(), rows, n, dtype, log_};
        run_twice(ao_cpu_softmax_backward, a, {&dx}, [](auto& b, auto& to) { b.dx = to[0].data(); });
        for (int64_t r = 0; r < rows; r++) {
          double dot = 0, size = 0;
          for (int64_t i = 0; i < n; i++) {
            const double term = decode(dtype, g.data(), r * n + i) * (log_ ? 1 : decode(dtype, of.data(), r * n + i));
            dot += term, size += fabs(term);
          }
          for (int64_t i = 0; i < n; i++) {
            const double gi = decode(dtype, g.data(), r * n + i), yi = decode(dtype, of.data(), r * n + i);
            const double exact = log_ ? gi - exp(yi) * dot : yi * (gi - dot);
            CHECK_NEAR(decode(dtype, dx.data(), r * n + i), exact,
                       slack(dtype, exact, log_ ? fabs(gi) + exp(yi) * size : yi * (fabs(gi) + size)));
          }
        }
      }
      Buffer<int32_t> targets(rows);
      Buffer<float> of_rows(rows);
      for (int64_t r = 0; r < rows; r++)
        targets[r] = r == 1 ? -100 : (int32_t)random.below(n), of_rows[r] = r == 1 ? NAN : random.normal();
      ao_cross_entropy_backward_args a{dx.data(), of_rows.data(), x.data(), targets.data(), rows, n, dtype, -100};
      run_twice(ao_cpu_cross_entropy_backward, a, {&dx}, [](auto& b, auto& to) { b.dx = to[0].data(); });
      for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
          const double exact = r == 1 ? 0 : (p[r * n + i] - (i == targets[r])) * of_rows[r];
          CHECK_NEAR(decode(dtype, dx.data(), r * n + i), exact,
                     r == 1 ? 0 : slack(dtype, exact, fabs(of_rows[r]) * (i == targets[r] ? 1 : p[r * n + i])));
        }
      Context ctx(1);
      targets[3] = (int32_t)n;
      CHECK(ao_cpu_cross_entropy_backward(&a, ctx) == 1 && strstr(ao_ctx_error(ctx), "of row 3"));
    }
}

TEST(embedding) {
  Random random(seed() + 4);
  for (int64_t dtype : kFloats)
    for (int64_t dim : {1, 16, 33, 200}) {
      const int64_t n = 300, vocab = 57;
      const Bytes g = values(random, dtype, n * dim);
      Buffer<int32_t> ids(n);
      for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)(random.below(7) ? random.below(vocab) / 2 : 40);
      Bytes dw = room(dtype, vocab * dim);
      const ao_embedding_backward_args a{dw.data(), g.data(), ids.data(), n, vocab, dim, dtype};
      run_twice(ao_cpu_embedding_backward, a, {&dw}, [](auto& b, auto& to) { b.dw = to[0].data(); });
      std::vector<double> sums(vocab * dim), sizes(vocab * dim);
      for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < dim; k++) {
          const double v = decode(dtype, g.data(), i * dim + k);
          sums[ids[i] * dim + k] += v, sizes[ids[i] * dim + k] += fabs(v);
        }
      for (int64_t i = 0; i < vocab * dim; i++)
        CHECK_NEAR(decode(dtype, dw.data(), i), sums[i], slack(dtype, sums[i], sizes[i]));
      Context ctx(1);
      ids[7] = -1;
      CHECK(ao_cpu_embedding_backward(&a, ctx) == 1 && strstr(ao_ctx_error(ctx), "index -1 at position 7"));
    }
}

TEST(gather) {
  Random random(seed() + 5);
  const int64_t shape[3] = {3, 4, 5}, x_shape[3] = {4, 6, 7};
  for (int64_t dtype : kFloats)
    for (int64_t dim = 0; dim < 3; dim++) {
      const int64_t total = 60, x_total = 168;
      const Bytes g = values(random, dtype, total);
      Buffer<int32_t> index(total);
      for (int64_t i = 0; i < total; i++) index[i] = (int32_t)random.below(x_shape[dim]);
      Bytes dx = room(dtype, x_total);
      ao_gather_backward_args a{dx.data(), g.data(), index.data(), 3, {}, {}, dim, dtype};
      for (int d = 0; d < 3; d++) a.shape[d] = shape[d], a.x_shape[d] = x_shape[d];
      run_twice(ao_cpu_gather_backward, a, {&dx}, [](auto& b, auto& to) { b.dx = to[0].data(); });
      std::vector<double> sums(x_total);
      for (int64_t i = 0; i < total; i++) {
        int64_t at[3] = {i / 20, i / 5 % 4, i % 5};
        at[dim] = index[i];
        sums[(at[0] * 6 + at[1]) * 7 + at[2]] += decode(dtype, g.data(), i);
      }
      for (int64_t i = 0; i < x_total; i++) CHECK_NEAR(decode(dtype, dx.data(), i), sums[i], slack(dtype, sums[i], 4));
      Context ctx(1);
      index[5] = (int32_t)x_shape[dim];
      CHECK(ao_cpu_gather_backward(&a, ctx) == 1 && strstr(ao_ctx_error(ctx), "at element 5"));
    }
}

TEST(norm_of_gradients_and_clipping) {
  Random random(seed() + 6);
  for (int64_t dtype : kFloats) {
    double exact = 0;
    Buffer<float> out(1);
    Buffer<double> total(1, 1e9);
    Context two(2), one(1);
    for (int64_t n : {1, 100, 16384, 40001}) {
      Bytes x = values(random, dtype, n);
      for (int64_t i = 0; i < n; i++) exact += pow(decode(dtype, x.data(), i), 2);
      const double before = *total.data();
      const ao_sum_of_squares_args a{out.data(), total.data(), x.data(), n, dtype, n == 1};
      CHECK_EQ(ao_cpu_sum_of_squares(&a, two), 0);
      const double sum = *total.data();
      *total.data() = before;
      CHECK_EQ(ao_cpu_sum_of_squares(&a, one), 0);
      CHECK_EQ(*total.data(), sum);
      CHECK_NEAR(out[0], exact, exact * 1e-6);
    }
    const int64_t n = 40001;
    const Bytes x = values(random, dtype, n);
    const auto scaled = [&](float factor, bool given, double value, bool clip, float expected) {
      Bytes y(x.size());
      memcpy(y.data(), x.data(), (size_t)x.size());
      const ao_scale_args a{y.data(), given ? &factor : nullptr, n, dtype, value, clip};
      CHECK_EQ(ao_cpu_scale(&a, two), 0);
      CHECK(y.ok());
      for (int64_t i = 0; i < n; i++) {
        float wanted[1];
        encode(dtype, wanted, 0, (double)((float)decode(dtype, x.data(), i) * expected));
        CHECK_NEAR(decode(dtype, y.data(), i), decode(dtype, wanted, 0), 0);
      }
    };
    scaled(0.3f, true, 7, false, 0.3f);
    scaled(0, false, 0.7, false, 0.7f);
    scaled(4.0f, true, 1.5, true, 1.5f / (4.0f + 1e-6f));
    scaled(0.5f, true, 1.5, true, 1.0f);
    scaled(NAN, true, 1.5, true, NAN);
  }
}

AO_TEST_MAIN()
