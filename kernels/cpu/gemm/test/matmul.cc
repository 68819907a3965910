// matmul against double sums: both orders of each operand, broadcast batches, ragged edges, k of 0, dtypes, threads.
#include "gemm/test/cases.h"

using namespace ao_test;

struct Case {
  int64_t m, n, k;
  bool a_turned, b_turned;
  int64_t dtype, out_dtype;
};

static void check_case(ao_ctx* ctx, const Case& c, Random& random) {
  const int64_t heads = 3, batch = 2, a_size = c.m * c.k, b_size = c.k * c.n, out_size = c.m * (c.n + 1);
  Matrix a(c.dtype, 1, batch * heads * a_size + 1), b(c.dtype, 1, batch * b_size + 1),
      out(c.out_dtype, 1, batch * heads * out_size);
  a.randomize(random);
  b.randomize(random);
  ao_matmul_args args = {};
  args.out = out.data();
  args.a = a.data();
  args.b = b.data();
  args.m = c.m;
  args.n = c.n;
  args.k = c.k;
  args.dtype = c.dtype;
  args.out_dtype = c.out_dtype;
  args.a_row = c.a_turned ? 1 : c.k;
  args.a_col = c.a_turned ? c.m : 1;
  args.b_row = c.b_turned ? 1 : c.n;
  args.b_col = c.b_turned ? c.k : 1;
  args.out_row = c.n + 1;
  args.batch_ndim = 2;
  args.batch[0] = batch;
  args.batch[1] = heads;
  args.a_batch[0] = heads * a_size;
  args.a_batch[1] = a_size;
  args.b_batch[0] = b_size;
  args.b_batch[1] = 0; // heads share b
  args.out_batch[0] = heads * out_size;
  args.out_batch[1] = out_size;
  CHECK_MSG(ao_cpu_matmul(&args, ctx) == 0, "%s", ao_ctx_error(ctx));
  ao_ctx_reset(ctx);
  CHECK(out.bytes.ok());
  for (int64_t p = 0; p < batch * heads; p++)
    for (int64_t i = 0; i < c.m; i++)
      for (int64_t j = 0; j < c.n; j++) {
        Expected e = {0, 0};
        for (int64_t k = 0; k < c.k; k++) {
          const double term = (double)a.at(0, p * a_size + i * args.a_row + k * args.a_col) *
                              b.at(0, p / heads * b_size + k * args.b_row + j * args.b_col);
          e.value += term;
          e.magnitude += fabs(term);
        }
        const double got = out.at(0, p * out_size + i * args.out_row + j);
        CHECK_MSG(fabs(got - e.value) <= tolerance(e, c.k, c.out_dtype),
                  "m %lld n %lld k %lld turned %d %d: %.9g against %.9g", (long long)c.m, (long long)c.n,
                  (long long)c.k, c.a_turned, c.b_turned, got, e.value);
      }
}

TEST(matches_the_reference) {
  Context ctx;
  Random random(seed());
  const int64_t dtypes[] = {AO_F32, AO_BF16, AO_F16};
  int64_t turn = 0;
  for (int64_t m : {1, 5, 14})
    for (int64_t n : {1, 16, 37})
      for (int64_t k : {0, 1, 19, 600})
        for (int turned = 0; turned < 4; turned++) {
          check_case(ctx, {m, n, k, (turned & 1) != 0, (turned & 2) != 0, dtypes[turn % 3], dtypes[turn / 3 % 3]},
                     random);
          turn++;
        }
}

TEST(empty_products_touch_nothing) {
  Context ctx;
  float out[4] = {7, 7, 7, 7};
  ao_matmul_args args = {};
  args.out = out;
  args.n = 4;
  args.k = 2;
  CHECK(ao_cpu_matmul(&args, ctx) == 0 && out[0] == 7);
  args.batch_ndim = 5;
  CHECK(ao_cpu_matmul(&args, ctx) == 1);
}

AO_TEST_MAIN()
