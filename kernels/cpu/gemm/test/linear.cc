// linear_packed and linear against the double reference: every weight form, activation mode, dtype, tile height and ragged edge.
#include "gemm/test/cases.h"

using namespace ao_test;

static void check_result(const Reference& reference, const Matrix& x, const Matrix& out, const std::vector<float>& bias,
                         const std::string& what) {
  const Weight& w = reference.w;
  for (int64_t i = 0; i < x.rows; i++) {
    const Used used(w, x.row(i).data(), x.dtype);
    for (int64_t j = 0; j < w.n; j++) {
      Expected e = expected(reference, j, used, x.dtype);
      if (!bias.empty()) e.value += bias[j], e.magnitude += fabs(e.value);
      const double got = out.at(i, j), tolerated = tolerance(e, w.k, out.dtype);
      CHECK_MSG(fabs(got - e.value) <= tolerated, "%s row %lld column %lld: %.9g against %.9g within %.3g",
                what.c_str(), (long long)i, (long long)j, got, e.value, tolerated);
    }
  }
}

TEST(matches_the_reference) {
  Context ctx;
  Random random(seed());
  const int64_t dtypes[] = {AO_F32, AO_BF16, AO_F16};
  int64_t turn = 0;
  for (const Spec& spec : all_specs()) {
    auto w = make_weight(ctx, spec, random);
    const Reference reference(*w);
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 25}) {
      const int64_t x_dtype = dtypes[turn % 3], out_dtype = dtypes[turn / 3 % 3];
      turn++;
      Matrix x(x_dtype, m, w->k, w->k + turn % 2 * 5), out(out_dtype, m, w->n, w->n + turn % 3);
      x.randomize(random);
      Matrix bias(out_dtype, 1, w->n);
      bias.randomize(random);
      ao_linear_packed_args a = linear_args(*w, x, out);
      a.bias_dtype = out_dtype;
      a.bias0 = turn % 2 ? bias.data() : nullptr;
      run(ctx, a);
      CHECK(out.bytes.ok());
      check_result(reference, x, out, a.bias0 ? bias.row(0) : std::vector<float>(), describe(spec, m));
    }
  }
}

// Operands whose quantization is exact, over the whole range of codes: the result is an integer without rounding.
TEST(integers_are_exact) {
  Context ctx;
  Random random(seed());
  for (int64_t code : {(int64_t)AO_I8, (int64_t)AO_INT4})
    for (int64_t zero_domain : {AO_ZERO_NONE, AO_ZERO_INT})
      for (int64_t mode : {AO_ACT_INT8_GROUP, AO_ACT_INT8_TOKEN_ASYM})
        for (int64_t low : {-128, 0})
          for (int extreme = 0; extreme < 2; extreme++) {
            if (mode == AO_ACT_INT8_GROUP && low == 0) continue;
            const Spec spec = {code, 35, 256, 64, zero_domain, AO_F32, AO_I8, mode};
            auto w = make_weight(ctx, spec, random);
            for (int64_t i = 0; i < w->n * w->groups(); i++) encode(AO_F32, w->scale.data(), i, 1);
            if (extreme)
              for (int64_t i = 0; i < w->codes.size(); i++)
                w->codes[i] = code == AO_I8 ? (i / 64 % 2 ? 0x80 : 0x7f) : (i / 64 % 2 ? 0x88 : 0x77);
            const ao_pack_weight_args p = pack_args(*w);
            CHECK(ao_cpu_pack_weight(&p, ctx) == 0);
            for (int64_t m : {1, 4, 5, 14}) {
              Matrix x(AO_F32, m, w->k), out(AO_F32, m, w->n);
              for (int64_t i = 0; i < m; i++)
                for (int64_t k = 0; k < w->k; k++) {
                  int64_t v = extreme ? (random.below(2) ? low : low + 255) : low + random.below(256);
                  if (k % 32 == 0) v = low;
                  if (k % 32 == 1) v = low + 255;
                  if (mode == AO_ACT_INT8_GROUP && v == -128) v = -127;
                  x.set(i, k, (double)v);
                }
              run(ctx, linear_args(*w, x, out));
              for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < w->n; j++) {
                  double exact = 0;
                  for (int64_t k = 0; k < w->k; k++) exact += x.at(i, k) * w->value(j, k);
                  CHECK_MSG(out.at(i, j) == exact, "%s extreme %d low %lld: %.9g against %.9g",
                            describe(spec, m).c_str(), extreme, (long long)low, out.at(i, j), exact);
                }
            }
          }
}

TEST(several_weights_share_x_and_the_first_takes_a_residual) {
  Context ctx;
  Random random(seed());
  for (int64_t dtype : {AO_F32, AO_BF16, AO_F16})
    for (int64_t mode : {AO_ACT_EXACT, AO_ACT_INT8_GROUP, AO_ACT_INT8_TOKEN})
      for (int64_t m : {1, 3, 9}) {
        std::unique_ptr<Weight> w[4];
        const int64_t n[] = {64, 21, 5, 33};
        for (int i = 0; i < 4; i++)
          w[i] = make_weight(ctx, {AO_INT4, n[i], 96, 32, AO_ZERO_NONE, AO_BF16, 0, mode}, random);
        Matrix x(dtype, m, 96), residual(dtype, m, 64), bias(AO_F32, 1, 64);
        x.randomize(random);
        residual.randomize(random);
        bias.randomize(random);
        Matrix together[] = {{dtype, m, 64}, {dtype, m, 21}, {dtype, m, 5}, {dtype, m, 33}};
        ao_linear_packed_args a = linear_args(*w[0], x, together[0]);
        a.count = 4;
        a.bias0 = bias.data();
        a.residual = residual.data();
        a.residual_stride = 64;
        a.weight1 = w[1]->packed.data();
        a.out1 = together[1].data();
        a.n1 = a.stride1 = 21;
        a.weight2 = w[2]->packed.data();
        a.out2 = together[2].data();
        a.n2 = a.stride2 = 5;
        a.bias2 = bias.data();
        a.weight3 = w[3]->packed.data();
        a.out3 = together[3].data();
        a.n3 = a.stride3 = 33;
        run(ctx, a);
        for (int i = 0; i < 4; i++) {
          Matrix alone(dtype, m, n[i]);
          ao_linear_packed_args one = linear_args(*w[i], x, alone);
          one.bias0 = i == 0 || i == 2 ? bias.data() : nullptr;
          run(ctx, one);
          if (i == 0)
            for (int64_t r = 0; r < m; r++)
              for (int64_t c = 0; c < 64; c++) alone.set(r, c, alone.at(r, c) + residual.at(r, c));
          for (int64_t r = 0; r < m; r++)
            CHECK_MSG(alone.same_row(r, together[i], r), "weight %d row %lld", i, (long long)r);
        }
      }
}

TEST(plain_weights_give_the_bits_of_packed_ones) {
  Context ctx;
  Random random(seed());
  for (const Spec& spec : all_specs()) {
    auto w = make_weight(ctx, spec, random);
    for (int64_t m : {1, 7}) {
      Matrix x(AO_BF16, m, w->k), packed(AO_F32, m, w->n), plain(AO_F32, m, w->n), bias(AO_BF16, 1, w->n);
      x.randomize(random);
      bias.randomize(random);
      ao_linear_packed_args a = linear_args(*w, x, packed);
      a.bias0 = bias.data();
      a.bias_dtype = AO_BF16;
      run(ctx, a);
      const ao_linear_args b = {plain.data(),
                                x.data(),
                                w->codes.data(),
                                w->scale.data(),
                                w->zero.data(),
                                bias.data(),
                                nullptr,
                                m,
                                w->n,
                                w->k,
                                x.stride,
                                plain.stride,
                                0,
                                AO_BF16,
                                AO_F32,
                                AO_BF16,
                                w->code,
                                w->group,
                                w->zero_domain,
                                w->scale_dtype,
                                w->zero_dtype,
                                w->activation,
                                0,
                                w->bits,
                                w->table.data()};
      CHECK_MSG(ao_cpu_linear(&b, ctx) == 0, "%s", ao_ctx_error(ctx));
      ao_ctx_reset(ctx);
      for (int64_t r = 0; r < m; r++) CHECK_MSG(packed.same_row(r, plain, r), "%s", describe(spec, m).c_str());
    }
  }
}

TEST(bad_values_reach_the_output_as_nan) {
  Context ctx;
  Random random(seed());
  for (int64_t mode = 0; mode < 4; mode++)
    for (float bad : {INFINITY, NAN}) {
      auto w = make_weight(ctx, {AO_INT4, 16, 64, 32, AO_ZERO_NONE, AO_F32, 0, mode}, random);
      Matrix x(AO_F32, 6, 64), out(AO_F32, 6, 16);
      x.randomize(random);
      x.set(2, 40, bad);
      run(ctx, linear_args(*w, x, out));
      for (int64_t c = 0; c < 16; c++) {
        CHECK(isfinite(out.at(1, c)) && isfinite(out.at(3, c)));
        CHECK(mode == 0 ? !isfinite(out.at(2, c)) || w->q(c, 40) == 0 : isnan(out.at(2, c)));
      }
    }
}

TEST(refusals) {
  Context ctx;
  Random random(seed());
  auto a = make_weight(ctx, {AO_INT4, 16, 64, 32, AO_ZERO_NONE, AO_F32, 0, AO_ACT_INT8_GROUP}, random);
  auto b = make_weight(ctx, {AO_I8, 16, 64, 64, AO_ZERO_NONE, AO_F32, 0, AO_ACT_INT8_GROUP}, random);
  Matrix x(AO_F32, 1, 64), out(AO_F32, 1, 16);
  ao_linear_packed_args args = linear_args(*a, x, out);
  const auto refuses = [&](const char* says) {
    CHECK(ao_cpu_linear_packed(&args, ctx) == 1);
    CHECK_MSG(strstr(ao_ctx_error(ctx), says), "'%s' lacks '%s'", ao_ctx_error(ctx), says);
  };
  args.k = 65;
  refuses("[16, 65]");
  args.k = 64;
  args.count = 5;
  refuses("1 to 4");
  args.count = 2;
  args.weight1 = b->packed.data();
  args.n1 = 16;
  args.out1 = out.data();
  refuses("call it once for each");
  args.count = 1;
  args.x_dtype = AO_I32;
  refuses("int32");
  args.x_dtype = AO_F32;
  args.weight0 = nullptr;
  refuses("absent");
}

AO_TEST_MAIN()
