// Kernels that start while the one before them still runs (programmatic dependent launch): what launch_early launches calls await_previous()
// before it reads or writes memory; until then it may only bring weights closer (a prefetch to the L2 cache, which stays true whoever
// writes them). let_next_start() lets the next such kernel begin. Where the device runs code of an architecture below 9.0 they are
// ordinary launches.
#pragma once
#include "base/ctx.h"

namespace ao {

__device__ inline void await_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ inline void let_next_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#if defined(AO_EMULATE)
template <class Kernel, class... Args>
int launch_early(ao_ctx* ctx, const char* name, Kernel kernel, dim3 grid, dim3 block, size_t shared, Args... args) {
  return launch(ctx, name, kernel, grid, block, shared, args...);
}
#elif defined(__CUDACC__)
// Whether this device's code of a kernel waits: what the driver made of PTX 8.0 does not.
bool starts_early(ao_ctx* ctx, const void* kernel);

template <class... Takes, class... Args>
int launch_early(ao_ctx* ctx, const char* name, void (*kernel)(Takes...), dim3 grid, dim3 block, size_t shared,
                 Args... args) {
  const auto function = reinterpret_cast<const void*>(kernel);
  if (!starts_early(ctx, function)) return launch(ctx, name, kernel, grid, block, shared, args...);
  if (shared > (48u << 10) &&
      check_cuda(ctx, name,
                 cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared))))
    return 1;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid, config.blockDim = block, config.dynamicSmemBytes = shared, config.stream = ctx->stream;
  config.attrs = &early, config.numAttrs = 1;
  return check_cuda(ctx, name, cudaLaunchKernelEx(&config, kernel, static_cast<Takes>(args)...));
}
#endif

} // namespace ao
