// The blocks of memory that buffers live in. Every block is 64-byte aligned and has 64 readable bytes behind it; those of
// 16 KiB and more lie on huge pages, side by side up to 4 MiB. The JavaScript thread reserves, the stream's thread releases; which block holds an
// address is asked only while something is poisoned, checked or captured.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <map>
#include <mutex>

#include "slabs.h"

namespace ao {

class Arena {
public:
  Arena() = default;
  Arena(const Arena&) = delete;
  ~Arena();

  // Null where the system has no memory left.
  void* reserve(size_t bytes);
  void release(void* block);
  // The start of the block that holds `address` (or ends there), else 0.
  uintptr_t find(const void* address) const;

private:
  enum class Source { kAllocator, kSlab, kMapped };
  struct Block {
    size_t bytes, reserved;
    Source source;
  };
  void give_back(uintptr_t start, const Block& block);

  mutable std::mutex lock_;
  std::map<uintptr_t, Block> blocks_;
  Slabs slabs_;
};

} // namespace ao
