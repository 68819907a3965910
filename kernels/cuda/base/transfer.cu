// Bytes between host and device in the order of a stream, through pinned memory: two buffers, of which one is filled while the other
// travels. Small writes travel as arguments of a kernel, so that a CUDA graph keeps them.
#include "base/transfer.h"

#include <string.h>

#include "base/ctx.h"
#include "libraries/nccl.h"

namespace ao {
namespace {

constexpr size_t kWord = 1024; // bytes of one kernel's argument

struct Payload {
  uint8_t bytes[kWord];
};

__global__ void write_kernel(uint8_t* to, Payload payload, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) to[i] = payload.bytes[i];
}

} // namespace

Transfer::~Transfer() {
  for (int i = 0; i < 2; i++) {
    if (free_[i]) cudaEventDestroy(free_[i]);
    if (pinned_[i]) cudaFreeHost(pinned_[i]);
  }
}

int Transfer::open(ao_ctx* ctx) {
  for (int i = 0; i < 2; i++) {
    void* memory = nullptr;
    if (check_cuda(ctx, "cudaHostAlloc", cudaHostAlloc(&memory, kChunk, cudaHostAllocDefault)) ||
        check_cuda(ctx, "cudaEventCreate", cudaEventCreateWithFlags(&free_[i], cudaEventDisableTiming)))
      return 1;
    pinned_[i] = static_cast<uint8_t*>(memory);
  }
  return 0;
}

int Transfer::write_small(ao_ctx* ctx, void* to, const void* from, size_t size) {
  for (size_t at = 0; at < size; at += kWord) {
    Payload payload{};
    const size_t n = size - at < kWord ? size - at : kWord;
    memcpy(payload.bytes, static_cast<const uint8_t*>(from) + at, n);
    if (launch(ctx, "write", write_kernel, 1, kThreads, 0, static_cast<uint8_t*>(to) + at, payload,
               static_cast<int>(n)))
      return 1;
  }
  return 0;
}

uint8_t* Transfer::next(ao_ctx* ctx) {
  turn_ ^= 1;
  return check_cuda(ctx, "cudaEventSynchronize", cudaEventSynchronize(free_[turn_])) ? nullptr : pinned_[turn_];
}

int Transfer::send(ao_ctx* ctx, void* to, size_t size) {
  return check_cuda(ctx, "write", cudaMemcpyAsync(to, pinned_[turn_], size, cudaMemcpyHostToDevice, ctx->stream)) ||
         check_cuda(ctx, "cudaEventRecord", cudaEventRecord(free_[turn_], ctx->stream));
}

int Transfer::read(ao_ctx* ctx, void* to, const void* from, size_t size) {
  const auto count = [&](size_t at) { return size - at < kChunk ? size - at : kChunk; };
  uint8_t* room = nullptr;
  const auto fetch = [&](size_t at) {
    room = next(ctx);
    return !room ||
           check_cuda(ctx, "read",
                      cudaMemcpyAsync(room, static_cast<const uint8_t*>(from) + at, count(at), cudaMemcpyDeviceToHost,
                                      ctx->stream)) ||
           check_cuda(ctx, "cudaEventRecord", cudaEventRecord(free_[turn_], ctx->stream));
  };
  if (size > 0 && (fetch(0) || wait_for_stream(ctx))) return 1;
  for (size_t at = 0; at < size; at += kChunk) {
    const uint8_t* here = room;
    const bool more = at + kChunk < size;
    if (more && fetch(at + kChunk)) return 1;
    memcpy(static_cast<uint8_t*>(to) + at, here, count(at)); // while the next chunk travels
    if (more && check_cuda(ctx, "read", cudaEventSynchronize(free_[turn_]))) return 1;
  }
  return 0;
}

} // namespace ao
