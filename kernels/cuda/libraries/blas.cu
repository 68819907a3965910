// cuBLASLt with prototypes of our own; numbers are those of cublasLt.h, which have not changed from version 11 to 13.
// Row-major out [m, n] = a . b^T is column-major out^T [n, m] = b . a^T.
#include "libraries/blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <array>
#include <map>

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
// cublasLtMatmulDescAttributes_t, cublasLtMatmulPreferenceAttributes_t
enum {
  kTransposeA = 3,
  kTransposeB = 4,
  kEpilogue = 7,
  kBias = 8,
  kScaleA = 17,
  kScaleB = 18,
  kFastSums = 25,
  kScaleModeA = 31,
  kScaleModeB = 32
};
enum { kMaxWorkspace = 1, kAlignA = 5, kAlignB = 6, kAlignC = 7, kAlignD = 8 };
constexpr int kCompute32F = 68, kCompute32I = 72, kReal32F = 0, kReal32I = 10;
constexpr int32_t kEpilogueBias = 4, kScaleByRows = 3;
constexpr size_t kScalesByRows = 120900; // the first version that has them

constexpr size_t kWorkspace = size_t{32} << 20;

struct Blas {
  size_t (*version)();
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

enum Form { kPlain, kScaled, kScaledByRows, kExact };

// What a product is to the library.
struct Shape {
  int64_t type_a, type_b, type_out, turn_a, turn_b, m, n, k, stride_a, stride_b, stride_out, stride_add, adds, bias,
      form, fast;
};
using Key = std::array<int64_t, sizeof(Shape) / sizeof(int64_t)>;
struct Prepared {
  Handle desc = nullptr, a = nullptr, b = nullptr, c = nullptr, d = nullptr;
  bool takes = false;
  Algorithm algorithm{};
  size_t workspace = 0;
};

// cudaDataType_t; -1 where there is none.
int type_of(int64_t dtype) {
  switch (dtype) {
  case AO_F32:
    return kReal32F;
  case AO_F16:
    return 2;
  case AO_BF16:
    return 14;
  case AO_F8E4M3:
    return 28;
  case AO_F8E5M2:
    return 29;
  case AO_I8:
    return 3;
  case AO_I32:
    return kReal32I;
  default:
    return -1;
  }
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
  symbol("cublasLtGetVersion", &b.version);
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
Prepared prepare(Libraries* l, const Shape& s, const Multiply& with) {
  const Blas& blas = l->blas;
  Prepared p;
  Handle preference = nullptr;
  const uint64_t rows = static_cast<uint64_t>(s.m), columns = static_cast<uint64_t>(s.n),
                 depth = static_cast<uint64_t>(s.k);
  const int32_t first = static_cast<int32_t>(s.turn_b), second = static_cast<int32_t>(s.turn_a);
  const uint32_t align = 16;
  Heuristic found{};
  int count = 0;
  const auto set = [&](int attribute, const auto& value) {
    return blas.desc_set(p.desc, attribute, &value, sizeof value) == 0;
  };
  const auto layout = [&](Handle* at, int64_t type, uint64_t down, uint64_t across, int64_t stride) {
    return blas.layout_create(at, static_cast<int>(type), down, across, stride) == 0;
  };
  const bool exact = s.form == kExact;
  bool good = blas.desc_create(&p.desc, exact ? kCompute32I : kCompute32F, exact ? kReal32I : kReal32F) == 0 &&
              set(kTransposeA, first) && set(kTransposeB, second) &&
              layout(&p.a, s.type_b, s.turn_b ? depth : columns, s.turn_b ? columns : depth, s.stride_b) &&
              layout(&p.b, s.type_a, s.turn_a ? rows : depth, s.turn_a ? depth : rows, s.stride_a) &&
              layout(&p.c, s.type_out, columns, rows, s.stride_add) &&
              layout(&p.d, s.type_out, columns, rows, s.stride_out) && blas.preference_create(&preference) == 0 &&
              blas.preference_set(preference, kMaxWorkspace, &kWorkspace, sizeof kWorkspace) == 0;
  if (good && s.bias) good = set(kEpilogue, kEpilogueBias) && set(kBias, with.bias);
  if (good && with.a_scale) good = set(kScaleA, with.b_scale) && set(kScaleB, with.a_scale);
  if (good && s.form == kScaledByRows) good = set(kScaleModeA, kScaleByRows) && set(kScaleModeB, kScaleByRows);
  if (good && s.fast) good = set(kFastSums, int8_t{1});
  if (good) {
    for (int attribute : {kAlignA, kAlignB, kAlignC, kAlignD})
      blas.preference_set(preference, attribute, &align, sizeof align);
    p.takes = blas.heuristic(l->handle, p.desc, p.a, p.b, p.c, p.d, preference, 1, &found, &count) == 0 && count == 1 &&
              found.state == 0;
  }
  if (preference) blas.preference_destroy(preference);
  p.algorithm = found.algorithm, p.workspace = found.workspace;
  return p;
}

bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// Of a side: elements lie side by side over k, or over rows, and rows or columns are a stride apart.
int64_t stride_of(const Side& s) { return s.column == 1 ? s.row : s.column; }
bool fits(const Side& s, int64_t rows, int64_t k) {
  return aligned(s.data) && (s.column == 1 || s.row == 1) && stride_of(s) * ao_dtype_size(s.dtype) % 16 == 0 &&
         stride_of(s) >= (s.column == 1 ? k : rows);
}

} // namespace

bool has_blas(ao_ctx* ctx) { return find_blas(ctx->libraries) != nullptr; }

Libraries* open_libraries() { return new Libraries; }

void close_libraries(Libraries* l) {
  if (!l) return;
  for (auto& [key, p] : l->prepared) {
    if (p.desc) l->blas.desc_destroy(p.desc);
    for (Handle layout : {p.a, p.b, p.c, p.d})
      if (layout) l->blas.layout_destroy(layout);
  }
  if (l->handle) l->blas.destroy(l->handle);
  if (l->workspace) cudaFree(l->workspace);
  delete l; // libraries stay open: their threads may outlive us
}

int blas_multiply(ao_ctx* ctx, const char* op, const Multiply& p, bool* done) {
  *done = false;
  Libraries* l = ctx->libraries;
  const int64_t size = ao_dtype_size(p.out_dtype), add_stride = p.add ? p.add_stride : p.out_stride;
  const bool whole = p.a.dtype == AO_I8, scaled = p.a_scale != nullptr;
  // integers and float8: k side by side, sizes of whole vectors
  const bool narrow = whole || scaled;
  if (p.k == 0 || !fits(p.a, p.m, p.k) || !fits(p.b, p.n, p.k) || !aligned(p.out) || !aligned(p.add) ||
      !aligned(p.bias) || p.out_stride < p.n || p.out_stride * size % 16 || add_stride * size % 16 ||
      (!scaled && p.a.dtype != p.b.dtype) || (whole && p.out_dtype != AO_I32) ||
      (!narrow && p.out_dtype != p.a.dtype && p.out_dtype != AO_F32) ||
      (narrow && (p.a.column != 1 || p.b.column != 1 || p.k % 16 || p.n % 16)) || type_of(p.a.dtype) < 0 ||
      type_of(p.b.dtype) < 0 || !find_blas(l))
    return 0;
  if (p.by_rows && l->blas.version() < kScalesByRows) return 0;
  // of b: k side by side is the transpose; of a: the other way around
  const Shape shape{type_of(p.a.dtype),
                    type_of(p.b.dtype),
                    type_of(p.out_dtype),
                    p.a.column != 1,
                    p.b.column == 1,
                    p.m,
                    p.n,
                    p.k,
                    stride_of(p.a),
                    stride_of(p.b),
                    p.out_stride,
                    add_stride,
                    p.add != nullptr,
                    p.bias != nullptr,
                    whole       ? kExact
                    : p.by_rows ? kScaledByRows
                    : scaled    ? kScaled
                                : kPlain,
                    p.fast};
  Key key;
  memcpy(key.data(), &shape, sizeof shape);
  auto found = l->prepared.find(key);
  if (found == l->prepared.end()) found = l->prepared.emplace(key, prepare(l, shape, p)).first;
  const Prepared& with = found->second;
  if (!with.takes) return 0;
  const auto point = [&](int attribute, const void* at) { l->blas.desc_set(with.desc, attribute, &at, sizeof at); };
  if (p.bias) point(kBias, p.bias);
  if (scaled) point(kScaleA, p.b_scale), point(kScaleB, p.a_scale);
  const float one = 1, none = 0;
  const int32_t whole_one = 1, whole_none = 0;
  const void* alpha = whole ? static_cast<const void*>(&whole_one) : &one;
  const void* beta = p.add ? alpha : whole ? static_cast<const void*>(&whole_none) : &none;
  const Status status =
      l->blas.matmul(l->handle, with.desc, alpha, p.b.data, with.a, p.a.data, with.b, beta, p.add ? p.add : p.out,
                     with.c, p.out, with.d, &with.algorithm, l->workspace, kWorkspace, ctx->stream);
  if (status != 0) return ao_fail(ctx, "%s: cuBLASLt failed with status %d", op, status);
  *done = true;
  return 0;
}

} // namespace ao
