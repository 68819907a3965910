// Speed of linear_packed: GB/s of weight bytes for one row of x (weights out of cache, many copies in turn) and GOP/s for 512 rows,
// beside the machine's own read bandwidth and multiply peaks measured in the same run. Arguments: threads ... (default 1 2).
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "ao/weights.h"
#include "base/ctx.h"
#include "gemm/bench/peaks.h"
#include "gemm/packed.h"
#include "testing/check.h"

using ao_test::Buffer;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Best seconds per call over about `budget` seconds.
template <class Fn>
double best(double budget, const Fn& fn) {
  fn();
  double least = 1e9;
  const double end = now() + budget;
  do {
    const double begin = now();
    fn();
    least = std::min(least, now() - begin);
  } while (now() < end);
  return least;
}

struct Format {
  const char* name;
  int64_t code, group, scale_dtype, activation; // group 0 = a row
};
const Format kFormats[] = {
    {"int4 g32 int8-group", AO_INT4, 32, AO_BF16, AO_ACT_INT8_GROUP},
    {"int4 g32 exact", AO_INT4, 32, AO_BF16, AO_ACT_EXACT},
    {"int8 row int8-token", AO_I8, 0, AO_F32, AO_ACT_INT8_TOKEN},
    {"int8 row exact", AO_I8, 0, AO_F32, AO_ACT_EXACT},
    {"bfloat16", AO_BF16, 0, AO_F32, AO_ACT_EXACT},
    {"float32", AO_F32, 0, AO_F32, AO_ACT_EXACT},
};
struct Shape {
  int64_t n, k;
};

int64_t size_of(const Format& f, Shape s) {
  return ao_cpu_weight_packed_size(f.code, s.n, s.k, f.group ? f.group : s.k, AO_ZERO_NONE, f.scale_dtype, AO_F32);
}

void pack(ao_ctx* ctx, const Format& f, Shape s, uint8_t* to) {
  const int64_t group = f.group ? f.group : s.k;
  Buffer<uint8_t> codes(s.n * s.k * 4, 0x11);
  Buffer<float> scale(s.n * (s.k / group), 0.01f);
  if (f.code == AO_F32 || f.code == AO_BF16)
    for (int64_t i = 0; i < s.n * s.k; i++) ao_test::encode(f.code, codes.data(), i, 0.25);
  const ao_pack_weight_args a = {to,    codes.data(), scale.data(),  nullptr, f.code,       s.n, s.k,
                                 group, AO_ZERO_NONE, f.scale_dtype, AO_F32,  f.activation, 0,   s.n};
  if (ao_cpu_pack_weight(&a, ctx)) fprintf(stderr, "%s\n", ao_ctx_error(ctx));
}

// Seconds per call for m rows, over `copies` copies of the weight.
double measure(ao_ctx* ctx, const Format& f, Shape s, int64_t m, int64_t least_bytes, double budget) {
  const int64_t size = ao::round_up_to(size_of(f, s), 4096), copies = std::max<int64_t>(1, least_bytes / size);
  Buffer<uint8_t> weights(size * copies);
  pack(ctx, f, s, weights.data());
  for (int64_t i = 1; i < copies; i++) memcpy(weights.data() + i * size, weights.data(), size);
  Buffer<float> x(m * s.k), out(m * s.n);
  ao_test::Random random(1);
  for (int64_t i = 0; i < m * s.k; i++) x[i] = random.normal();
  ao_linear_packed_args a = {};
  a.x = x.data();
  a.m = m;
  a.k = s.k;
  a.x_stride = s.k;
  a.count = 1;
  a.out0 = out.data();
  a.n0 = s.n;
  a.stride0 = s.n;
  const double once = best(0, [&] {
    a.weight0 = weights.data();
    ao_cpu_linear_packed(&a, ctx);
    ao_ctx_reset(ctx);
  });
  const int64_t slice =
      std::max<int64_t>(1, (int64_t)(5e-4 / once)); // calls timed together: short, to find a quiet moment
  int64_t next = 0;
  return best(budget,
              [&] {
                for (int64_t i = 0; i < slice; i++, next++) {
                  a.weight0 = weights.data() + next % copies * size;
                  if (ao_cpu_linear_packed(&a, ctx)) fprintf(stderr, "%s\n", ao_ctx_error(ctx));
                  ao_ctx_reset(ctx);
                }
              }) /
         slice;
}

} // namespace

int main(int argc, char** argv) {
  std::vector<int> threads;
  std::string only;
  for (int i = 1; i < argc; i++) {
    if (atoi(argv[i]) > 0)
      threads.push_back(atoi(argv[i]));
    else
      only = argv[i];
  }
  if (threads.empty()) threads = {1, 2};
  const Shape small[] = {{576, 576}, {192, 576}, {1536, 576}, {576, 1536}, {49152, 576}, {4096, 4096}};
  const Shape large[] = {{576, 576}, {1536, 576}, {576, 1536}, {4096, 4096}};
  for (int count : threads) {
    char err[256];
    ao_ctx* ctx = ao_ctx_create(count, nullptr, err, sizeof err);
    if (!ctx) return fprintf(stderr, "%s\n", err), 1;
    const double read = ao::read_bandwidth(ctx), fma = ao::fma_peak(ctx);
    printf("%s, %d threads: reads %.1f GB/s, float32 fma %.0f GFLOP/s\n", ao_isa_name(ao_ctx_isa(ctx)),
           ao_ctx_threads(ctx), read * 1e-9, fma * 1e-9);
    for (const Format& f : kFormats) {
      if (!only.empty() && !strstr(f.name, only.c_str())) continue;
      for (Shape s : small) {
        const double t = measure(ctx, f, s, 1, (int64_t)160 << 20, 0.4), rate = size_of(f, s) / t;
        printf("  gemv %-20s n %5lld k %4lld  %8.1f us  %6.2f GB/s  %3.0f%% of reads\n", f.name, (long long)s.n,
               (long long)s.k, t * 1e6, rate * 1e-9, 100 * rate / read);
      }
      for (Shape s : large) {
        const double t = measure(ctx, f, s, 512, 0, 0.4), rate = 2.0 * 512 * s.n * s.k / t;
        printf("  gemm %-20s n %5lld k %4lld  %8.1f us  %6.1f GOP/s  %3.0f%% of fma\n", f.name, (long long)s.n,
               (long long)s.k, t * 1e6, rate * 1e-9, 100 * rate / fma);
      }
    }
    ao_ctx_destroy(ctx);
  }
}
