// The gradients of linear against double sums: dtypes, ragged edges, every weight format packed and plain, several weights of one x,
// and the same bits whatever the threads.
#include "gemm/test/cases.h"

using namespace ao_test;

static const int64_t kDtypes[] = {AO_F32, AO_BF16, AO_F16};

static void add_term(Expected* e, double a, double b) {
  e->value += a * b;
  e->magnitude += fabs(a * b);
}

static void check_at(const Matrix& out, int64_t r, int64_t c, const Expected& e, int64_t terms,
                     const std::string& what) {
  const double got = out.at(r, c);
  CHECK_MSG(fabs(got - e.value) <= tolerance(e, terms, out.dtype), "%s at %lld, %lld: %.9g against %.9g", what.c_str(),
            (long long)r, (long long)c, got, e.value);
}

static std::string name_of(int64_t m, int64_t n, int64_t k, int64_t g, int64_t other) {
  char text[120];
  snprintf(text, sizeof text, "m %lld n %lld k %lld g %s other %s", (long long)m, (long long)n, (long long)k,
           ao_dtype_name(g), ao_dtype_name(other));
  return text;
}

static void run_input(ao_ctx* ctx, const ao_linear_grad_input_args& a) {
  CHECK_MSG(ao_cpu_linear_grad_input(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
  ao_ctx_reset(ctx);
}

static ao_linear_grad_input_args input_args(Matrix& g, void* w, int64_t code, Matrix& out) {
  ao_linear_grad_input_args a = {};
  a.out = out.data();
  a.m = g.rows;
  a.k = out.cols;
  a.g_dtype = g.dtype;
  a.out_dtype = out.dtype;
  a.count = 1;
  a.g0 = g.data();
  a.weight0 = w;
  a.n0 = g.cols;
  a.code0 = code;
  return a;
}

static void check_weight(ao_ctx* ctx, int64_t m, int64_t n, int64_t k, int64_t g_dtype, int64_t x_dtype,
                         Random& random) {
  Matrix g(g_dtype, m, n), x(x_dtype, m, k), out(x_dtype, n, k);
  g.randomize(random);
  x.randomize(random);
  const ao_linear_grad_weight_args a = {out.data(), g.data(), x.data(), m, n, k, g_dtype, x_dtype, x_dtype};
  CHECK_MSG(ao_cpu_linear_grad_weight(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
  ao_ctx_reset(ctx);
  CHECK(out.bytes.ok());
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < k; j++) {
      Expected e = {0, 0};
      for (int64_t r = 0; r < m; r++) add_term(&e, g.at(r, i), x.at(r, j));
      check_at(out, i, j, e, m, "gradient of w, " + name_of(m, n, k, g_dtype, x_dtype));
    }
}

static void check_input(ao_ctx* ctx, int64_t m, int64_t n, int64_t k, int64_t g_dtype, int64_t w_dtype,
                        Random& random) {
  Matrix g(g_dtype, m, n), w(w_dtype, n, k), out(g_dtype, m, k);
  g.randomize(random);
  w.randomize(random);
  run_input(ctx, input_args(g, w.data(), w_dtype, out));
  CHECK(out.bytes.ok());
  for (int64_t r = 0; r < m; r++)
    for (int64_t j = 0; j < k; j++) {
      Expected e = {0, 0};
      for (int64_t i = 0; i < n; i++) add_term(&e, g.at(r, i), w.at(i, j));
      check_at(out, r, j, e, n, "gradient of x, " + name_of(m, n, k, g_dtype, w_dtype));
    }
}

TEST(plain_gradients_match_double_sums) {
  Context ctx;
  Random random(seed());
  struct Case {
    int64_t m, n, k, g_dtype, other;
  };
  std::vector<Case> cases;
  for (int64_t m : {1, 5, 31, 301})
    for (int64_t n : {1, 16, 37, 530})
      for (int64_t k : {1, 17, 64}) {
        const size_t turn = cases.size();
        const int64_t a = kDtypes[turn % 3];
        cases.push_back({m, n, k, a, turn % 2 ? a : kDtypes[turn / 3 % 3]});
      }
  for (const auto& [m, n, k, a, b] : thinned(cases)) {
    check_weight(ctx, m, n, k, a, b, random);
    check_input(ctx, m, n, k, a, b, random);
  }
  check_weight(ctx, 700, 20, 20, AO_BF16, AO_BF16, random); // more than one step of pairs, whole and ragged
  check_weight(ctx, 515, 20, 20, AO_BF16, AO_BF16, random);
  check_input(ctx, 3, 515, 20, AO_BF16, AO_BF16, random);
}

TEST(gradients_of_no_rows_are_zero) {
  Context ctx;
  Matrix out(AO_F32, 3, 5);
  out.set(1, 1, 7);
  const ao_linear_grad_weight_args a = {out.data(), nullptr, nullptr, 0, 3, 5, AO_F32, AO_F32, AO_F32};
  CHECK(ao_cpu_linear_grad_weight(&a, ctx) == 0);
  for (int64_t i = 0; i < 15; i++) CHECK_EQ(out.at(i / 5, i % 5), 0.0f);
}

TEST(packed_weights_match_double_sums_of_their_values) {
  Context ctx;
  Random random(seed());
  int64_t turn = 0;
  for (const Spec& spec : thinned(all_specs())) {
    auto w = make_weight(ctx, spec, random);
    const int64_t dtype = kDtypes[turn++ % 3], m = turn % 2 ? 13 : 3;
    Matrix g(dtype, m, w->n), out(AO_F32, m, w->k), coded(AO_F32, m, w->k);
    g.randomize(random);
    run_input(ctx, input_args(g, w->packed.data(), -1, out));
    CHECK(out.bytes.ok());
    for (int64_t j = 0; j < w->k; j++) {
      std::vector<float> column(w->n);
      for (int64_t i = 0; i < w->n; i++) column[i] = w->value(i, j);
      for (int64_t r = 0; r < m; r++) {
        Expected e = {0, 0};
        for (int64_t i = 0; i < w->n; i++) add_term(&e, g.at(r, i), column[i]);
        check_at(out, r, j, e, w->n, describe(spec, m));
      }
    }
    if (!w->coded()) { // a plain weight and its packed form give the same bits
      run_input(ctx, input_args(g, w->codes.data(), w->code, coded));
    } else {
      ao_linear_grad_input_coded_args a = {};
      a.out = coded.data(), a.g = g.data(), a.codes = w->codes.data(), a.scale = w->scale.data();
      a.zero = w->zero.data(), a.m = m, a.n = w->n, a.k = w->k, a.g_dtype = dtype, a.out_dtype = AO_F32;
      a.code = w->code, a.group_size = w->group, a.zero_domain = w->zero_domain, a.scale_dtype = w->scale_dtype;
      a.zero_dtype = w->zero_dtype, a.bits = w->bits, a.table = w->table.data();
      CHECK_MSG(ao_cpu_linear_grad_input_coded(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
      ao_ctx_reset(ctx);
    }
    for (int64_t r = 0; r < m; r++)
      CHECK_MSG(coded.same_row(r, out, r), "%s row %lld", describe(spec, m).c_str(), (long long)r);
  }
}

TEST(several_weights_add_up_in_one_chain) {
  Context ctx;
  Random random(seed());
  for (const int64_t dtype : kDtypes) {
    const int64_t m = 40, k = 50, ns[] = {33, 16, 300};
    Matrix out(AO_F32, m, k), all_g(dtype, m, 349), all_w(dtype, 349, k), joined(AO_F32, m, k);
    all_g.randomize(random);
    all_w.randomize(random);
    std::vector<Matrix> g, w;
    for (int64_t i = 0, at = 0; i < 3; at += ns[i++]) {
      g.emplace_back(dtype, m, ns[i]);
      w.emplace_back(dtype, ns[i], k);
      for (int64_t r = 0; r < m; r++)
        for (int64_t c = 0; c < ns[i]; c++) g[i].set(r, c, all_g.at(r, at + c));
      for (int64_t r = 0; r < ns[i]; r++)
        for (int64_t c = 0; c < k; c++) w[i].set(r, c, all_w.at(at + r, c));
    }
    ao_linear_grad_input_args a = input_args(g[0], w[0].data(), dtype, out);
    a.count = 3;
    a.g1 = g[1].data(), a.weight1 = w[1].data(), a.n1 = ns[1], a.code1 = dtype;
    a.g2 = g[2].data(), a.weight2 = w[2].data(), a.n2 = ns[2], a.code2 = dtype;
    run_input(ctx, a);
    run_input(ctx, input_args(all_g, all_w.data(), dtype, joined));
    for (int64_t r = 0; r < m; r++)
      for (int64_t j = 0; j < k; j++) {
        Expected e = {0, 0};
        for (int64_t i = 0; i < 349; i++) add_term(&e, all_g.at(r, i), all_w.at(i, j));
        check_at(out, r, j, e, 349, "three weights");
        if (dtype != AO_BF16) CHECK_EQ(out.at(r, j), joined.at(r, j)); // pairs are cut where a weight ends
      }
  }
}

TEST(threads_do_not_matter) {
  const int64_t m = 150, n = 333, k = 700;
  for (const int64_t dtype : kDtypes) {
    std::unique_ptr<Matrix> first[3];
    for (int threads : {1, 2, 3, 7}) {
      Context ctx(threads);
      Random same(seed());
      auto packed = make_weight(ctx, {AO_INT4, n, k, 128, AO_ZERO_NONE, AO_BF16}, same);
      Matrix g(dtype, m, n), x(dtype, m, k), w(dtype, n, k);
      g.randomize(same);
      x.randomize(same);
      w.randomize(same);
      std::unique_ptr<Matrix> out[] = {std::make_unique<Matrix>(AO_F32, n, k), std::make_unique<Matrix>(AO_F32, m, k),
                                       std::make_unique<Matrix>(AO_F32, m, k)};
      const ao_linear_grad_weight_args a = {out[0]->data(), g.data(), x.data(), m, n, k, dtype, dtype, AO_F32};
      CHECK(ao_cpu_linear_grad_weight(&a, ctx) == 0);
      run_input(ctx, input_args(g, w.data(), dtype, *out[1]));
      run_input(ctx, input_args(g, packed->packed.data(), -1, *out[2]));
      for (int i = 0; i < 3; i++) {
        if (!first[i])
          first[i] = std::move(out[i]);
        else
          for (int64_t r = 0; r < first[i]->rows; r++)
            CHECK_MSG(out[i]->same_row(r, *first[i], r), "%s, product %d, %d threads", ao_dtype_name(dtype), i,
                      threads);
      }
    }
  }
}

TEST(refuses_what_it_cannot_take) {
  Context ctx;
  Matrix g(AO_F32, 2, 3), w(AO_F32, 3, 4), out(AO_F32, 2, 4);
  ao_linear_grad_input_args a = input_args(g, w.data(), AO_F32, out);
  a.count = 5;
  CHECK(ao_cpu_linear_grad_input(&a, ctx) == 1);
  a.count = 1;
  a.code0 = AO_I8;
  CHECK(ao_cpu_linear_grad_input(&a, ctx) == 1);
  a.code0 = -1; // plain bytes are no packed weight
  Buffer<uint8_t> bytes(256, 0);
  a.weight0 = bytes.data();
  CHECK(ao_cpu_linear_grad_input(&a, ctx) == 1);
}

AO_TEST_MAIN()
