// Speed of the ops at the shapes of a small decoder: GB/s of bytes read and written (attention: bench/sdpa.cc). Each figure is the best of several runs; AO_ISA and AO_NUM_THREADS choose what runs. One thread is timed by
// its CPU time, which a busy machine disturbs less.
#include <time.h>

#include "testing/check.h"

using namespace ao_test;

static double now(ao_ctx* ctx) {
  timespec t;
  clock_gettime(ao_ctx_threads(ctx) == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

template <class Fn>
static double best_seconds(ao_ctx* ctx, const Fn& fn) {
  double best = 1e9, spent = 0;
  for (int round = 0; round < 200 && spent < 0.4; round++) {
    const double start = now(ctx);
    if (fn()) {
      fprintf(stderr, "%s\n", ao_ctx_error(ctx));
      exit(1);
    }
    const double seconds = now(ctx) - start;
    ao_ctx_reset(ctx);
    best = seconds < best ? seconds : best;
    spent += seconds;
  }
  return best;
}

static Buffer<unsigned char> values(int64_t dtype, int64_t n) {
  Random random(1);
  Buffer<unsigned char> b(n * ao_dtype_size(dtype));
  for (int64_t i = 0; i < n; i++) encode(dtype, b.data(), i, random.uniform() * 2 - 1);
  return b;
}

template <class Fn>
static void rate(ao_ctx* ctx, const char* name, int64_t dtype, double bytes, const Fn& fn) {
  const double s = best_seconds(ctx, fn);
  printf("%-16s %-8s %9.3f ms %7.2f GB/s\n", name, ao_dtype_name(dtype), s * 1e3, bytes / s * 1e-9);
}

int main() {
  Context ctx;
  printf("%s, %d threads\n", ao_isa_name(ao_ctx_isa(ctx)), ao_ctx_threads(ctx));
  for (int64_t dtype : {AO_F32, AO_BF16}) {
    const int64_t rows = 512, n = 2048, total = rows * n, size = ao_dtype_size(dtype);
    const auto x = values(dtype, total), y = values(dtype, total);
    Buffer<unsigned char> out(total * size);
    Buffer<float> scale(total / 32);
    Buffer<int8_t> codes(total);
    const double bytes = (double)total * size;
    rate(ctx, "rms_norm", dtype, 2 * bytes, [&] {
      const ao_rms_norm_args a{out.data(), x.data(), y.data(), rows, n, n, dtype, 1e-5, 0};
      return ao_cpu_rms_norm(&a, ctx);
    });
    rate(ctx, "softmax", dtype, 2 * bytes, [&] {
      const ao_softmax_args a{out.data(), x.data(), rows, n, dtype, 0};
      return ao_cpu_softmax(&a, ctx);
    });
    rate(ctx, "silu_mul", dtype, 3 * bytes, [&] {
      const ao_silu_mul_args a{out.data(), x.data(), y.data(), rows, n, n, n, dtype};
      return ao_cpu_silu_mul(&a, ctx);
    });
    rate(ctx, "gelu", dtype, 2 * bytes, [&] {
      const ao_unary_args a{out.data(), x.data(), total, dtype, 12};
      return ao_cpu_unary(&a, ctx);
    });
    rate(ctx, "add", dtype, 3 * bytes, [&] {
      const ao_binary_args a{out.data(), x.data(), y.data(), 1, {total}, {1}, {1}, dtype, 0, 0, 0};
      return ao_cpu_binary(&a, ctx);
    });
    rate(ctx, "sum", dtype, bytes, [&] {
      const ao_reduce_args a{out.data(), x.data(), rows, n, 1, dtype, dtype, 0};
      return ao_cpu_reduce(&a, ctx);
    });
    rate(ctx, "to float32", dtype, bytes + 4.0 * total, [&] {
      static Buffer<float> wide(total);
      const ao_copy_strided_args a{wide.data(), x.data(), AO_F32, dtype, 1, {total}, {1}, {1}};
      return ao_cpu_copy_strided(&a, ctx);
    });
    rate(ctx, "transpose", dtype, 2 * bytes, [&] {
      const ao_copy_strided_args a{out.data(), x.data(), dtype, dtype, 2, {n, rows}, {rows, 1}, {1, n}};
      return ao_cpu_copy_strided(&a, ctx);
    });
    rate(ctx, "choose_qparams", dtype, bytes, [&] {
      const ao_choose_qparams_affine_args a{scale.data(), nullptr, x.data(), total / 32, 32, dtype, AO_F32, 0, 0, 1,
                                            -128,         127,     1e-7};
      return ao_cpu_choose_qparams_affine(&a, ctx);
    });
    rate(ctx, "quantize_affine", dtype, bytes + total, [&] {
      const ao_quantize_affine_args a{codes.data(), x.data(), scale.data(), nullptr, total / 32, 32, dtype,
                                      AO_F32,       0,        AO_I8,        1,       -128,       127};
      return ao_cpu_quantize_affine(&a, ctx);
    });
    rate(ctx, "quantize_int4", dtype, bytes, [&] {
      const ao_quantize_int4_args a{codes.data(), scale.data(), out.data(), x.data(), rows, n, 32, dtype, dtype};
      return ao_cpu_quantize_int4(&a, ctx);
    });
  }
  const int64_t vocab = 49152;
  const auto logits = values(AO_F32, vocab);
  int32_t token, state[2] = {1, 0};
  for (const auto& c : {std::pair<double, double>{0, 1}, {1, 1}, {0.7, 0.9}}) {
    const ao_sample_args a{&token, state, logits.data(), 1, vocab, AO_F32, c.first, c.second < 1 ? 50 : 0, c.second, 0};
    rate(ctx,
         c.first == 0   ? "greedy"
         : c.second < 1 ? "top-k, top-p"
                        : "sample",
         AO_F32, vocab * 4.0, [&] { return ao_cpu_sample(&a, ctx); });
  }
}
