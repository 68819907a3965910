// The gradient kernels at the shapes of training a small decoder: microseconds each, and GB/s of what is read and written or GFLOP/s.
//   bench_ops_backward [--threads N] [--only TEXT] [--rounds N] [--json]      --json: one line per case; AO_ISA chooses what runs
#include <sys/mman.h>

#include "testing/bench_options.h"
#include "testing/check.h"

using namespace ao_test;

namespace {

ao_bench::Options options{2, 20};

struct Values { // on huge pages, as the backend's buffers of this size are
  char* data;
  Values(int64_t dtype, int64_t n, double scale = 1) {
    const size_t bytes = (size_t)(n * ao_dtype_size(dtype) + (1 << 21)) >> 21 << 21;
    data = (char*)aligned_alloc(1 << 21, bytes);
    madvise(data, bytes, MADV_HUGEPAGE);
    Random random(7);
    for (int64_t i = 0; i < n; i++)
      encode(dtype, data, i, (random.uniform() + random.uniform() + random.uniform() - 1.5) * 2 * scale);
  }
  Values(const Values&) = delete;
  ~Values() { free(data); }
  operator void*() { return data; }
};

template <class Args>
void measure(ao_ctx* ctx, const std::string& id, int (*run)(const Args*, ao_ctx*), const Args& args, double amount,
             const char* unit) {
  if (!options.wants(id)) return;
  double least = 1e9;
  for (int i = 0; i < options.rounds; i++) {
    const auto begin = std::chrono::steady_clock::now();
    if (run(&args, ctx)) fprintf(stderr, "%s\n", ao_ctx_error(ctx)), exit(1);
    const double t = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    ao_ctx_reset(ctx);
    least = t < least ? t : least;
  }
  printf(options.json ? "{\"id\":\"%s\",\"us\":%.1f,\"value\":%.2f,\"unit\":\"%s\"}\n" : "  %-34s %9.1f us  %8.2f %s\n",
         id.c_str(), least * 1e6, amount / least * 1e-9, unit);
  fflush(stdout);
}

void attention(ao_ctx* ctx, const std::string& name, int64_t dtype, int64_t batch, int64_t tokens, int64_t heads,
               int64_t kv_heads, int64_t dim) {
  const std::string id = "attention-" + name;
  if (!options.wants(id)) return;
  const int64_t n = batch * tokens * heads * dim, m = batch * tokens * kv_heads * dim;
  Values q(dtype, n), g(dtype, n), out(dtype, n, 0.1), dq(dtype, n), k(dtype, m), v(dtype, m), dk(dtype, m),
      dv(dtype, m);
  ao_sdpa_backward_args a{};
  a.dq = dq, a.dk = dk, a.dv = dv, a.g = g, a.q = q, a.k = k, a.v = v, a.out = out;
  a.batch = batch, a.tokens = a.keys = tokens, a.q_heads = heads, a.kv_heads = kv_heads, a.dim = a.v_dim = dim;
  a.causal = 1, a.scale = 1 / sqrt((double)dim), a.dtype = dtype;
  a.q_strides[0] = tokens * heads * dim, a.q_strides[1] = heads * dim, a.q_strides[2] = dim;
  a.k_strides[0] = a.v_strides[0] = kv_heads * tokens * dim, a.k_strides[1] = a.v_strides[1] = tokens * dim;
  a.k_strides[2] = a.v_strides[2] = dim;
  measure(ctx, id, ao_cpu_sdpa_backward, a, 10.0 * batch * heads * dim * tokens * (tokens + 1) / 2, "GFLOP/s");
}

} // namespace

int main(int argc, char** argv) {
  options = ao_bench::options_of(argc, argv, "bench_ops_backward", options);
  Context ctx(options.threads);
  if (!options.json) printf("%s, %d threads\n", ao_isa_name(ao_ctx_isa(ctx)), ao_ctx_threads(ctx));
  for (const int64_t dtype : {AO_F32, AO_BF16}) {
    const std::string type = dtype == AO_F32 ? "f32-" : "bf16-";
    const double size = (double)ao_dtype_size(dtype);
    {
      const int64_t rows = 2048, n = 576;
      Values g(dtype, rows * n), x(dtype, rows * n), dx(dtype, rows * n), w(dtype, n), b(dtype, n), dw(dtype, n),
          db(dtype, n);
      const ao_rms_norm_backward_args rms{dx, dw, g, x, w, rows, n, dtype, 1e-5, 0};
      measure(ctx, type + "rms-norm", ao_cpu_rms_norm_backward, rms, 3.0 * rows * n * size, "GB/s");
      const ao_layer_norm_backward_args layer{dx, dw, db, g, x, w, rows, n, dtype, 1e-5};
      measure(ctx, type + "layer-norm", ao_cpu_layer_norm_backward, layer, 3.0 * rows * n * size, "GB/s");
    }
    {
      const int64_t n = 2048 * 1536;
      Values g(dtype, n), gate(dtype, n, 2), up(dtype, n), dgate(dtype, n), dup(dtype, n);
      const ao_silu_mul_backward_args silu_mul{dgate, dup, g, gate, up, n, dtype};
      measure(ctx, type + "silu-mul", ao_cpu_silu_mul_backward, silu_mul, 5.0 * n * size, "GB/s");
      const char* names[] = {"silu", "gelu", "gelu-tanh"};
      for (int op = 0; op < 3; op++) {
        const ao_activation_backward_args one{dup, g, gate, n, dtype, op};
        measure(ctx, type + names[op], ao_cpu_activation_backward, one, 3.0 * n * size, "GB/s");
      }
      const ao_softmax_backward_args softmax{dup, g, up, 2048, 1536, dtype, 0};
      measure(ctx, type + "softmax", ao_cpu_softmax_backward, softmax, 3.0 * n * size, "GB/s");
      Buffer<float> factor(1, 0.999f), norm(1);
      Buffer<double> total(1);
      const ao_sum_of_squares_args squares{norm.data(), total.data(), g, n, dtype, 1};
      measure(ctx, type + "sum-of-squares", ao_cpu_sum_of_squares, squares, 1.0 * n * size, "GB/s");
      const ao_scale_args scale{g, factor.data(), n, dtype, 0, 0};
      measure(ctx, type + "scale", ao_cpu_scale, scale, 2.0 * n * size, "GB/s");
      ao_binary_args add{};
      add.out = g, add.a = g, add.b = up, add.ndim = 1, add.shape[0] = n, add.a_strides[0] = add.b_strides[0] = 1;
      add.dtype = dtype;
      measure(ctx, type + "add", ao_cpu_binary, add, 3.0 * n * size, "GB/s");
    }
    {
      const int64_t rows = 512, vocab = 32000;
      Values x(dtype, rows * vocab, 3), dx(dtype, rows * vocab);
      Buffer<float> g(rows, 0.01f);
      Buffer<int32_t> targets(rows);
      for (int64_t r = 0; r < rows; r++) targets[r] = (int32_t)(r * 61 % vocab);
      const ao_cross_entropy_backward_args a{dx, g.data(), x, targets.data(), rows, vocab, dtype, -100};
      measure(ctx, type + "cross-entropy", ao_cpu_cross_entropy_backward, a, 2.0 * rows * vocab * size, "GB/s");
    }
    {
      const int64_t n = 2048, vocab = 49152, dim = 576;
      Values g(dtype, n * dim), dw(dtype, vocab * dim);
      Buffer<int32_t> ids(n);
      Random random(3);
      for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(random.uniform() * random.uniform() * random.uniform() * (double)vocab);
      const ao_embedding_backward_args a{dw, g, ids.data(), n, vocab, dim, dtype};
      measure(ctx, type + "embedding", ao_cpu_embedding_backward, a, (double)(n + vocab) * dim * size, "GB/s");
    }
    attention(ctx, type + "6x48-t256-b8", dtype, 8, 256, 6, 6, 48);
    attention(ctx, type + "9/3x64-t512-b2", dtype, 2, 512, 9, 3, 64);
    attention(ctx, type + "9/3x64-t1024-b1", dtype, 1, 1024, 9, 3, 64);
    attention(ctx, type + "8x128-t1024-b1", dtype, 1, 1024, 8, 8, 128);
  }
}
