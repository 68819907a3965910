// cuBLASLt with prototypes of our own; numbers are those of cublasLt.h, which have not changed from version 11 to 13.
// Row-major out [m, n] = a . b^T is column-major out^T [n, m] = b . a^T.
#include "libraries/blas.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <map>
#include <tuple>

#include "libraries/libraries.h"
#include "libraries/search.h"

namespace ao {
namespace {

using Handle = void*;
using Status = int; // 0 is success
struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  Status state;
  float waves;
  int reserved[4];
};
enum { kTransposeA = 3, kTransposeB = 4 };                                      // cublasLtMatmulDescAttributes_t
enum { kMaxWorkspace = 1, kAlignA = 5, kAlignB = 6, kAlignC = 7, kAlignD = 8 }; // cublasLtMatmulPreferenceAttributes_t
constexpr int kCompute32F = 68, kReal32F = 0, kReal16F = 2, kReal16BF = 14;

constexpr size_t kWorkspace = size_t{32} << 20;

struct Blas {
  Status (*create)(Handle*);
  Status (*destroy)(Handle);
  Status (*desc_create)(Handle*, int compute, int scale);
  Status (*desc_destroy)(Handle);
  Status (*desc_set)(Handle, int attribute, const void*, size_t);
  Status (*layout_create)(Handle*, int type, uint64_t rows, uint64_t columns, int64_t stride);
  Status (*layout_destroy)(Handle);
  Status (*preference_create)(Handle*);
  Status (*preference_destroy)(Handle);
  Status (*preference_set)(Handle, int attribute, const void*, size_t);
  Status (*heuristic)(Handle, Handle desc, Handle a, Handle b, Handle c, Handle d, Handle preference, int want,
                      Heuristic*, int* found);
  Status (*matmul)(Handle, Handle desc, const void* alpha, const void* a, Handle a_layout, const void* b,
                   Handle b_layout, const void* beta, const void* c, Handle c_layout, void* d, Handle d_layout,
                   const Algorithm*, void* workspace, size_t, cudaStream_t);
};

// What a product is to the library.
using Key = std::tuple<int, int, int, int, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;
struct Prepared {
  Handle desc = nullptr, a = nullptr, b = nullptr, d = nullptr;
  bool takes = false;
  Algorithm algorithm{};
  size_t workspace = 0;
};

int real_of(int64_t dtype) { return dtype == AO_F32 ? kReal32F : dtype == AO_F16 ? kReal16F : kReal16BF; }

__global__ void finish_kernel(Store store, const float* sums, int64_t m) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < m * store.n;
       i += int64_t{gridDim.x} * blockDim.x)
    put(store, i / store.n, i % store.n, sums[i]);
}

} // namespace

struct Libraries {
  bool looked = false;
  Opened file;
  Blas blas{};
  Handle handle = nullptr;
  void* workspace = nullptr;
  std::map<Key, Prepared> prepared;
};

namespace {

// The library's handle, or null where it is not there.
Handle find_blas(Libraries* l) {
  if (l->looked) return l->handle;
  l->looked = true;
#if !defined(AO_EMULATE)
  const char* wanted = getenv("AO_CUDA_BLAS");
  if (wanted && wanted[0] == '0') return nullptr;
  l->file = open_library("cublasLt", {13, 12});
  if (!l->file.handle) return nullptr;
  bool whole = true;
  const auto symbol = [&](const char* name, auto* function) {
    void* found = dlsym(l->file.handle, name);
    *function = reinterpret_cast<std::remove_reference_t<decltype(*function)>>(found);
    whole = whole && found;
  };
  Blas& b = l->blas;
  symbol("cublasLtCreate", &b.create), symbol("cublasLtDestroy", &b.destroy);
  symbol("cublasLtMatmulDescCreate", &b.desc_create), symbol("cublasLtMatmulDescDestroy", &b.desc_destroy);
  symbol("cublasLtMatmulDescSetAttribute", &b.desc_set);
  symbol("cublasLtMatrixLayoutCreate", &b.layout_create), symbol("cublasLtMatrixLayoutDestroy", &b.layout_destroy);
  symbol("cublasLtMatmulPreferenceCreate", &b.preference_create);
  symbol("cublasLtMatmulPreferenceDestroy", &b.preference_destroy);
  symbol("cublasLtMatmulPreferenceSetAttribute", &b.preference_set);
  symbol("cublasLtMatmulAlgoGetHeuristic", &b.heuristic), symbol("cublasLtMatmul", &b.matmul);
  if (!whole || b.create(&l->handle) != 0 || cudaMalloc(&l->workspace, kWorkspace) != cudaSuccess) {
    cudaGetLastError();
    l->handle = nullptr;
  }
#endif
  return l->handle;
}

// Layouts and the algorithm of a product; `takes` is false where the library has none.
Prepared prepare(Libraries* l, const Key& key) {
  const auto& [type, out_type, turn_a, turn_b, m, n, k, stride_a, stride_b, stride_out] = key;
  const Blas& blas = l->blas;
  Prepared p;
  Handle preference = nullptr;
  const uint64_t rows = static_cast<uint64_t>(m), columns = static_cast<uint64_t>(n), depth = static_cast<uint64_t>(k);
  const int32_t first = turn_b, second = turn_a;
  const uint32_t align = 16;
  Heuristic found{};
  int count = 0;
  const bool good = blas.desc_create(&p.desc, kCompute32F, kReal32F) == 0 &&
                    blas.desc_set(p.desc, kTransposeA, &first, sizeof first) == 0 &&
                    blas.desc_set(p.desc, kTransposeB, &second, sizeof second) == 0 &&
                    blas.layout_create(&p.a, type, turn_b ? depth : columns, turn_b ? columns : depth, stride_b) == 0 &&
                    blas.layout_create(&p.b, type, turn_a ? rows : depth, turn_a ? depth : rows, stride_a) == 0 &&
                    blas.layout_create(&p.d, out_type, columns, rows, stride_out) == 0 &&
                    blas.preference_create(&preference) == 0 &&
                    blas.preference_set(preference, kMaxWorkspace, &kWorkspace, sizeof kWorkspace) == 0;
  if (good) {
    for (int attribute : {kAlignA, kAlignB, kAlignC, kAlignD})
      blas.preference_set(preference, attribute, &align, sizeof align);
    p.takes = blas.heuristic(l->handle, p.desc, p.a, p.b, p.d, p.d, preference, 1, &found, &count) == 0 && count == 1 &&
              found.state == 0;
  }
  if (preference) blas.preference_destroy(preference);
  p.algorithm = found.algorithm, p.workspace = found.workspace;
  return p;
}

} // namespace

Libraries* open_libraries() { return new Libraries; }

void close_libraries(Libraries* l) {
  if (!l) return;
  for (auto& [key, p] : l->prepared) {
    if (p.desc) l->blas.desc_destroy(p.desc);
    for (Handle layout : {p.a, p.b, p.d})
      if (layout) l->blas.layout_destroy(layout);
  }
  if (l->handle) l->blas.destroy(l->handle);
  if (l->workspace) cudaFree(l->workspace);
  delete l; // libraries stay open: their threads may outlive us
}

int blas_product(ao_ctx* ctx, const char* op, const Term& t, int64_t m, const Store& store, bool* done) {
  *done = false;
  Libraries* l = ctx->libraries;
  const int64_t n = store.n, size = ao_dtype_size(t.a.dtype);
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const bool plain = !store.bias && !store.residual;
  // element (i, k) side by side over k, or over i
  const auto fits = [&](const Side& s) {
    const int64_t stride = s.column == 1 ? s.row : s.column;
    return aligned(s.data) && (s.column == 1 || s.row == 1) && stride * size % 16 == 0;
  };
  const int64_t out_stride = plain ? store.out_stride : n, out_size = plain ? ao_dtype_size(store.out_dtype) : 4;
  if (t.k == 0 || t.a.dtype != t.b.dtype || !fits(t.a) || !fits(t.b) || out_stride * out_size % 16 ||
      (plain && (!aligned(store.out) || (store.out_dtype != t.a.dtype && store.out_dtype != AO_F32))) || !find_blas(l))
    return 0;
  // of b: k side by side is the transpose; of a: the other way around
  const int turn_b = t.b.column == 1, turn_a = t.a.column != 1;
  const int64_t stride_a = t.a.column == 1 ? t.a.row : t.a.column, stride_b = t.b.column == 1 ? t.b.row : t.b.column;
  if (stride_a < (turn_a ? m : t.k) || stride_b < (turn_b ? t.k : n) || out_stride < n) return 0; // broadcast
  const int out_type = plain ? real_of(store.out_dtype) : kReal32F;
  const Key key{real_of(t.a.dtype), out_type, turn_a, turn_b, m, n, t.k, stride_a, stride_b, out_stride};
  auto found = l->prepared.find(key);
  if (found == l->prepared.end()) found = l->prepared.emplace(key, prepare(l, key)).first;
  const Prepared& p = found->second;
  if (!p.takes) return 0;
  void* out = plain ? store.out : scratch<float>(ctx, m * n);
  if (!out) return 1;
  const float alpha = 1, beta = 0;
  const Status status = l->blas.matmul(l->handle, p.desc, &alpha, t.b.data, p.a, t.a.data, p.b, &beta, out, p.d, out,
                                       p.d, &p.algorithm, l->workspace, kWorkspace, ctx->stream);
  if (status != 0) return ao_fail(ctx, "%s: cuBLASLt failed with status %d", op, status);
  *done = true;
  if (plain) return 0;
  return launch(ctx, op, finish_kernel, blocks_for(ctx, m * n), kThreads, 0, store, static_cast<const float*>(out), m);
}

} // namespace ao
