// What stands behind ao_ctx, and the C++ face of the calls kernels make: parallel_for over a lambda, typed scratch.
#pragma once
#include <string.h>

#include <vector>

#include "ao/ao.h"
#include "base/isa.h"

struct ao_ctx {
  ao_isa isa = ao::kIsas[0];
  int threads = 1;
  char error[1024] = "";
  struct Block {
    char* data;
    size_t size;
  };
  std::vector<Block> blocks; // the last one is being filled
  size_t used = 0;
};

namespace ao {

// fn(begin, end, thread) over [0, n); see ao_parallel_for.
template <class Fn>
void parallel_for(ao_ctx* ctx, int64_t n, int64_t chunk, const Fn& fn) {
  ao_parallel_for(
      ctx, n, chunk,
      [](void* arg, int64_t begin, int64_t end, int thread) { (*static_cast<const Fn*>(arg))(begin, end, thread); },
      const_cast<Fn*>(&fn));
}

// `count` uninitialised values, or null with the error recorded. Call it from the stream's thread only.
template <class T>
T* scratch(ao_ctx* ctx, int64_t count) {
  void* block = ao_scratch(ctx, static_cast<size_t>(count) * sizeof(T));
  if (!block)
    ao_fail(ctx, "out of memory: a kernel needs %lld bytes of scratch", static_cast<long long>(count * sizeof(T)));
  return static_cast<T*>(block);
}

// Rows per chunk so that a chunk holds about `work` units, at least one row.
inline int64_t rows_per_chunk(int64_t work_per_row, int64_t work = 1 << 14) {
  const int64_t rows = work / (work_per_row > 0 ? work_per_row : 1);
  return rows > 0 ? rows : 1;
}

} // namespace ao
