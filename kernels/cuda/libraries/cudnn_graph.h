// A graph of cuDNN's backend with prototypes of our own; numbers are those of cudnn_graph.h, version 9. Tensors have four dimensions
// and are told by the number that adding them gave; virtual ones never reach memory. All sums are float32.
#pragma once
#include <cuda_runtime.h>
#include <stdint.h>

#include <array>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "libraries/search.h"

namespace ao {

using Cudnn4 = std::array<int64_t, 4>;
enum CudnnDtype { kCudnnF32 = 0, kCudnnF16 = 2, kCudnnI32 = 4, kCudnnBf16 = 9, kCudnnBool = 11 };
enum CudnnPointwise {
  kCudnnAdd = 0,
  kCudnnMul = 1,
  kCudnnDiv = 6,
  kCudnnSub = 9,
  kCudnnExp = 13,
  kCudnnLog = 15,
  kCudnnIdentity = 21,
  kCudnnGreaterEqual = 303,
  kCudnnIndex = 501, // of an axis
  kCudnnSelect = 601 // third ? first : second
};
enum CudnnReduction { kCudnnSum = 0, kCudnnMax = 3 };

// The library and its handle on a stream.
struct Cudnn {
  using Descriptor = void*;
  Opened file;
  size_t version = 0; // 91900 is 9.19.0
  void* handle = nullptr;
  bool looked = false;
  int (*create)(void**) = nullptr;
  int (*destroy)(void*) = nullptr;
  int (*set_stream)(void*, cudaStream_t) = nullptr;
  size_t (*get_version)() = nullptr;
  int (*create_descriptor)(int, Descriptor*) = nullptr;
  int (*destroy_descriptor)(Descriptor) = nullptr;
  int (*finalize)(Descriptor) = nullptr;
  int (*set)(Descriptor, int name, int type, int64_t count, const void*) = nullptr;
  int (*get)(Descriptor, int name, int type, int64_t most, int64_t* count, void*) = nullptr;
  int (*execute)(void*, Descriptor plan, Descriptor pack) = nullptr;
};
// False where it is not there; AO_CUDA_DNN=0 says that it is not.
bool open_cudnn(Cudnn* cudnn, cudaStream_t stream);

class CudnnGraph {
public:
  explicit CudnnGraph(const Cudnn& cudnn) : cudnn_(cudnn) {}
  ~CudnnGraph();
  CudnnGraph(const CudnnGraph&) = delete;

  int tensor(CudnnDtype dtype, const Cudnn4& dims, const Cudnn4& strides) { return add(dtype, dims, strides, 0); }
  int inner(CudnnDtype dtype, const Cudnn4& dims, const Cudnn4& strides) { return add(dtype, dims, strides, kVirtual); }
  int scalar() { return add(kCudnnF32, {1, 1, 1, 1}, {1, 1, 1, 1}, kByValue); }

  void pointwise(CudnnPointwise mode, int x, int b, int third, int out, int64_t axis = -1);
  void matmul(int a, int b, int out);
  void reduce(CudnnReduction mode, int x, int out);
  void reshape(int x, int out);

  // Chooses a plan; false where the library has none.
  bool finish();
  size_t workspace() const { return workspace_; }
  // `at`: tensors and their addresses, of scalars on the host; those below 0 are not there. The library's status, 0 where it worked.
  int run(std::initializer_list<std::pair<int, const void*>> at, void* workspace);

private:
  enum { kVirtual = 1, kByValue = 2 };
  int add(CudnnDtype dtype, const Cudnn4& dims, const Cudnn4& strides, int flags);
  Cudnn::Descriptor make(int type);
  void set(Cudnn::Descriptor d, int name, int type, int64_t count, const void* values);
  void set_tensor(Cudnn::Descriptor d, int name, int tensor);
  void end(Cudnn::Descriptor d);
  bool plan_of(Cudnn::Descriptor graph, int mode);

  const Cudnn& cudnn_;
  bool good_ = true;
  std::vector<Cudnn::Descriptor> owned_, tensors_, operations_;
  Cudnn::Descriptor plan_ = nullptr;
  size_t workspace_ = 0;
};

} // namespace ao
