// cuSPARSELt with prototypes of our own; numbers are those of cusparseLt.h 0.5 to 0.10, all libcusparseLt.so.0. A weight's form for the
// library is made once, when a call first goes there, and kept beside its codes. Row-major out [m, n] = x . w^T is column-major
// out^T [n, m] = w . x^T, w the structured side. Which algorithm is best the library finds by running them, once for each shape and
// power of two of rows: what it takes by itself is up to half as fast.
#include "libraries/sparse_lt.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <tuple>

#include "gemm/decode.h"
#include "gemm/linear.h"
#include "libraries/search.h"

namespace ao {
namespace {

using Status = int; // 0 is success
// The library's structures, which it fills itself; they have had 512 to 11,024 bytes.
struct alignas(16) Opaque {
  uint8_t data[12288];
};
constexpr int kReal16F = 2, kReal16BF = 14, kReal8I = 3, kReal32I = 10, kColumns = 1, kRows = 2, kHalf = 0,
              kCompute32I = 0, kCompute32F = 2;
constexpr int kAlgorithmAttributes[] = {0, 3, 4, 5}; // of cusparseLtMatmulAlgAttribute_t: id, split k and how
constexpr size_t kWorkspace = size_t{64} << 20;

struct Lt {
  Status (*init)(Opaque*);
  Status (*destroy)(const Opaque*);
  Status (*dense)(const Opaque*, Opaque*, int64_t rows, int64_t cols, int64_t ld, uint32_t align, int type, int order);
  Status (*structured)(const Opaque*, Opaque*, int64_t rows, int64_t cols, int64_t ld, uint32_t align, int type,
                       int order, int sparsity);
  Status (*matrix_destroy)(const Opaque*);
  Status (*product)(const Opaque*, Opaque*, int op_a, int op_b, const Opaque* a, const Opaque* b, const Opaque* c,
                    const Opaque* d, int compute);
  Status (*algorithm)(const Opaque*, Opaque*, const Opaque* product, int);
  Status (*algorithm_get)(const Opaque*, const Opaque*, int attribute, void*, size_t);
  Status (*algorithm_set)(const Opaque*, Opaque*, int attribute, const void*, size_t);
  Status (*plan)(const Opaque*, Opaque*, const Opaque* product, const Opaque* algorithm);
  Status (*plan_destroy)(const Opaque*);
  Status (*workspace)(const Opaque*, const Opaque* plan, size_t*);
  Status (*size)(const Opaque*, const Opaque* plan, size_t* compressed, size_t* buffer);
  Status (*compress)(const Opaque*, const Opaque* plan, const void* dense, void* compressed, void* buffer,
                     cudaStream_t);
  Status (*matmul)(const Opaque*, const Opaque* plan, const void* alpha, const void* a, const void* b, const void* beta,
                   const void* c, void* d, void* workspace, cudaStream_t*, int32_t);
  Status (*search)(const Opaque*, Opaque* plan, const void* alpha, const void* a, const void* b, const void* beta,
                   const void* c, void* d, void* workspace, cudaStream_t*, int32_t);
};

// A product for so many rows of x.
struct Plan {
  Opaque a, b, d, product, algorithm, plan;
  bool good = false;
};
using Shape = std::tuple<int, int64_t, int64_t, int64_t>; // type, m, n, k
using Choice = std::array<int, 4>;                        // values of kAlgorithmAttributes

struct Kept {
  void* compressed = nullptr;
};

} // namespace

struct SparsePlans {
  bool looked = false;
  Opened file;
  Lt lt{};
  std::unique_ptr<Opaque> handle;
  void* workspace = nullptr;
  std::map<Shape, std::unique_ptr<Plan>> plans;
  std::map<Shape, Choice> choices;
  std::map<const void*, Kept> kept;
};

namespace {

#if !defined(AO_EMULATE)

SparsePlans* find_sparse(ao_ctx* ctx) {
  if (!ctx->sparse) ctx->sparse = new SparsePlans;
  SparsePlans* s = ctx->sparse;
  if (s->looked) return s->handle ? s : nullptr;
  s->looked = true;
  const char* wanted = getenv("AO_CUDA_SPARSE");
  if (wanted && wanted[0] == '0') return nullptr;
  s->file = open_library("cusparseLt", {0});
  if (!s->file.handle) return nullptr;
  bool whole = true;
  const auto symbol = [&](const char* name, auto* function) {
    void* found = dlsym(s->file.handle, (std::string("cusparseLt") + name).c_str());
    *function = reinterpret_cast<std::remove_reference_t<decltype(*function)>>(found);
    whole = whole && found;
  };
  Lt& lt = s->lt;
  symbol("Init", &lt.init), symbol("Destroy", &lt.destroy);
  symbol("DenseDescriptorInit", &lt.dense), symbol("StructuredDescriptorInit", &lt.structured);
  symbol("MatDescriptorDestroy", &lt.matrix_destroy), symbol("MatmulDescriptorInit", &lt.product);
  symbol("MatmulAlgSelectionInit", &lt.algorithm);
  symbol("MatmulAlgGetAttribute", &lt.algorithm_get), symbol("MatmulAlgSetAttribute", &lt.algorithm_set);
  symbol("MatmulPlanInit", &lt.plan), symbol("MatmulPlanDestroy", &lt.plan_destroy);
  symbol("MatmulGetWorkspace", &lt.workspace), symbol("SpMMACompressedSize", &lt.size);
  symbol("SpMMACompress", &lt.compress), symbol("Matmul", &lt.matmul), symbol("MatmulSearch", &lt.search);
  if (!whole) return nullptr;
  auto handle = std::make_unique<Opaque>();
  if (lt.init(handle.get()) != 0) return nullptr;
  if (cudaMalloc(&s->workspace, kWorkspace) != cudaSuccess) {
    cudaGetLastError();
    lt.destroy(handle.get());
    return nullptr;
  }
  s->handle = std::move(handle);
  return s;
}

bool capturing(ao_ctx* ctx) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(ctx->stream, &status) != cudaSuccess || status != cudaStreamCaptureStatusNone;
}

// Descriptors and plan of a shape; `choice` null leaves the algorithm to the library.
bool make_plan(SparsePlans* s, Plan* p, const Shape& shape, const Choice* choice) {
  const Lt& lt = s->lt;
  const Opaque* handle = s->handle.get();
  const auto& [type, m, n, k] = shape;
  const int out = type == kReal8I ? kReal32I : type, compute = type == kReal8I ? kCompute32I : kCompute32F;
  if (lt.structured(handle, &p->a, n, k, k, 16, type, kRows, kHalf) != 0 ||
      lt.dense(handle, &p->b, k, m, k, 16, type, kColumns) != 0 ||
      lt.dense(handle, &p->d, n, m, n, 16, out, kColumns) != 0 ||
      lt.product(handle, &p->product, 0, 0, &p->a, &p->b, &p->d, &p->d, compute) != 0 ||
      lt.algorithm(handle, &p->algorithm, &p->product, 0) != 0)
    return false;
  for (size_t i = 0; choice && i < choice->size(); i++) // a library without split k leaves those as they are
    lt.algorithm_set(handle, &p->algorithm, kAlgorithmAttributes[i], &(*choice)[i], sizeof(int));
  size_t workspace = 0;
  return lt.plan(handle, &p->plan, &p->product, &p->algorithm) == 0 &&
         lt.workspace(handle, &p->plan, &workspace) == 0 && workspace <= kWorkspace;
}

int64_t bucket_of(int64_t m) {
  int64_t bucket = 16;
  while (bucket < m) bucket *= 2;
  return bucket;
}

// The codes of an 8-bit weight with zeros for those that are not there.
__global__ void dense_codes_kernel(Weight w, int8_t* out) {
  const int64_t columns = w.columns();
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < w.n * columns;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t row = p / columns, k = kept_at(w, row, p % columns);
    out[p] = k < 0 ? int8_t{0} : static_cast<int8_t>(number_at(w, row, k));
  }
}

// The weight's form for the library, made where there is none; null where it cannot be had now.
void* compressed_of(ao_ctx* ctx, SparsePlans* s, const char* op, const Weight& w, int type, const Plan& p) {
  Kept& kept = s->kept[w.codes];
  if (kept.compressed) return kept.compressed;
  if (capturing(ctx)) return nullptr;
  void* dense = nullptr;
  if (type == kReal8I) {
    int8_t* codes = scratch<int8_t>(ctx, w.n * w.columns());
    if (codes && !launch(ctx, op, dense_codes_kernel, blocks_for(ctx, w.n * w.columns()), kThreads, 0, w, codes))
      dense = codes;
  } else {
    dense = dense_weight(ctx, op, w, w.source);
  }
  size_t size = 0, buffer = 0;
  void *room = nullptr, *compressed = nullptr;
  if (!dense || s->lt.size(s->handle.get(), &p.plan, &size, &buffer) != 0 || !(room = scratch_bytes(ctx, buffer)) ||
      cudaMalloc(&compressed, size) != cudaSuccess) {
    cudaGetLastError();
    ctx->error[0] = 0; // the dense way is left
    return nullptr;
  }
  if (s->lt.compress(s->handle.get(), &p.plan, dense, compressed, room, ctx->stream) != 0) {
    cudaFree(compressed);
    return nullptr;
  }
  return kept.compressed = compressed;
}

// out [m, n] = x [m, k] . w^T; m a multiple of 8, of 16 for int8.
bool run_sparse(ao_ctx* ctx, const char* op, const Weight& w, int type, const void* x, int64_t m, void* out) {
  SparsePlans* s = find_sparse(ctx);
  if (!s) return false;
  const Shape shape{type, m, w.n, w.columns()}, bucket{type, bucket_of(m), w.n, w.columns()};
  auto found = s->plans.find(shape);
  const auto chosen = s->choices.find(bucket);
  if (found == s->plans.end()) {
    if (s->plans.size() >= 256) { // shapes that come and go
      for (auto& [key, plan] : s->plans)
        if (plan->good) s->lt.plan_destroy(&plan->plan);
      s->plans.clear();
    }
    auto plan = std::make_unique<Plan>();
    plan->good = make_plan(s, plan.get(), shape, chosen == s->choices.end() ? nullptr : &chosen->second);
    found = s->plans.emplace(shape, std::move(plan)).first;
  }
  Plan& p = *found->second;
  void* compressed = p.good ? compressed_of(ctx, s, op, w, type, p) : nullptr;
  if (!compressed) return false;
  const float one = 1, zero = 0;
  if (chosen == s->choices.end() && !capturing(ctx)) {
    Choice choice{};
    bool known = true;
    for (int i = 0; i < 2; i++) // the first also loads what it runs
      known = s->lt.search(s->handle.get(), &p.plan, &one, compressed, x, &zero, out, out, s->workspace, &ctx->stream,
                           1) == 0;
    for (size_t i = 0; known && i < choice.size(); i++)
      known = s->lt.algorithm_get(s->handle.get(), &p.algorithm, kAlgorithmAttributes[i], &choice[i], sizeof(int)) == 0;
    if (known) s->choices.emplace(bucket, choice);
  }
  return s->lt.matmul(s->handle.get(), &p.plan, &one, compressed, x, &zero, out, out, s->workspace, &ctx->stream, 1) ==
         0;
}

// Whether the library is expected to be faster than a dense product of the decoded weight. Microseconds as an H200 was seen to take them:
// products at 620 Tflop/s dense, counting all of them at 900 sparse (int8: 900 and 1,900), 5 more a call of the library; decoding
// writes the dense weight at 2.5 TB/s, and what is read of weights comes at 3.5. At 256 rows it lost on two of three shapes.
bool sparse_wins(int64_t m, int64_t n, int64_t k, bool int8) {
  const double all = 2.0 * static_cast<double>(m) * n * k, size = static_cast<double>(n) * k * (int8 ? 1 : 2);
  const double decode = size / 2.5e6, dense = std::max(all / (int8 ? 900e6 : 620e6), size / 3.5e6) + decode;
  const double sparse = std::max(all / (int8 ? 1900e6 : 900e6), size * 0.5625 / 2e6) + 5;
  return m >= 1024 && sparse < dense;
}

__global__ void join_kernel(Store store, const uint16_t* sums, int64_t m, int64_t dtype) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < m * store.n;
       i += int64_t{gridDim.x} * blockDim.x)
    put(store, i / store.n, i % store.n, load_float(dtype, sums, i));
}

// Rows [0, m) of x as `to` [rows up to `padded`][columns], zeros behind them.
int pad_rows(ao_ctx* ctx, void* to, const void* from, int64_t m, int64_t padded, int64_t columns, int64_t stride,
             int64_t size) {
  uint8_t* end = static_cast<uint8_t*>(to) + m * columns * size;
  return check_cuda(ctx, "copy",
                    cudaMemcpy2DAsync(to, static_cast<size_t>(columns * size), from, static_cast<size_t>(stride * size),
                                      static_cast<size_t>(columns * size), static_cast<size_t>(m),
                                      cudaMemcpyDeviceToDevice, ctx->stream)) ||
         clear(ctx, end, static_cast<size_t>((padded - m) * columns * size));
}

bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

#endif

} // namespace

void close_sparse(SparsePlans* s) {
  if (!s) return;
#if !defined(AO_EMULATE)
  for (auto& [codes, kept] : s->kept)
    if (kept.compressed) cudaFree(kept.compressed);
  for (auto& [shape, plan] : s->plans)
    if (plan->good) s->lt.plan_destroy(&plan->plan);
  if (s->workspace) cudaFree(s->workspace);
  if (s->handle) s->lt.destroy(s->handle.get());
#endif
  delete s;
}

void forget_sparse(ao_ctx* ctx, const void* codes) {
  if (!ctx->sparse) return;
  const auto found = ctx->sparse->kept.find(codes);
  if (found == ctx->sparse->kept.end()) return;
  if (found->second.compressed) cudaFree(found->second.compressed); // waits for what reads it
  ctx->sparse->kept.erase(found);
}

int sparse_product(ao_ctx* ctx, const char* op, const Weight& w, const Rows& x, const Store& store, bool* done) {
  *done = false;
#if !defined(AO_EMULATE)
  const int64_t k = w.columns(), n = w.n;
  // a sum that a residual joins is rounded before; one that a bias joins is not
  if (!w.sparse || w.values != kFloats || w.source != x.dtype || (x.dtype != AO_BF16 && x.dtype != AO_F16) ||
      store.bias || store.out_dtype != x.dtype || n % 8 || k % 16 || !sparse_wins(x.m, n, k, false) ||
      !find_sparse(ctx))
    return 0;
  const int64_t padded = (x.m + 7) / 8 * 8;
  const bool plain = x.stride == k && padded == x.m && aligned(x.data);
  const bool direct = !store.residual && store.out_stride == n && padded == x.m && aligned(store.out);
  void* rows = plain ? const_cast<void*>(x.data) : scratch_bytes(ctx, static_cast<size_t>(padded * k * 2));
  void* out = direct ? store.out : scratch_bytes(ctx, static_cast<size_t>(padded * n * 2));
  if (!rows || !out || (!plain && pad_rows(ctx, rows, x.data, x.m, padded, k, x.stride, 2))) return 1;
  *done = run_sparse(ctx, op, w, x.dtype == AO_BF16 ? kReal16BF : kReal16F, rows, padded, out);
  if (!*done || direct) return 0;
  return launch(ctx, op, join_kernel, blocks_for(ctx, x.m * n), kThreads, 0, store, static_cast<const uint16_t*>(out),
                x.m, x.dtype);
#else
  return 0;
#endif
}

int sparse_integers(ao_ctx* ctx, const char* op, const Weight& w, const int8_t* x, int64_t m, const int32_t** sums) {
  *sums = nullptr;
#if !defined(AO_EMULATE)
  const int64_t k = w.columns(), n = w.n;
  if (!w.sparse || w.values != kSigned || w.bits != 8 || n % 16 || k % 32 || !sparse_wins(m, n, k, true) ||
      !find_sparse(ctx))
    return 0;
  const int64_t padded = (m + 15) / 16 * 16;
  const bool plain = padded == m && aligned(x);
  int8_t* rows = plain ? const_cast<int8_t*>(x) : scratch<int8_t>(ctx, padded * k);
  int32_t* out = scratch<int32_t>(ctx, padded * n);
  if (!rows || !out || (!plain && pad_rows(ctx, rows, x, m, padded, k, k, 1))) return 1;
  if (run_sparse(ctx, op, w, kReal8I, rows, padded, out)) *sums = out;
#endif
  return 0;
}

} // namespace ao
