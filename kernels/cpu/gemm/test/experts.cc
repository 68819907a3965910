// linear_experts: every row has the bits that linear_packed of its expert gives, in any mix and over several calls.
#include "gemm/test/cases.h"

using namespace ao_test;

struct Mix {
  Matrix x, out;
  Buffer<int32_t> index;
  int64_t per_x;
  Mix(Random& random, int64_t dtype, int64_t rows, int64_t per, int64_t experts, const Spec& s)
      : x(dtype, rows / per, s.k), out(dtype, rows, s.n), index(rows), per_x(per) {
    x.randomize(random);
    for (int64_t r = 0; r < rows; r++) index[r] = (int32_t)random.below(experts - 1) + 1; // nobody chooses expert 0
  }
  ao_linear_experts_args args(std::vector<std::unique_ptr<Weight>>& w, int64_t first, int64_t count) {
    ao_linear_experts_args a = {};
    a.out = out.data(), a.x = x.data(), a.index = index.data();
    a.rows = out.rows, a.per_x = per_x, a.experts = (int64_t)w.size(), a.n = out.cols, a.k = x.cols;
    a.x_dtype = x.dtype, a.out_dtype = out.dtype, a.first = first, a.count = count;
    const void** at = &a.weight0;
    for (int64_t i = 0; i < count; i++) at[i] = first + i == 0 ? nullptr : w[first + i]->packed.data();
    return a;
  }
};

TEST(rows_equal_linear_packed_of_their_expert) {
  Random random(seed());
  const int64_t experts = 5;
  for (const Spec& spec : thinned(all_specs())) {
    Context ctx(3);
    std::vector<std::unique_ptr<Weight>> w;
    for (int64_t e = 0; e < experts; e++) w.push_back(make_weight(ctx, spec, random));
    for (int64_t dtype : {AO_F32, AO_BF16})
      for (int64_t rows : {2, 6, 60})
        for (int64_t per : {1, 2}) {
          Mix mix(random, dtype, rows, per, experts, spec);
          for (const auto [first, count] : {std::pair<int64_t, int64_t>{0, 3}, {3, 2}}) {
            const ao_linear_experts_args a = mix.args(w, first, count);
            CHECK_MSG(ao_cpu_linear_experts(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
            ao_ctx_reset(ctx);
          }
          CHECK(mix.out.bytes.ok());
          Matrix one(dtype, 1, spec.n);
          for (int64_t r = 0; r < rows; r++) {
            ao_linear_packed_args a = linear_args(*w[mix.index[r]], mix.x, one);
            a.m = 1;
            a.x = (char*)mix.x.data() + r / per * mix.x.stride * ao_dtype_size(dtype);
            run(ctx, a);
            CHECK_MSG(mix.out.same_row(r, one, 0), "%s row %lld", describe(spec, rows).c_str(), (long long)r);
          }
        }
  }
}

TEST(an_expert_outside_is_named) {
  Context ctx(1);
  Random random(seed());
  const Spec spec = {AO_F32, 16, 32, 32};
  std::vector<std::unique_ptr<Weight>> w;
  for (int64_t e = 0; e < 3; e++) w.push_back(make_weight(ctx, spec, random));
  Mix mix(random, AO_F32, 4, 1, 3, spec);
  mix.index[2] = 3;
  const ao_linear_experts_args a = mix.args(w, 0, 3);
  CHECK(ao_cpu_linear_experts(&a, ctx) == 1 && strstr(ao_ctx_error(ctx), "expert 3 of row 2"));
}

AO_TEST_MAIN()
