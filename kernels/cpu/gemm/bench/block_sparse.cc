// How much faster a block-sparse weight of 80 % zeros is than the packed dense one of its dtype: seconds of linear_packed over those of
// block_sparse_linear, [4096, 4096] in blocks of 64, both in turn, medians.
//   bench_gemm_block_sparse [--threads N] [--only TEXT] [--rounds N] [--json]
#include <stdio.h>
#include <string.h>

#include <string>
#include <vector>

#include "ao/weights.h"
#include "gemm/bench/peaks.h"
#include "gemm/packed.h"
#include "testing/bench_options.h"
#include "testing/check.h"

using namespace ao_bench;
using ao_test::Buffer;

namespace {

constexpr int64_t kSide = 4096, kBlock = 64, kAcross = kSide / kBlock;

void check(ao_ctx* ctx, int failed) {
  if (failed) fprintf(stderr, "%s\n", ao_ctx_error(ctx)), exit(1);
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

struct Times {
  double dense, sparse;
};

Times measure(ao_ctx* ctx, int64_t dtype, int64_t m, int rounds) {
  const int64_t size = ao_dtype_size(dtype);
  ao_test::Random random(1);
  std::vector<int32_t> crow = {0}, col;
  for (int64_t r = 0; r < kAcross; r++) {
    for (int64_t c = 0; c < kAcross; c++)
      if (random.below(5) == 0) col.push_back((int32_t)c);
    crow.push_back((int32_t)col.size());
  }
  Buffer<uint8_t> values(col.size() * kBlock * kBlock * size), dense(kSide * kSide * size), x(m * kSide * size),
      out(m * kSide * size);
  for (int64_t i = 0; i < (int64_t)col.size() * kBlock * kBlock; i++) ao_test::encode(dtype, values.data(), i, 0.25);
  for (int64_t i = 0; i < m * kSide; i++) ao_test::encode(dtype, x.data(), i, random.normal());
  const ao_block_sparse_copy_args copy = {dense.data(), values.data(), crow.data(), col.data(), kSide,
                                          kSide,        kBlock,        dtype,       0};
  check(ctx, ao_cpu_block_sparse_copy(&copy, ctx));
  Buffer<uint8_t> packed(ao_cpu_weight_packed_size(dtype, kSide, kSide, kSide, 0, AO_F32, AO_F32, 0, 0));
  ao_pack_weight_args p = {};
  p.packed = packed.data(), p.codes = dense.data(), p.code = dtype, p.n = p.k = p.group_size = p.rows = kSide;
  check(ctx, ao_cpu_pack_weight(&p, ctx));
  ao_linear_packed_args a = {};
  a.x = x.data(), a.m = m, a.k = a.x_stride = kSide, a.x_dtype = a.out_dtype = a.bias_dtype = dtype, a.count = 1;
  a.weight0 = packed.data(), a.out0 = out.data(), a.n0 = a.stride0 = kSide;
  const ao_block_sparse_linear_args b = {out.data(), x.data(), values.data(), crow.data(), col.data(), nullptr,
                                         m,          kSide,    kSide,         kBlock,      dtype};
  std::vector<double> of_dense, of_sparse;
  for (int i = 0; i < rounds; i++) {
    of_dense.push_back(least_seconds(3, [&] { check(ctx, ao_cpu_linear_packed(&a, ctx)), ao_ctx_reset(ctx); }));
    of_sparse.push_back(least_seconds(3, [&] { check(ctx, ao_cpu_block_sparse_linear(&b, ctx)), ao_ctx_reset(ctx); }));
  }
  return {median(of_dense), median(of_sparse)};
}

} // namespace

int main(int argc, char** argv) {
  const Options options = options_of(argc, argv, "bench_gemm_block_sparse", {0, 5});
  char err[256];
  ao_ctx* ctx = ao_ctx_create(options.threads, nullptr, err, sizeof err);
  if (!ctx) return fprintf(stderr, "%s\n", err), 1;
  for (int64_t dtype : {AO_F32, AO_BF16}) {
    for (int64_t m : {1, 512}) {
      const char* name = dtype == AO_F32 ? "f32" : "bf16";
      const std::string id = std::string("blocks-") + name + "-" + std::to_string(m);
      if (!options.wants(id)) continue;
      const Times t = measure(ctx, dtype, m, options.rounds);
      const double times = t.dense / t.sparse;
      if (options.json)
        printf("{\"id\":\"%s\",\"what\":\"80 %% zeros in blocks of 64, %s, %lld rows, times dense\",\"value\":%.4g,"
               "\"unit\":\"x\",\"limit\":\"a fifth of the work\",\"limitValue\":5%s}\n",
               id.c_str(), name, (long long)m, times, m > 1 ? ",\"target\":0.6" : "");
      else
        printf("%-16s dense %9.1f us, blocks %9.1f us: %.2f x\n", id.c_str(), t.dense * 1e6, t.sparse * 1e6, times);
    }
  }
  ao_ctx_destroy(ctx);
}
