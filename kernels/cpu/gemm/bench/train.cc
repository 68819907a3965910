// Speed of the three products of a trainable linear (y = x w^T, gradients of x and of w) as GFLOP/s, at the shapes of a 7 M Llama with
// 2048 rows, beside the peaks that the same run measures (peaks.h). Cases are measured in turn; medians of rounds count.
//   bench_gemm_train [--threads N] [--only TEXT] [--rounds N] [--rows M]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "ao/weights.h"
#include "gemm/bench/peaks.h"
#include "testing/check.h"

using namespace ao_bench;
using ao_test::Buffer;

namespace {

struct Shape {
  int64_t n, k;
};
const Shape kShapes[] = {{288, 288}, {768, 288}, {288, 768}, {32000, 288}};

void fill(Buffer<uint8_t>& b, int64_t n, int64_t dtype) {
  ao_test::Random random(1);
  for (int64_t i = 0; i < n; i++) ao_test::encode(dtype, b.data(), i, random.uniform() - 0.5);
}

// All operands of one linear, plain and packed.
struct Layer {
  int64_t m, n, k, dtype, size;
  Buffer<uint8_t> x, w, g, out, packed;
  Layer(ao_ctx* ctx, int64_t m_, Shape s, int64_t dtype_)
      : m(m_), n(s.n), k(s.k), dtype(dtype_), size(ao_dtype_size(dtype)), x(m * k * size), w(n * k * size),
        g(m * n * size), out(std::max({m * n, m * k, n * k}) * size),
        packed(ao_cpu_weight_packed_size(AO_INT4, n, k, 32, AO_ZERO_NONE, AO_BF16, 0, 0, AO_ACT_EXACT)) {
    fill(x, m * k, dtype), fill(w, n * k, dtype), fill(g, m * n, dtype);
    Buffer<uint8_t> codes(n * k / 2, 0x37), scale(n * k / 32 * 2);
    fill(scale, n * k / 32, AO_BF16);
    const ao_pack_weight_args p = {packed.data(),
                                   codes.data(),
                                   scale.data(),
                                   nullptr,
                                   AO_INT4,
                                   n,
                                   k,
                                   32,
                                   AO_ZERO_NONE,
                                   AO_BF16,
                                   0,
                                   AO_ACT_EXACT,
                                   0,
                                   n,
                                   0,
                                   nullptr};
    if (ao_cpu_pack_weight(&p, ctx)) fprintf(stderr, "%s\n", ao_ctx_error(ctx)), exit(1);
  }
  int run(ao_ctx* ctx, const std::string& what) {
    if (what == "linear") {
      ao_linear_args a = {};
      a.out = out.data(), a.x = x.data(), a.codes = w.data();
      a.m = m, a.n = a.out_stride = n, a.k = a.x_stride = a.group_size = k;
      a.x_dtype = a.out_dtype = a.code = dtype;
      return ao_cpu_linear(&a, ctx);
    }
    if (what == "grad of w") {
      const ao_linear_grad_weight_args a = {out.data(), g.data(), x.data(), m, n, k, dtype, dtype, dtype};
      return ao_cpu_linear_grad_weight(&a, ctx);
    }
    ao_linear_grad_input_args a = {};
    a.out = out.data(), a.g0 = g.data(), a.n0 = n, a.m = m, a.k = k, a.g_dtype = a.out_dtype = dtype, a.count = 1;
    a.weight0 = what == "grad of x" ? w.data() : packed.data();
    a.code0 = what == "grad of x" ? dtype : -1;
    return ao_cpu_linear_grad_input(&a, ctx);
  }
};

} // namespace

int main(int argc, char** argv) {
  int threads = 0, rounds = 5;
  int64_t m = 2048;
  std::string only;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string word = argv[i];
    if (word == "--threads") threads = atoi(argv[i + 1]);
    if (word == "--rounds") rounds = atoi(argv[i + 1]);
    if (word == "--rows") m = atoll(argv[i + 1]);
    if (word == "--only") only = argv[i + 1];
  }
  char err[256];
  ao_ctx* ctx = ao_ctx_create(threads, nullptr, err, sizeof err);
  if (!ctx) return fprintf(stderr, "%s\n", err), 1;
  const Peaks peaks = measure_peaks(ctx);
  printf("%s, %d threads: float32 FMA %.0f GFLOP/s, bfloat16 pairs %.0f GFLOP/s\n", ao_isa_name(ao_ctx_isa(ctx)),
         ao_ctx_threads(ctx), peaks.fma * 1e-9, peaks.pairs * 1e-9);
  for (int64_t dtype : {AO_F32, AO_BF16})
    for (const Shape& s : kShapes) {
      const std::string name =
          std::string(ao_dtype_name(dtype)) + " [" + std::to_string(s.n) + ", " + std::to_string(s.k) + "]";
      if (name.find(only) == std::string::npos) continue;
      Layer layer(ctx, m, s, dtype);
      for (const char* what : {"linear", "grad of x", "grad of w", "grad of x, int4 g32"}) {
        const auto once = [&] {
          if (layer.run(ctx, what)) fprintf(stderr, "%s\n", ao_ctx_error(ctx)), exit(1);
          ao_ctx_reset(ctx);
        };
        once();
        std::vector<double> times;
        for (int round = 0; round < rounds; round++) times.push_back(least_seconds(s.n > 1000 ? 1 : 5, once));
        std::sort(times.begin(), times.end());
        const double t = times[rounds / 2], speed = 2.0 * m * s.n * s.k / t;
        const bool pairs = dtype == AO_BF16 && strcmp(what, "grad of x, int4 g32") && peaks.pairs > 0;
        printf("%-24s %-22s %9.2f ms %7.1f GFLOP/s  %3.0f %% of the %s peak\n", name.c_str(), what, t * 1e3,
               speed * 1e-9, 100 * speed / (pairs ? peaks.pairs : peaks.fma), pairs ? "pairs" : "FMA");
        fflush(stdout);
      }
    }
  ao_ctx_destroy(ctx);
}
