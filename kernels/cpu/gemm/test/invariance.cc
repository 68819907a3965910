// A row's result has the same bits alone, in any batch, at any place of it, and with any number of threads.
#include "gemm/test/cases.h"

using namespace ao_test;

static std::vector<Spec> large_specs() {
  std::vector<Spec> specs;
  for (int64_t code : {AO_F32, AO_F16, AO_BF16}) specs.push_back({code, 104, 1100, 1100});
  for (int64_t code : {(int64_t)AO_I8, (int64_t)AO_INT4})
    for (int64_t mode = 0; mode < 4; mode++) {
      specs.push_back({code, 104, 1152, 32, AO_ZERO_FLOAT, AO_BF16, AO_BF16, mode});
      specs.push_back({code, 90, 1100, 1100, AO_ZERO_INT, AO_F32, AO_I8, mode});
    }
  return specs;
}

TEST(rows_do_not_depend_on_the_batch) {
  Context ctx;
  Random random(seed());
  std::vector<Spec> specs = all_specs();
  for (const Spec& s : large_specs()) specs.push_back(s);
  for (const Spec& spec : thinned(specs)) {
    auto w = make_weight(ctx, spec, random);
    const int64_t most = 40;
    Matrix x(AO_BF16, most, w->k), one(AO_F32, most, w->n);
    x.randomize(random);
    for (int64_t r = 0; r < most; r++) {
      ao_linear_packed_args a = linear_args(*w, x, one);
      a.m = 1;
      a.x = (char*)x.data() + r * x.stride * 2;
      a.out0 = (float*)one.data() + r * one.stride;
      run(ctx, a);
    }
    for (int64_t m : {2, 3, 4, 5, 8, 17, 40}) {
      Matrix out(AO_F32, m, w->n);
      const int64_t first = random.below(most - m + 1);
      ao_linear_packed_args a = linear_args(*w, x, out);
      a.m = m;
      a.x = (char*)x.data() + first * x.stride * 2;
      run(ctx, a);
      for (int64_t r = 0; r < m; r++)
        CHECK_MSG(out.same_row(r, one, first + r), "%s row %lld", describe(spec, m).c_str(), (long long)r);
    }
  }
}

TEST(threads_do_not_matter) {
  Random random(seed());
  for (const Spec& spec : thinned(large_specs())) {
    std::unique_ptr<Matrix> first;
    for (int64_t m : {1, 70, 300}) {
      first.reset();
      auto w = make_weight(Context(1), spec, random);
      Matrix x(AO_F32, m, w->k);
      x.randomize(random);
      for (int threads : {1, 2, 5}) {
        Context ctx(threads);
        const ao_pack_weight_args p = pack_args(*w);
        CHECK(ao_cpu_pack_weight(&p, ctx) == 0);
        auto out = std::make_unique<Matrix>(AO_F32, m, w->n);
        run(ctx, linear_args(*w, x, *out));
        if (!first)
          first = std::move(out);
        else
          for (int64_t r = 0; r < m; r++)
            CHECK_MSG(out->same_row(r, *first, r), "%s threads %d", describe(spec, m).c_str(), threads);
      }
    }
  }
}

AO_TEST_MAIN()
