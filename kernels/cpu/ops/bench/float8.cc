// float8 of training at the shapes of a step: GB/s of what is read and written once, beside a copy's.
//   bench_ops_float8 [--threads N] [--only TEXT] [--rounds N] [--json]      --json: one line per case; AO_ISA chooses what runs
#include <string.h>
#include <sys/mman.h>

#include "base/ctx.h"
#include "testing/bench_options.h"
#include "testing/check.h"

using namespace ao_test;

namespace {

ao_bench::Options options{0, 30};

struct Bytes { // on huge pages, as the backend's buffers of this size are
  char* data;
  explicit Bytes(int64_t n) {
    const size_t bytes = (size_t)(n + (1 << 21)) >> 21 << 21;
    data = (char*)aligned_alloc(1 << 21, bytes);
    madvise(data, bytes, MADV_HUGEPAGE);
    memset(data, 0, bytes);
  }
  Bytes(const Bytes&) = delete;
  ~Bytes() { free(data); }
};

template <class Fn>
double least(const Fn& fn) {
  double best = 1e9;
  for (int i = 0; i < options.rounds; i++) {
    const auto begin = std::chrono::steady_clock::now();
    fn();
    const double t = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = t < best ? t : best;
  }
  return best;
}

// A case of `bytes` read and written.
template <class Fn>
void measure(const std::string& id, int64_t bytes, const Fn& fn) {
  if (!options.wants(id)) return;
  printf(options.json ? "{\"id\":\"%s\",\"value\":%.4g,\"unit\":\"GB/s\"}\n" : "%-28s %7.1f GB/s\n", id.c_str(),
         (double)bytes / least(fn) * 1e-9);
}

} // namespace

int main(int argc, char** argv) {
  options = ao_bench::options_of(argc, argv, "bench_ops_float8", options);
  const int64_t rows = 8192, cols = 4096, n = rows * cols;
  Bytes x(4 * n), q(n), scale(4 * rows);
  Random random(7);
  Context ctx(options.threads);
  const auto run = [&](auto f, const auto& args) {
    if (f(&args, ctx)) fprintf(stderr, "%s\n", ao_ctx_error(ctx)), exit(1);
    ao_ctx_reset(ctx);
  };
  const char* axes[] = {"tensor", "rows", "columns"};
  for (int64_t dtype : {AO_F32, AO_BF16}) {
    for (int64_t i = 0; i < n; i++) encode(dtype, x.data, i, random.uniform() - 0.5);
    const int64_t size = ao_dtype_size(dtype);
    for (int64_t axis = 0; axis < 3; axis++)
      for (int64_t given : {1, 0}) {
        const ao_to_float8_args args{q.data, scale.data, x.data, rows, cols, dtype, AO_F8E4M3, axis, 1, given};
        measure(std::string(ao_dtype_name(dtype)) + (given ? "-cast-" : "-amax+cast-") + axes[axis], n * (size + 1),
                [&] { run(ao_cpu_to_float8, args); });
      }
  }
  const ao_from_float8_args back{x.data, q.data, scale.data, rows, cols, AO_F8E4M3, 1};
  measure("decode", 5 * n, [&] { run(ao_cpu_from_float8, back); });
  // the memory's own speed: a copy of as many bytes as there are codes, by all threads
  measure("copy", 2 * n, [&] {
    ao::parallel_for(ctx, 4096, 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++)
        memcpy(q.data + i * (n / 4096), x.data + i * (n / 4096), (size_t)(n / 4096));
    });
  });
}
