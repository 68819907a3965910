// Middling blocks side by side in slabs of huge pages: first fit by address, neighbours merge when they come back. A huge page that
// holds nothing any more, and a slab, go back to the system.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <map>
#include <set>

namespace ao {

class Slabs {
public:
  Slabs() = default;
  Slabs(const Slabs&) = delete;
  ~Slabs();

  // `bytes`: a multiple of 64, at most kLargest. Null where the system has no memory left.
  void* take(size_t bytes);
  void give(void* block, size_t bytes);

  static constexpr size_t kLargest = size_t{4} << 20;

private:
  static constexpr size_t kSlab = size_t{16} << 20; // bytes, and what divides a slab's address

  std::map<uintptr_t, size_t> free_; // start and bytes, none next to another of its slab
  std::set<uintptr_t> slabs_;
};

} // namespace ao
