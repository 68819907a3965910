// gather_packed: decoded rows, any order and repetition; a bad index is named.
#include "gemm/test/cases.h"

using namespace ao_test;

TEST(rows_are_the_decoded_weight) {
  Context ctx;
  Random random(seed());
  for (const Spec& spec : all_specs())
    for (int64_t dtype : {AO_F32, AO_BF16, AO_F16}) {
      auto w = make_weight(ctx, spec, random);
      Buffer<int32_t> index(9);
      for (int i = 0; i < 9; i++) index[i] = (int32_t)random.below(w->n);
      Matrix out(dtype, 9, w->k, w->k + 3), exact(dtype, 1, w->k);
      const ao_gather_packed_args a = {out.data(), w->packed.data(), index.data(), 9, w->n, w->k, out.stride, dtype};
      CHECK_MSG(ao_cpu_gather_packed(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
      CHECK(out.bytes.ok());
      for (int i = 0; i < 9; i++) {
        for (int64_t k = 0; k < w->k; k++) exact.set(0, k, w->value(index[i], k));
        CHECK_MSG(exact.same_row(0, out, i), "%s", describe(spec).c_str());
      }
    }
}

TEST(a_bad_index_is_named) {
  Context ctx;
  Random random(seed());
  auto w = make_weight(ctx, {AO_INT4, 40, 64, 32}, random);
  Matrix out(AO_F32, 2, 64);
  for (int32_t bad : {-1, 40}) {
    const int32_t index[] = {0, bad};
    const ao_gather_packed_args a = {out.data(), w->packed.data(), index, 2, 40, 64, 64, AO_F32};
    CHECK(ao_cpu_gather_packed(&a, ctx) == 1);
    char says[64];
    snprintf(says, sizeof says, "index %d at position 1 is outside the 40 rows", bad);
    CHECK_MSG(strstr(ao_ctx_error(ctx), says), "%s", ao_ctx_error(ctx));
  }
}

AO_TEST_MAIN()
