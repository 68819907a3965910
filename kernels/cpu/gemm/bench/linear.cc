// Speed of linear_packed as GB/s of weight bytes for one row of x, out of cache and in it, and as GOP/s for 512 rows, beside what the
// machine can do, measured in the same run (peaks.h). Each case is measured in several short rounds, all cases in turn; medians count.
//   bench_gemm_linear [--threads N] [--only TEXT] [--rounds N] [--json]      --json: one line per case
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

enum Limit { kRead, kFma, kVnni, kPairs, kNone };

struct Format {
  const char *name, *form;
  int64_t code, group, scale_dtype, activation, x_dtype; // group 0 = a row
  int64_t zero_domain = AO_ZERO_NONE, bits = 0;
  int exponent = 0; // of a table of small floats; -1 = that of unsigned integers, 0 = values without a rule
};
const Format kInt4G32 = {"int4 g32", "int8-group", AO_INT4, 32, AO_BF16, AO_ACT_INT8_GROUP, AO_F32};
const Format kInt4Zero = {"int4 g32 zero", "int8-group",      AO_INT4, 32,
                          AO_BF16,         AO_ACT_INT8_GROUP, AO_F32,  AO_ZERO_FLOAT};
const Format kInt4G128 = {"int4 g128", "int8-group", AO_INT4, 128, AO_BF16, AO_ACT_INT8_GROUP, AO_F32};
const Format kInt4Token = {"int4 g32", "int8-token", AO_INT4, 32, AO_BF16, AO_ACT_INT8_TOKEN_ASYM, AO_F32};
const Format kInt4Exact = {"int4 g32", "exact", AO_INT4, 32, AO_BF16, AO_ACT_EXACT, AO_F32};
const Format kInt8Token = {"int8 row", "int8-token", AO_I8, 0, AO_F32, AO_ACT_INT8_TOKEN, AO_F32};
const Format kInt8G32 = {"int8 g32", "int8-group", AO_I8, 32, AO_BF16, AO_ACT_INT8_GROUP, AO_F32};
const Format kInt8Exact = {"int8 row", "exact", AO_I8, 0, AO_F32, AO_ACT_EXACT, AO_F32};
const Format kBF16 = {"bfloat16", "bfloat16 pairs", AO_BF16, 0, AO_F32, AO_ACT_EXACT, AO_BF16};
const Format kBF16Exact = {"bfloat16", "exact", AO_BF16, 0, AO_F32, AO_ACT_EXACT, AO_F32};
const Format kF32 = {"float32", "exact", AO_F32, 0, AO_F32, AO_ACT_EXACT, AO_F32};

// 2:4: codes of half the columns; GB/s and GOP/s count what is there.
const Format kBF16Sparse = {"bfloat16 2:4", "bfloat16 pairs", AO_BF16 | AO_TWO_OF_FOUR, 0, AO_F32,
                            AO_ACT_EXACT,   AO_BF16};
const Format kBF16SparseExact = {"bfloat16 2:4", "exact", AO_BF16 | AO_TWO_OF_FOUR, 0, AO_F32, AO_ACT_EXACT, AO_F32};
const Format kInt8Sparse = {"int8 row 2:4", "int8-token", AO_I8 | AO_TWO_OF_FOUR, 0, AO_F32, AO_ACT_INT8_TOKEN, AO_F32};
const Format kInt4Sparse = {"int4 g128 2:4", "exact", AO_INT4 | AO_TWO_OF_FOUR, 128, AO_BF16, AO_ACT_EXACT, AO_F32};

Format int_of(const char* name, int64_t bits) {
  return {name, "exact", AO_I8, 32, AO_BF16, AO_ACT_EXACT, AO_F32, AO_ZERO_NONE, bits};
}
Format table_of(const char* name, int64_t bits, int exponent, int64_t group, int64_t scale,
                int64_t zero = AO_ZERO_NONE) {
  return {name, "exact", AO_TABLE, group, scale, AO_ACT_EXACT, AO_F32, zero, bits, exponent};
}

struct Case {
  std::string id;
  Format format;
  int64_t n, k, m;
  bool cached;
  Limit limit;
  double target; // share of the limit; 0 = none
};

std::vector<Case> cases() {
  std::vector<Case> list = {
      {"gemv-bf16-8192", kBF16, 8192, 8192, 1, false, kRead, 0.90},
      {"gemv-int8-8192", kInt8Token, 8192, 8192, 1, false, kRead, 0.85},
      {"gemv-int4-8192", kInt4G32, 8192, 8192, 1, false, kRead, 0.85},
      {"gemv-bf16-24-8192", kBF16Sparse, 8192, 8192, 1, false, kRead, 0.80},
      {"gemv-int8-24-8192", kInt8Sparse, 8192, 8192, 1, false, kRead, 0.80},
      {"gemv-int4-24-8192", kInt4Sparse, 8192, 8192, 1, false, kRead, 0},
      {"gemv-bf16-24-exact-8192", kBF16SparseExact, 8192, 8192, 1, false, kRead, 0},
      {"gemv-bf16-exact-8192", kBF16Exact, 8192, 8192, 1, false, kRead, 0},
      {"gemm-bf16-24-4096", kBF16Sparse, 4096, 4096, 512, true, kPairs, 0},
      {"gemm-int8-24-4096", kInt8Sparse, 4096, 4096, 512, true, kVnni, 0},
      {"gemv-int4-g128-8192", kInt4G128, 8192, 8192, 1, false, kRead, 0},
      {"gemv-int8-g32-8192", kInt8G32, 8192, 8192, 1, false, kRead, 0},
      {"gemv-int8-exact-8192", kInt8Exact, 8192, 8192, 1, false, kRead, 0},
      {"gemv-int4-exact-8192", kInt4Exact, 8192, 8192, 1, false, kRead, 0},
      {"gemv-f32-8192", kF32, 8192, 8192, 1, false, kRead, 0},
      {"gemv-int4-cached-4096", kInt4G32, 4096, 4096, 1, true, kNone, 0},
      {"gemv-int4-zero-cached-4096", kInt4Zero, 4096, 4096, 1, true, kNone, 0},
      {"gemv-int4-cached-2048x8192", kInt4G32, 2048, 8192, 1, true, kNone, 0},
      {"gemv-int4-cached-576", kInt4G32, 576, 576, 1, true, kNone, 0},
      {"gemv-int8-cached-576", kInt8Token, 576, 576, 1, true, kNone, 0},
      {"gemv-int4-cached-1536x576", kInt4G32, 1536, 576, 1, true, kNone, 0},
      {"gemv-int8-cached-4096", kInt8Token, 4096, 4096, 1, true, kNone, 0},
      {"gemv-bf16-cached-1024", kBF16, 1024, 4096, 1, true, kNone, 0},
      {"gemm-int8-4096", kInt8Token, 4096, 4096, 512, true, kVnni, 0.80},
      {"gemm-int4-g32-4096", kInt4G32, 4096, 4096, 512, true, kVnni, 0},
      {"gemm-int4-g128-4096", kInt4G128, 4096, 4096, 512, true, kVnni, 0},
      {"gemm-int4-token-4096", kInt4Token, 4096, 4096, 512, true, kVnni, 0},
      {"gemm-int8-g32-4096", kInt8G32, 4096, 4096, 512, true, kVnni, 0},
      {"gemm-f32-4096", kF32, 4096, 4096, 512, true, kFma, 0.88},
      {"gemm-bf16-4096", kBF16, 4096, 4096, 512, true, kPairs, 0.85},
      {"gemm-bf16-exact-4096", kBF16Exact, 4096, 4096, 512, true, kFma, 0},
      {"gemm-int4-exact-4096", kInt4Exact, 4096, 4096, 512, true, kFma, 0},
      {"gemm-int8-576", kInt8Token, 1536, 576, 512, true, kVnni, 0},
      {"gemm-int4-g32-576", kInt4G32, 1536, 576, 512, true, kVnni, 0},
      {"gemm-bf16-576", kBF16, 1536, 576, 512, true, kPairs, 0},
      {"gemm-f32-576", kF32, 1536, 576, 512, true, kFma, 0},
  };
  // every weight-only format in the exact form: 0.6 of what reads reach
  const std::pair<const char*, Format> exact[] = {
      {"int1", int_of("int1 g32", 1)},
      {"int2", int_of("int2 g32", 2)},
      {"int3", int_of("int3 g32", 3)},
      {"int5", int_of("int5 g32", 5)},
      {"int6", int_of("int6 g32", 6)},
      {"int7", int_of("int7 g32", 7)},
      {"uint4-zero", table_of("uint4 g64, zero points", 4, -1, 64, AO_BF16, AO_ZERO_FLOAT)},
      {"uint8-zero", table_of("uint8 g64, zero points", 8, -1, 64, AO_BF16, AO_ZERO_FLOAT)},
      {"mxfp4", table_of("mxfp4", 4, 2, 32, AO_F8E8M0)},
      {"nvfp4", table_of("nvfp4", 4, 2, 16, AO_F8E4M3)},
      {"nf4", table_of("nf4 g64", 4, 0, 64, AO_F32)},
      {"fp3", table_of("fp3 e1m1", 3, 1, 0, AO_F32)},
      {"fp5", table_of("fp5 e2m2", 5, 2, 0, AO_F32)},
      {"fp6", table_of("fp6 e3m2", 6, 3, 0, AO_F32)},
      {"mxfp6", table_of("mxfp6 e2m3", 6, 2, 32, AO_F8E8M0)},
      {"fp7", table_of("fp7 e3m3", 7, 3, 0, AO_F32)},
      {"float8", table_of("float8 e4m3 row", 8, 4, 0, AO_F32)},
      {"mxfp8", table_of("mxfp8 e5m2", 8, 5, 32, AO_F8E8M0)},
      {"codebook6", table_of("codebook of 64", 6, 0, 0, AO_F32)},
      {"codebook8", table_of("codebook of 256", 8, 0, 0, AO_F32)},
  };
  for (const auto& [id, format] : exact)
    list.push_back({std::string("gemv-") + id + "-8192", format, 8192, 8192, 1, false, kRead, 0.6});
  for (const auto& [id, format] : exact)
    list.push_back({std::string("gemm-") + id + "-4096", format, 4096, 4096, 512, true, kFma, 0});
  return list;
}

int64_t size_of(const Case& c) {
  const Format& f = c.format;
  return ao_cpu_weight_packed_size(f.code, c.n, c.k, f.group ? f.group : c.k, f.zero_domain, f.scale_dtype, AO_BF16,
                                   f.bits, f.activation);
}

// Memory as the backend hands it out: huge pages where the block is large.
class Block {
public:
  explicit Block(int64_t bytes) : data_((uint8_t*)aligned_alloc(1 << 21, ao::round_up_to(bytes, 1 << 21))) {
    madvise(data_, ao::round_up_to(bytes, 1 << 21), MADV_HUGEPAGE);
    memset(data_, 0, bytes);
  }
  ~Block() { free(data_); }
  uint8_t* data() const { return data_; }

private:
  uint8_t* data_;
};

// One case with its operands. Out of cache, copies of the weight are taken in turn, 512 MiB in all.
class Running {
public:
  Running(ao_ctx* ctx, const Case& c)
      : ctx_(ctx), size_(ao::round_up_to(size_of(c), 4096)),
        copies_(c.cached ? 1 : std::max<int64_t>(2, ((int64_t)512 << 20) / size_)), weights_(size_ * copies_),
        x_(c.m * c.k * 4), out_(c.m * c.n) {
    const Format& f = c.format;
    const int64_t group = f.group ? f.group : c.k;
    const int64_t code = f.code & ~(int64_t)AO_TWO_OF_FOUR;
    Buffer<uint8_t> meta(c.n * c.k / 8, 0x94); // columns 0 and 1, then 1 and 2
    Buffer<uint8_t> codes(c.n * c.k * (code == AO_INT4 || code == AO_TABLE ? 1 : ao_dtype_size(code)), 0x11);
    Buffer<float> table(256);
    ao_test::Random values(2);
    for (int i = 0; i < 256; i++)
      table[i] = f.exponent < 0    ? (float)i
                 : f.exponent == 0 ? (float)values.normal()
                                   : ao_from_small((uint32_t)i, f.exponent, (int)f.bits - 1 - f.exponent);
    if (f.bits)
      for (int64_t i = 0; i < codes.size(); i++) codes[i] = (uint8_t)(i % 7 & ((1 << (f.bits - 1)) - 1));
    const int64_t groups = c.n * (c.k / group);
    Buffer<uint8_t> scale(groups * 4), zero(groups * 4);
    for (int64_t i = 0; i < groups; i++) {
      if (f.scale_dtype == AO_F8E8M0)
        scale[i] = 121;
      else
        ao_test::encode(f.scale_dtype, scale.data(), i, 0x1p-6);
      ao_test::encode(AO_BF16, zero.data(), i, 0.25);
    }
    if (code == AO_F32 || code == AO_BF16)
      for (int64_t i = 0; i < c.n * c.k; i++) ao_test::encode(code, codes.data(), i, 0.25);
    const ao_pack_weight_args p = {weights_.data(),
                                   codes.data(),
                                   scale.data(),
                                   f.zero_domain == AO_ZERO_NONE ? nullptr : zero.data(),
                                   f.code,
                                   c.n,
                                   c.k,
                                   group,
                                   f.zero_domain,
                                   f.scale_dtype,
                                   AO_BF16,
                                   f.activation,
                                   0,
                                   c.n,
                                   f.bits,
                                   table.data(),
                                   meta.data()};
    check(ao_cpu_pack_weight(&p, ctx));
    for (int64_t i = 1; i < copies_; i++) memcpy(weights_.data() + i * size_, weights_.data(), size_);
    ao_test::Random random(1);
    for (int64_t i = 0; i < c.m * c.k; i++) ao_test::encode(f.x_dtype, x_.data(), i, random.normal());
    a_ = {};
    a_.x = x_.data();
    a_.x_dtype = f.x_dtype;
    a_.m = c.m;
    a_.k = a_.x_stride = c.k;
    a_.count = 1;
    a_.out0 = out_.data();
    a_.n0 = a_.stride0 = c.n;
    once();
    const double t = least_seconds(2, [&] { once(); });
    slice_ = std::max<int64_t>(1, (int64_t)(2e-3 / t));
  }
  // Seconds per call, over a slice of calls.
  double seconds() {
    return least_seconds(5,
                         [&] {
                           for (int64_t i = 0; i < slice_; i++) once();
                         }) /
           slice_;
  }

private:
  void check(int failed) {
    if (failed) fprintf(stderr, "%s\n", ao_ctx_error(ctx_)), exit(1);
  }
  void once() {
    a_.weight0 = weights_.data() + next_++ % copies_ * size_;
    check(ao_cpu_linear_packed(&a_, ctx_));
    ao_ctx_reset(ctx_);
  }
  ao_ctx* ctx_;
  int64_t size_, copies_;
  Block weights_;
  Buffer<uint8_t> x_;
  Buffer<float> out_;
  ao_linear_packed_args a_;
  int64_t next_ = 0, slice_ = 1;
};

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

void report(const Case& c, int threads, double t, const Peaks& peaks, bool json) {
  const double value = c.m == 1 ? size_of(c) / t * 1e-9 : 2.0 * c.m * c.n * c.k / t * 1e-9;
  const double limit = 1e-9 * (c.limit == kRead    ? peaks.read
                               : c.limit == kFma   ? peaks.fma
                               : c.limit == kVnni  ? peaks.vnni
                               : c.limit == kPairs ? peaks.pairs
                                                   : 0);
  const char* name = c.limit == kRead    ? "read bandwidth"
                     : c.limit == kFma   ? "float32 FMA peak"
                     : c.limit == kVnni  ? "int8 VNNI peak"
                     : c.limit == kPairs ? "bfloat16 pairs peak"
                                         : "";
  char what[128];
  snprintf(what, sizeof what, "%s %lld x %lld%s, %s", c.m == 1 ? "GEMV" : "GEMM of 512 rows,", (long long)c.n,
           (long long)c.k,
           c.m > 1    ? ""
           : c.cached ? " in cache"
                      : " out of cache",
           c.format.name);
  const char* unit = c.m == 1 ? "GB/s" : "GOP/s";
  if (!json) {
    printf("%-46s %-14s %d threads %9.1f us %8.2f %-5s", what, c.format.form, threads, t * 1e6, value, unit);
    if (limit > 0) printf("  %3.0f %% of %s", 100 * value / limit, name);
    if (limit > 0 && c.target > 0) printf(" (%.0f wanted)", 100 * c.target);
    printf("\n");
    return;
  }
  printf("{\"id\":\"%s\",\"what\":\"%s\",\"form\":\"%s\",\"threads\":%d,\"value\":%.4g,\"unit\":\"%s\"", c.id.c_str(),
         what, c.format.form, threads, value, unit);
  if (limit > 0) printf(",\"limit\":\"%s\",\"limitValue\":%.4g,\"share\":%.4g", name, limit, value / limit);
  if (limit > 0 && c.target > 0) printf(",\"target\":%.4g", c.target);
  printf("}\n");
}

} // namespace

int main(int argc, char** argv) {
  const Options options = options_of(argc, argv, "bench_gemm_linear", {0, 5});
  char err[256];
  ao_ctx* ctx = ao_ctx_create(options.threads, nullptr, err, sizeof err);
  if (!ctx) return fprintf(stderr, "%s\n", err), 1;
  const Peaks peaks = measure_peaks(ctx);
  if (!options.json)
    printf("%s, %d threads: reads %.1f GB/s, float32 FMA %.0f GFLOP/s, int8 VNNI %.0f GOP/s, bfloat16 pairs %.0f "
           "GFLOP/s\n",
           ao_isa_name(ao_ctx_isa(ctx)), ao_ctx_threads(ctx), peaks.read * 1e-9, peaks.fma * 1e-9, peaks.vnni * 1e-9,
           peaks.pairs * 1e-9);
  for (const Case& c : cases()) {
    if (!options.wants(c.id)) continue;
    Running running(ctx, c);
    std::vector<double> times;
    for (int round = 0; round < options.rounds; round++) times.push_back(running.seconds());
    report(c, ao_ctx_threads(ctx), median(times), peaks, options.json);
    fflush(stdout);
  }
  ao_ctx_destroy(ctx);
}
