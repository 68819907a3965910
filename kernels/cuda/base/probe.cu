#include "base/probe.h"

#include <cuda_runtime.h>
#include <stdio.h>

#include "ao/cuda.h"

namespace ao {

int driver_floor(int runtime) {
  const int major = runtime / 1000;
  return major == 13 ? 580 : major == 12 ? 525 : major == 11 ? 450 : 0;
}

void why_no_cuda(int status, int driver, int runtime, char* reason, int size) {
  const int major = runtime / 1000, floor = driver_floor(runtime);
  reason[0] = 0;
  if (driver == 0)
    snprintf(reason, size, "no NVIDIA driver: libcuda.so.1 is not there; install driver %d or newer (CUDA %d)", floor,
             major);
  else if (driver / 1000 < major || status == cudaErrorInsufficientDriver)
    snprintf(reason, size,
             "the NVIDIA driver is too old: it runs CUDA %d.%d, these kernels were built for CUDA %d; install driver "
             "%d or newer",
             driver / 1000, driver % 1000 / 10, major, floor);
  else if (status == cudaErrorNoDevice)
    snprintf(reason, size, "the NVIDIA driver sees no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES");
  else if (status != cudaSuccess)
    snprintf(reason, size, "CUDA cannot start: %s (CUDA error %d)",
             cudaGetErrorString(static_cast<cudaError_t>(status)), status);
}

} // namespace ao

extern "C" void ao_cuda_probe(char* reason, int size, int* driver, int* runtime, int* devices) {
  *driver = *runtime = *devices = 0;
  cudaDriverGetVersion(driver);
  cudaRuntimeGetVersion(runtime);
  const cudaError_t status = cudaGetDeviceCount(devices);
  cudaGetLastError(); // what is told here does not belong to a later call
  ao::why_no_cuda(status, *driver, *runtime, reason, size);
  if (!*reason && *devices == 0) ao::why_no_cuda(cudaErrorNoDevice, *driver, *runtime, reason, size);
}

extern "C" int ao_cuda_describe(int device, char* json, int size) {
  cudaDeviceProp p;
  if (cudaGetDeviceProperties(&p, device) != cudaSuccess) return 1;
  snprintf(json, size,
           "{\"name\":\"%s\",\"capability\":\"%d.%d\",\"memory\":%zu,\"multiprocessors\":%d,\"l2\":%d,"
           "\"sharedPerBlock\":%zu}",
           p.name, p.major, p.minor, p.totalGlobalMem, p.multiProcessorCount, p.l2CacheSize, p.sharedMemPerBlockOptin);
  return 0;
}
