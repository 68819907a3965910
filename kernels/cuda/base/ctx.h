// What stands behind ao_ctx on a GPU, and how kernels are launched. One context belongs to one stream's thread.
#pragma once
#include <cuda_runtime.h>

#include <unordered_map>
#include <vector>

#include "ao/cuda.h"
#include "base/report.h"
#include "base/weight.h"

namespace ao {
struct Libraries;
struct CudnnPlans;
struct SparsePlans;
} // namespace ao

struct ao_ctx {
  int device = 0, multiprocessors = 1;
  int shared_bytes = 0; // that a block of threads may have
  cudaStream_t stream = nullptr;
  char error[1024] = "";
  ao::Site site{};                                       // of the running command
  ao::Report* reports = nullptr;                         // the host's view of site.slots
  std::unordered_map<const void*, ao::Weight> weights{}; // packed blobs by address
  ao::Libraries* libraries = nullptr;
  ao::CudnnPlans* cudnn = nullptr;   // where attention has looked for it
  ao::SparsePlans* sparse = nullptr; // where a 2:4 weight's product has
  uint32_t* left = nullptr;          // on the device, 0: for a kernel whose last block of threads ends it
  // Scratch: the last block is in use, earlier ones stay for plans that recorded them.
  struct Block {
    char* data;
    size_t size;
  };
  std::vector<Block> blocks{};
  size_t used = 0;
  bool packing = false;         // weights were packed that no product has waited for yet
  int early = -1;               // whether kernels can start early (base/early.h); -1: not asked yet
  unsigned* arrivals = nullptr; // kArrivals counters, 0 between kernels: who counts to the end sets 0 again
};

namespace ao {

// 1 with the error recorded where `status` is one.
int check_cuda(ao_ctx* ctx, const char* what, cudaError_t status);

// `count` values of device memory until the command has run, or null with the error recorded.
void* scratch_bytes(ao_ctx* ctx, size_t bytes);
template <class T>
T* scratch(ao_ctx* ctx, int64_t count) {
  return static_cast<T*>(scratch_bytes(ctx, static_cast<size_t>(count) * sizeof(T)));
}

constexpr int kThreads = 256, kWarp = 32, kArrivals = 1 << 14;
constexpr unsigned kAllLanes = 0xffffffffu;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Blocks for n pieces of work that a grid-stride loop shares; at least one.
inline unsigned blocks_for(const ao_ctx* ctx, int64_t n, int64_t per_block = kThreads) {
  const int64_t most = int64_t{ctx->multiprocessors} * 16, wanted = ceil_div(n, per_block);
  return static_cast<unsigned>(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

#if defined(AO_EMULATE)
template <class Kernel, class... Args>
int launch(ao_ctx* ctx, const char* name, Kernel kernel, dim3 grid, dim3 block, size_t shared, Args... args) {
  (void)name;
  emulator::launch(ctx->stream, grid, block, shared, [=] { kernel(args...); });
  return 0;
}
#elif defined(__CUDACC__)
template <class... Takes, class... Args>
int launch(ao_ctx* ctx, const char* name, void (*kernel)(Takes...), dim3 grid, dim3 block, size_t shared,
           Args... args) {
  if (shared > (48u << 10)) { // more has to be asked for
    const auto function = reinterpret_cast<const void*>(kernel);
    if (check_cuda(
            ctx, name,
            cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared))))
      return 1;
  }
  kernel<<<grid, block, shared, ctx->stream>>>(static_cast<Takes>(args)...);
  return check_cuda(ctx, name, cudaGetLastError());
}
#endif

inline int clear(ao_ctx* ctx, void* at, size_t bytes) {
  return bytes ? check_cuda(ctx, "memset", cudaMemsetAsync(at, 0, bytes, ctx->stream)) : 0;
}
inline int copy(ao_ctx* ctx, void* to, const void* from, size_t bytes) {
  return bytes ? check_cuda(ctx, "copy", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, ctx->stream)) : 0;
}

} // namespace ao

// Dynamic shared memory as `type name[]`.
#if defined(AO_EMULATE)
#define AO_SHARED(type, name) type* const name = static_cast<type*>(emulator::shared_memory())
#else
#define AO_SHARED(type, name)                                                                                          \
  extern __shared__ __align__(16) unsigned char ao_shared_bytes[];                                                     \
  type* const name = reinterpret_cast<type*>(ao_shared_bytes)
#endif
