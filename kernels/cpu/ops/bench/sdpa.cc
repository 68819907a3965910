// Attention at the shapes of a small decoder and of an 8B one.
//   decode   one query over a long cache: GB/s of keys and values, as a share of the read bandwidth measured in the same
//            run. The caches of many layers are read in turn, so that none is in the processor's cache.
//   prefill  512 queries: GFLOP/s of the two products over the keys that are seen, of the multiply-adds measured.
//   bench_ops_sdpa [--threads N] [--only TEXT] [--rounds N] [--json]      --json: one line per case; AO_ISA chooses what runs
#include <sys/mman.h>

#include "gemm/bench/peaks.h"
#include "ops/code_rows.h"
#include "testing/bench_options.h"
#include "testing/check.h"

using namespace ao_test;

namespace {

bool json = false;

struct Heads {
  const char* name;
  int64_t q, kv, dim;
};
const Heads kSmall{"smollm2", 9, 3, 64}, k8b{"8b", 32, 8, 128};

// What keys and values are kept in.
struct Cache {
  const char* name;
  int64_t dtype;
  ao::CodeRows rows;
  int64_t row_bytes(int64_t dim) const { return rows.bits ? rows.row_bytes(dim) : dim * ao_dtype_size(dtype); }
};
const Cache kCaches[] = {{"bf16", AO_BF16, {}},
                         {"f16", AO_F16, {}},
                         {"f32", AO_F32, {}},
                         {"int8", AO_U8, {8, false}},
                         {"int8-asym", AO_U8, {8, true}},
                         {"int4", AO_U8, {4, false}},
                         {"int4-asym", AO_U8, {4, true}}};

// Huge pages, as the backend's buffers of this size have.
struct Memory {
  char* data;
  explicit Memory(int64_t bytes) : data((char*)aligned_alloc(1 << 21, (size_t)(bytes + (1 << 21)) >> 21 << 21)) {
    madvise(data, (size_t)bytes, MADV_HUGEPAGE);
  }
  Memory(const Memory&) = delete;
  ~Memory() { free(data); }
};

void fill(int64_t dtype, void* x, int64_t n) {
  Random random(1);
  const int64_t some = n < 65536 ? n : 65536, bytes = some * ao_dtype_size(dtype);
  for (int64_t i = 0; i < some; i++) encode(dtype, x, i, random.uniform() * 2 - 1);
  for (int64_t at = bytes; at < n * ao_dtype_size(dtype); at += bytes)
    memcpy((char*)x + at, x, (size_t)(n * ao_dtype_size(dtype) - at < bytes ? n * ao_dtype_size(dtype) - at : bytes));
}

// Rows of codes of a small scale, any codes.
void fill_rows(const Cache& cache, void* x, int64_t rows, int64_t dim) {
  if (!cache.rows.bits) return fill(cache.dtype, x, rows * dim);
  const int64_t bytes = cache.row_bytes(dim);
  fill(AO_F32, x, rows * bytes / 4);
  const float scale[2] = {0.01f, -0.08f};
  for (int64_t i = 0; i < rows; i++) memcpy((char*)x + i * bytes, scale, (size_t)cache.rows.header());
}

void report(ao_ctx* ctx, const char* id, const std::string& what, double value, const char* unit, const char* limit,
            double most, double target) {
  if (json)
    printf(
        "{\"id\":\"%s\",\"what\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"value\":%.2f,\"unit\":\"%s\",\"limit\":\"%s\","
        "\"limitValue\":%.2f,\"share\":%.3f,\"target\":%g}\n",
        id, what.c_str(), ao_isa_name(ao_ctx_isa(ctx)), ao_ctx_threads(ctx), value, unit, limit, most, value / most,
        target);
  else
    printf("  %-28s %-62s %7.2f %s  %3.0f%% of %s\n", id, what.c_str(), value, unit, 100 * value / most, limit);
  fflush(stdout);
}

// Seconds of one attention of `tokens` queries at position `past`, over `layers` caches in turn.
double seconds(ao_ctx* ctx, const Heads& h, const Cache& kind, int64_t tokens, int64_t past, int64_t layers,
               int rounds) {
  const int64_t keys = past + tokens, row = h.q * h.dim, rows = h.kv * keys, bytes = kind.row_bytes(h.dim);
  const Memory cache(2 * layers * rows * bytes);
  fill_rows(kind, cache.data, 2 * layers * rows, h.dim);
  Buffer<float> q(tokens * row), out(tokens * row);
  fill(AO_F32, q.data(), tokens * row);
  const int32_t pos = (int32_t)past;
  ao_sdpa_args a{};
  a.out = out.data(), a.q = q.data(), a.pos = &pos, a.pos_count = 1, a.batch = 1, a.tokens = tokens;
  a.q_heads = h.q, a.kv_heads = h.kv, a.dim = a.v_dim = h.dim, a.keys = keys, a.causal = 1;
  a.scale = 1 / sqrt((double)h.dim), a.dtype = AO_F32, a.kv_dtype = kind.dtype;
  a.k_bits = a.v_bits = kind.rows.bits, a.k_asymmetric = a.v_asymmetric = kind.rows.asymmetric;
  a.q_strides[0] = tokens * row, a.q_strides[1] = row, a.q_strides[2] = h.dim;
  const int64_t stride = bytes / ao_dtype_size(kind.dtype);
  a.k_strides[0] = a.v_strides[0] = rows * stride, a.k_strides[1] = a.v_strides[1] = keys * stride;
  a.k_strides[2] = a.v_strides[2] = stride;
  double least = 1e9, spent = 0;
  for (int round = 0; round < 100 && (round < rounds || spent < 1); round++) {
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t layer = 0; layer < layers; layer++) {
      a.k = cache.data + 2 * layer * rows * bytes, a.v = (const char*)a.k + rows * bytes;
      if (ao_cpu_sdpa(&a, ctx)) fprintf(stderr, "%s\n", ao_ctx_error(ctx)), exit(1);
      ao_ctx_reset(ctx);
    }
    const double t = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    least = t < least ? t : least, spent += t;
  }
  return least / layers;
}

} // namespace

int main(int argc, char** argv) {
  const ao_bench::Options options = ao_bench::options_of(argc, argv, "bench_ops_sdpa", {2, 3});
  json = options.json;
  Context ctx(options.threads);
  const ao_bench::Peaks peaks = ao_bench::measure_peaks(ctx);
  if (!json)
    printf("%s, %d threads: reads %.1f GB/s, float32 multiply-adds %.0f GFLOP/s\n", ao_isa_name(ao_ctx_isa(ctx)),
           ao_ctx_threads(ctx), peaks.read * 1e-9, peaks.fma * 1e-9);
  for (const Heads& h : {kSmall, k8b}) {
    for (const Cache& cache : kCaches) {
      const std::string kind = cache.name;
      const std::string start = "sdpa-" + kind + "-" + h.name + "-";
      const std::string shape = std::to_string(h.q) + "/" + std::to_string(h.kv) + " heads of " +
                                std::to_string(h.dim) + ", " + kind + " cache";
      for (int64_t keys : {4096, 16384, 32768}) {
        const std::string id = start + std::to_string(keys / 1024) + "k";
        if (!options.wants(id)) continue;
        const double bytes = 2.0 * h.kv * keys * (double)cache.row_bytes(h.dim);
        const int64_t layers = (int64_t)(192e6 / bytes) + 1;
        const double time = seconds(ctx, h, cache, 1, keys - 1, layers, options.rounds);
        report(ctx, id.c_str(),
               "1 query over " + std::to_string(keys) + " keys, " + shape + ", " + std::to_string((int)(time * 1e6)) +
                   " us",
               bytes / time * 1e-9, "GB/s", "read bandwidth", peaks.read * 1e-9, 0.7);
      }
      const std::string id = start + "prefill";
      if (!options.wants(id)) continue;
      const double work = 4.0 * h.q * h.dim * 512 * 513 / 2;
      report(ctx, id.c_str(), "512 queries, " + shape, work / seconds(ctx, h, cache, 512, 0, 4, options.rounds) * 1e-9,
             "GFLOP/s", "float32 multiply-adds", peaks.fma * 1e-9, 0.5);
    }
  }
}
