#include "base/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/probe.h"
#include "libraries/cudnn_sdpa.h"
#include "libraries/libraries.h"
#include "libraries/sparse_lt.h"

namespace ao {
namespace {

constexpr size_t kAlign = 256, kLeastBlock = size_t{32} << 20;

size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

// Opens the device, its stream and the reports; false with the reason in ctx->error.
bool open_device(ao_ctx* ctx, int device) {
  char reason[512];
  int driver, runtime, devices;
  ao_cuda_probe(reason, sizeof reason, &driver, &runtime, &devices);
  if (*reason) return ao_fail(ctx, "%s", reason), false;
  if (device < 0 || device >= devices)
    return ao_fail(ctx, "device %d; this machine has %d, counted from 0", device, devices), false;
  ctx->device = device;
  if (check_cuda(ctx, "cudaSetDevice", cudaSetDevice(device)) ||
      check_cuda(ctx, "cudaDeviceGetAttribute",
                 cudaDeviceGetAttribute(&ctx->multiprocessors, cudaDevAttrMultiProcessorCount, device)) ||
      check_cuda(ctx, "cudaDeviceGetAttribute",
                 cudaDeviceGetAttribute(&ctx->shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device)) ||
      check_cuda(ctx, "cudaStreamCreate", cudaStreamCreateWithFlags(&ctx->stream, cudaStreamNonBlocking)))
    return false;
  void* counters = nullptr;
  if (check_cuda(ctx, "cudaMalloc", cudaMalloc(&counters, kArrivals * sizeof(unsigned)))) return false;
  ctx->arrivals = static_cast<unsigned*>(counters);
  if (clear(ctx, counters, kArrivals * sizeof(unsigned))) return false;
  void *host = nullptr, *mapped = nullptr;
  if (check_cuda(ctx, "cudaHostAlloc", cudaHostAlloc(&host, kReports * sizeof(Report), cudaHostAllocMapped)))
    return false;
  ctx->reports = static_cast<Report*>(host);
  memset(host, 0, kReports * sizeof(Report));
  if (check_cuda(ctx, "cudaHostGetDevicePointer", cudaHostGetDevicePointer(&mapped, host, 0))) return false;
  ctx->site.slots = static_cast<Report*>(mapped);
  void* left = nullptr;
  if (check_cuda(ctx, "cudaMalloc", cudaMalloc(&left, kAlign))) return false;
  ctx->left = static_cast<uint32_t*>(left);
  return !clear(ctx, left, kAlign);
}

} // namespace

int check_cuda(ao_ctx* ctx, const char* what, cudaError_t status) {
  if (status == cudaSuccess) return 0;
  return ao_fail(ctx, "%s: %s (CUDA error %d, %s)", what, cudaGetErrorString(status), static_cast<int>(status),
                 cudaGetErrorName(status));
}

void* scratch_bytes(ao_ctx* ctx, size_t bytes) {
  const size_t size = round_up(bytes ? bytes : 1, kAlign);
  if (ctx->blocks.empty() || ctx->used + size > ctx->blocks.back().size) {
    const size_t last = ctx->blocks.empty() ? 0 : ctx->blocks.back().size;
    const size_t whole = round_up(size > 2 * last ? size : 2 * last, kLeastBlock);
    void* memory = nullptr;
    if (cudaMalloc(&memory, whole) != cudaSuccess && (cudaGetLastError(), whole > size)) {
      cudaMalloc(&memory, size);
      if (memory) ctx->blocks.push_back({static_cast<char*>(memory), size});
    } else if (memory) {
      ctx->blocks.push_back({static_cast<char*>(memory), whole});
    }
    if (!memory) {
      cudaGetLastError();
      ao_fail(ctx, "out of memory: a kernel needs %zu bytes of scratch on the GPU", bytes);
      return nullptr;
    }
    ctx->used = 0;
  }
  void* at = ctx->blocks.back().data + ctx->used;
  ctx->used += size;
  return at;
}

} // namespace ao

extern "C" {

ao_ctx* ao_ctx_create(int device, const char*, char* err, size_t err_size) {
  ao_ctx* ctx = new ao_ctx;
  if (ao::open_device(ctx, device)) {
    ctx->libraries = ao::open_libraries();
    return ctx;
  }
  snprintf(err, err_size, "%s", ctx->error);
  ao_ctx_destroy(ctx);
  return nullptr;
}

void ao_ctx_destroy(ao_ctx* ctx) {
  if (ctx->stream) cudaStreamSynchronize(ctx->stream);
  ao::close_libraries(ctx->libraries);
  ao::close_cudnn(ctx->cudnn);
  ao::close_sparse(ctx->sparse);
  for (const auto& block : ctx->blocks) cudaFree(block.data);
  if (ctx->arrivals) cudaFree(ctx->arrivals);
  if (ctx->left) cudaFree(ctx->left);
  if (ctx->reports) cudaFreeHost(ctx->reports);
  if (ctx->stream) cudaStreamDestroy(ctx->stream);
  delete ctx;
}

int ao_ctx_threads(const ao_ctx* ctx) { return ctx->multiprocessors; }

int ao_fail(ao_ctx* ctx, const char* format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(ctx->error, sizeof ctx->error, format, list);
  va_end(list);
  return 1;
}

const char* ao_ctx_error(const ao_ctx* ctx) { return ctx->error; }

void ao_ctx_reset(ao_ctx* ctx) {
  ctx->error[0] = 0;
  ctx->used = 0;
}

void ao_cuda_at(ao_ctx* ctx, uint32_t plan, uint32_t index) {
  ctx->site.plan = plan;
  ctx->site.index = index;
}

int ao_cuda_failures(ao_ctx* ctx, ao_cuda_failure* out, int most) {
  int count = 0;
  for (int i = 0; i < ao::kReports && count < most; i++) {
    ao::Report& report = ctx->reports[i];
    if (!report.taken) continue;
    out[count].plan = report.plan;
    out[count].index = report.index;
    ao::describe(report, out[count++].text, sizeof out->text);
    memset(&report, 0, sizeof report);
  }
  return count;
}
}
