// Products of a few rows with packed weights of Llama 8B's layers, without Node: microseconds of a launch in a graph of many over rotating
// weights that no cache holds, bytes of the weight a second, and how far off the product with a decoded weight it is.
//   bench_cuda_linear [forms] [rows] [shapes]: bench_cuda_linear int4,int8 1,16 28672x4096
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/ctx.h"
#include "base/elements.h"

namespace {

struct Form {
  const char* name;
  int64_t code, bits, group, scale_dtype, zero_domain; // group 0: one for a row
  bool sparse;
};
const Form kForms[] = {
    {"bf16", AO_BF16, 0, 0, AO_F32, AO_ZERO_NONE, false},
    {"int8", AO_I8, 8, 128, AO_BF16, AO_ZERO_NONE, false},
    {"int8r", AO_I8, 8, 0, AO_BF16, AO_ZERO_NONE, false},
    {"int4", AO_INT4, 4, 128, AO_BF16, AO_ZERO_NONE, false},
    {"int4g32", AO_INT4, 4, 32, AO_BF16, AO_ZERO_NONE, false},
    {"int4z", AO_INT4, 4, 128, AO_BF16, AO_ZERO_FLOAT, false},
    {"int2", AO_I8, 2, 128, AO_BF16, AO_ZERO_NONE, false},
    {"int6", AO_I8, 6, 128, AO_BF16, AO_ZERO_NONE, false},
    {"float8", AO_TABLE, 8, 0, AO_BF16, AO_ZERO_NONE, false},
    {"fp6", AO_TABLE, 6, 0, AO_BF16, AO_ZERO_NONE, false},
    {"int4s", AO_INT4, 4, 128, AO_BF16, AO_ZERO_NONE, true},
};

void must(bool good, ao_ctx* ctx, const char* what) {
  if (good) return;
  fprintf(stderr, "%s: %s %s\n", what, ctx->error, cudaGetErrorString(cudaGetLastError()));
  exit(1);
}

void* device(const void* from, size_t bytes) {
  void* to = nullptr;
  if (cudaMalloc(&to, bytes) != cudaSuccess ||
      (from && cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice) != cudaSuccess))
    must(false, nullptr, "memory");
  return to;
}

uint32_t random32(uint64_t* state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>(*state >> 32);
}
float normal(uint64_t* state) {
  float sum = 0;
  for (int i = 0; i < 6; i++) sum += static_cast<float>(random32(state)) * 0x1p-32f;
  return (sum - 3) * 1.4142f;
}

std::vector<float> table_of(const Form& f) {
  const int count = 1 << f.bits, exponent = f.bits == 8 ? 4 : 3, mantissa = static_cast<int>(f.bits) - 1 - exponent;
  const int bias = (1 << (exponent - 1)) - 1;
  std::vector<float> t(static_cast<size_t>(count));
  for (int c = 0; c < count; c++) {
    const int e = c >> mantissa & ((1 << exponent) - 1), m = c & ((1 << mantissa) - 1);
    const float part = static_cast<float>(m) / static_cast<float>(1 << mantissa);
    const float v = e ? ldexpf(1 + part, e - bias) : ldexpf(part, 1 - bias);
    t[static_cast<size_t>(c)] = f.bits == 8 && (c & 127) == 127 ? NAN : c < count / 2 ? v : -v;
  }
  return t;
}

// A packed weight; its bytes are counted in *bytes.
void* pack(ao_ctx* ctx, const Form& f, int64_t n, int64_t k, uint64_t seed, int64_t* bytes) {
  const int64_t kept = f.sparse ? k / 2 : k, group = f.group ? f.group : k, groups = k / group;
  const bool plain = f.code == AO_BF16;
  uint64_t state = seed;
  std::vector<uint8_t> codes(static_cast<size_t>(plain ? n * k * 2 : f.code == AO_INT4 ? n * kept / 2 : n * kept));
  if (plain) {
    for (int64_t i = 0; i < n * k; i++)
      reinterpret_cast<uint16_t*>(codes.data())[i] = ao_to_bf16(static_cast<float>(random32(&state) % 255) / 127 - 1);
  } else {
    for (uint8_t& c : codes) {
      const uint32_t v = random32(&state);
      c = static_cast<uint8_t>(f.code == AO_I8 && f.bits < 8
                                   ? static_cast<int>(v % (1u << f.bits)) - (1 << (f.bits - 1))
                               : f.code == AO_TABLE ? v % (1u << f.bits) % 126 // no NaN
                                                    : v);
    }
  }
  std::vector<uint16_t> scale(static_cast<size_t>(n * groups)), zero(scale.size());
  for (size_t i = 0; i < scale.size(); i++)
    scale[i] = ao_to_bf16(0.01f + 0.002f * normal(&state)), zero[i] = ao_to_bf16(0.01f * normal(&state));
  std::vector<uint8_t> meta(static_cast<size_t>(f.sparse ? n * k / 8 : 0));
  const uint8_t ways[] = {0x84, 0xc9, 0xed, 0x4d, 0xec, 0x98};
  for (size_t i = 0; i < meta.size(); i++) meta[i] = ways[i % 6];
  const std::vector<float> table = f.code == AO_TABLE ? table_of(f) : std::vector<float>();
  ao_pack_weight_args a{};
  a.code = f.code | (f.sparse ? AO_TWO_OF_FOUR : 0), a.n = n, a.k = k, a.group_size = group;
  a.zero_domain = f.zero_domain;
  a.scale_dtype = a.zero_dtype = AO_BF16, a.activation = AO_ACT_EXACT, a.rows = n;
  a.bits = f.code == AO_TABLE || (f.code == AO_I8 && f.bits < 8) ? f.bits : 0;
  a.codes = device(codes.data(), codes.size());
  if (!plain) a.scale = device(scale.data(), scale.size() * 2);
  if (f.zero_domain != AO_ZERO_NONE) a.zero = device(zero.data(), zero.size() * 2);
  if (!table.empty()) a.table = device(table.data(), table.size() * 4);
  if (f.sparse) a.meta = device(meta.data(), meta.size());
  *bytes = ao_cuda_weight_packed_size(a.code, n, a.k, a.group_size, a.zero_domain, a.scale_dtype, a.zero_dtype, a.bits,
                                      a.activation);
  a.packed = device(nullptr, static_cast<size_t>(*bytes));
  must(ao_cuda_pack_weight(&a, ctx) == 0 && cudaStreamSynchronize(ctx->stream) == cudaSuccess, ctx, "pack");
  for (const void* p : {a.codes, a.scale, a.zero, static_cast<const void*>(a.table), a.meta})
    cudaFree(const_cast<void*>(p));
  return a.packed;
}

int linear(ao_ctx* ctx, const void* x, void* out, const void* weight, int64_t m, int64_t n, int64_t k) {
  ao_linear_packed_args a{};
  a.x = x, a.m = m, a.k = k, a.x_stride = k, a.x_dtype = a.out_dtype = AO_BF16, a.bias_dtype = AO_F32, a.count = 1;
  a.weight0 = weight, a.out0 = out, a.n0 = n, a.stride0 = n;
  ctx->used = 0;
  return ao_cuda_linear_packed(&a, ctx);
}

bool wanted(const char* list, const std::string& name) {
  return !list || !strcmp(list, "all") || ("," + std::string(list) + ",").find("," + name + ",") != std::string::npos;
}

} // namespace

int main(int argc, char** argv) {
  char why[512];
  ao_ctx* ctx = ao_ctx_create(0, nullptr, why, sizeof why);
  if (!ctx) return printf("%s\n", why), 77;
  const int64_t shapes[][2] = {{28672, 4096}, {4096, 14336}, {6144, 4096}, {4096, 4096}};
  for (const auto& [n, k] : shapes) {
    if (!wanted(argc > 3 ? argv[3] : nullptr, std::to_string(n) + "x" + std::to_string(k))) continue;
    uint64_t state = 7;
    std::vector<uint16_t> x(static_cast<size_t>(256 * k));
    for (uint16_t& v : x) v = ao_to_bf16(normal(&state));
    void *xs = device(x.data(), x.size() * 2), *outs = device(nullptr, static_cast<size_t>(256 * n * 2)),
         *right = device(nullptr, static_cast<size_t>(256 * n * 2));
    for (const Form& f : kForms) {
      if (!wanted(argc > 1 ? argv[1] : nullptr, f.name)) continue;
      int64_t bytes = 0;
      std::vector<void*> weights{pack(ctx, f, n, k, 1, &bytes)};
      while (static_cast<int64_t>(weights.size()) * bytes < int64_t{200} << 20) {
        void* copy = device(nullptr, static_cast<size_t>(bytes));
        cudaMemcpy(copy, weights[0], static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice);
        ctx->weights[copy] = ao::Weight(ctx->weights[weights[0]]);
        ao::Weight& w = ctx->weights[copy]; // the same parts at another address
        const auto move = [&](auto& part) {
          using P = std::remove_reference_t<decltype(part)>;
          if (part)
            part = reinterpret_cast<P>(reinterpret_cast<intptr_t>(part) - reinterpret_cast<intptr_t>(weights[0]) +
                                       reinterpret_cast<intptr_t>(copy));
        };
        move(w.codes), move(w.scale), move(w.zero), move(w.table), move(w.meta), move(w.odd), move(w.sums);
        weights.push_back(copy);
      }
      must(linear(ctx, xs, right, weights[0], 256, n, k) == 0, ctx, "product");
      for (int m : {1, 2, 4, 8, 16, 32, 64, 128}) {
        if (!wanted(argc > 2 ? argv[2] : nullptr, std::to_string(m))) continue;
        cudaMemset(outs, 0xff, static_cast<size_t>(m * n * 2));
        must(linear(ctx, xs, outs, weights[0], m, n, k) == 0 && cudaStreamSynchronize(ctx->stream) == cudaSuccess, ctx,
             "product");
        std::vector<uint16_t> got(static_cast<size_t>(m * n)), want(got.size());
        cudaMemcpy(got.data(), outs, got.size() * 2, cudaMemcpyDeviceToHost);
        cudaMemcpy(want.data(), right, want.size() * 2, cudaMemcpyDeviceToHost);
        double off = 0, all = 0;
        for (size_t i = 0; i < got.size(); i++) {
          const double a = ao_from_bf16(got[i]), b = ao_from_bf16(want[i]);
          off += (a - b) * (a - b), all += b * b;
        }
        cudaGraph_t graph;
        cudaGraphExec_t exec;
        const int calls = 100;
        must(cudaStreamBeginCapture(ctx->stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess, ctx, "capture");
        for (int i = 0; i < calls; i++)
          must(linear(ctx, xs, outs, weights[static_cast<size_t>(i) % weights.size()], m, n, k) == 0, ctx, "product");
        must(cudaStreamEndCapture(ctx->stream, &graph) == cudaSuccess &&
                 cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess,
             ctx, "capture");
        cudaEvent_t a, b;
        cudaEventCreate(&a), cudaEventCreate(&b);
        std::vector<float> times;
        for (int i = 0; i < 8; i++) {
          cudaEventRecord(a, ctx->stream), cudaGraphLaunch(exec, ctx->stream), cudaEventRecord(b, ctx->stream);
          must(cudaStreamSynchronize(ctx->stream) == cudaSuccess, ctx, "run");
          float ms = 0;
          cudaEventElapsedTime(&ms, a, b);
          times.push_back(ms * 1000 / calls);
        }
        std::sort(times.begin(), times.end());
        const double us = times[times.size() / 2];
        printf("%-8s [%3d, %5d] x [%5d, %5d] %8.2f us %6.0f GB/s  off %.5f\n", f.name, m, static_cast<int>(k),
               static_cast<int>(n), static_cast<int>(k), us, static_cast<double>(bytes) / us / 1e3, sqrt(off / all));
        fflush(stdout);
        cudaGraphExecDestroy(exec), cudaGraphDestroy(graph);
      }
      for (void* p : weights) ctx->weights.erase(p), cudaFree(p);
    }
    for (void* p : {xs, outs, right}) cudaFree(p);
  }
  return 0;
}
