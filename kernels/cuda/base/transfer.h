// Bytes between host and device; base/transfer.cu.
#pragma once
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

struct ao_ctx;

namespace ao {

class Transfer {
public:
  static constexpr size_t kChunk = size_t{4} << 20;

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  ~Transfer();
  int open(ao_ctx* ctx);
  // As arguments of kernels: from anywhere, also while a graph is captured.
  int write_small(ao_ctx* ctx, void* to, const void* from, size_t size);
  // A pinned buffer of kChunk bytes that nothing reads any more, or null; send() takes what was put there.
  uint8_t* next(ao_ctx* ctx);
  int send(ao_ctx* ctx, void* to, size_t size);
  // Returns when all is there.
  int read(ao_ctx* ctx, void* to, const void* from, size_t size);

private:
  uint8_t* pinned_[2] = {};
  cudaEvent_t free_[2] = {};
  int turn_ = 0;
};

} // namespace ao
