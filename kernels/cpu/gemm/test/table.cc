// Values of tables, scales and zero points reach the product with the bits that scalar decoding gives: every code, infinity and NaN too,
// for one row of x, a few and a block.
#include "gemm/test/cases.h"

using namespace ao_test;

static bool same(float a, float b) { return a == b || (isnan(a) && isnan(b)); }

// Rows of x with a single 1 read columns of the weight.
TEST(a_unit_row_reads_a_column) {
  Context ctx;
  Random random(seed());
  for (const Spec& spec : all_specs()) {
    if (spec.activation != AO_ACT_EXACT) continue;
    auto w = make_weight(ctx, spec, random);
    for (int64_t m : {1, 3, 9}) {
      Matrix x(AO_F32, m, w->k), out(AO_F32, m, w->n);
      std::vector<int64_t> column(m);
      for (int64_t i = 0; i < m; i++) {
        for (int64_t k = 0; k < w->k; k++) x.set(i, k, 0);
        x.set(i, column[i] = i == 0 ? w->k - 1 : random.below(w->k), 1);
      }
      run(ctx, linear_args(*w, x, out));
      for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < w->n; j++)
          CHECK_MSG(out.at(i, j) == (float)w->value(j, column[i]), "%s row %lld column %lld: %.9g against %.9g",
                    describe(spec, m).c_str(), (long long)j, (long long)column[i], out.at(i, j),
                    w->value(j, column[i]));
    }
  }
}

// Row r holds code r (or has scale r) everywhere, and x ones, so that sums of 16 are exact.
static void check_rows(ao_ctx* ctx, Weight& w, const std::string& what) {
  const ao_pack_weight_args p = pack_args(w);
  CHECK(ao_cpu_pack_weight(&p, ctx) == 0);
  for (int64_t m : {1, 2, 7}) {
    Matrix x(AO_F32, m, w.k), out(AO_F32, m, w.n);
    for (int64_t i = 0; i < m * w.k; i++) x.set(0, i, 1);
    run(ctx, linear_args(w, x, out));
    for (int64_t r = 0; r < w.n; r++)
      CHECK_MSG(same(out.at(m - 1, r), 16 * (float)w.value(r, 0)), "%s row %lld: %.9g against 16 times %.9g",
                what.c_str(), (long long)r, out.at(m - 1, r), w.value(r, 0));
  }
}

TEST(every_code_of_small_floats) {
  Context ctx;
  Random random(seed());
  for (int64_t bits = 2; bits <= 8; bits++)
    for (const char* values : {"1", "2", "3", "4", "5", "6", "7", "e4m3fn", "e5m2"}) {
      if (values[0] == 'e' ? bits != 8 : atoi(values) >= bits) continue;
      const Spec spec = {AO_TABLE, 1 << bits, 16, 16, AO_ZERO_NONE, AO_F32, 0, 0, bits, values};
      auto w = make_weight(ctx, spec, random);
      for (int64_t i = 0; i < w->n * w->k; i++) w->codes[i] = (uint8_t)(i / w->k);
      for (int64_t i = 0; i < w->n; i++) encode(AO_F32, w->scale.data(), i, 0.5);
      check_rows(ctx, *w, describe(spec));
    }
}

TEST(every_code_of_small_scales) {
  Context ctx;
  Random random(seed());
  for (int64_t dtype : {AO_F8E8M0, AO_F8E4M3}) {
    const Spec spec = {AO_TABLE, 256, 16, 16, AO_ZERO_NONE, dtype, 0, 0, 4, "2"};
    auto w = make_weight(ctx, spec, random);
    for (int64_t i = 0; i < w->codes.size(); i++) w->codes[i] = 1; // the half: 16 of them stay finite
    for (int64_t i = 0; i < w->n; i++) w->scale[i] = (uint8_t)i;
    check_rows(ctx, *w, describe(spec));
  }
}

TEST(codes_beyond_the_bits_are_refused) {
  Context ctx;
  Random random(seed());
  for (const Spec& spec : {Spec{AO_TABLE, 20, 32, 32, AO_ZERO_NONE, AO_F32, 0, 0, 5},
                           Spec{AO_I8, 20, 32, 32, AO_ZERO_NONE, AO_F32, 0, AO_ACT_INT8_TOKEN, 6}}) {
    auto w = make_weight(ctx, spec, random);
    w->codes[18 * 32 + 7] = 32;
    const ao_pack_weight_args p = pack_args(*w);
    CHECK(ao_cpu_pack_weight(&p, ctx) == 1);
    CHECK_MSG((spec.code == AO_TABLE) == !!strstr(ao_ctx_error(ctx), "row 18 of a table"), "%s", ao_ctx_error(ctx));
    ao_ctx_reset(ctx);
  }
}

AO_TEST_MAIN()
