#include "slabs.h"

#include <sys/mman.h>

#include <iterator>

#include "huge_pages.h"

namespace ao {

Slabs::~Slabs() {
  for (const uintptr_t slab : slabs_) unmap(reinterpret_cast<void*>(slab), kSlab);
}

void* Slabs::take(size_t bytes) {
  auto range = free_.begin();
  while (range != free_.end() && range->second < bytes) ++range;
  if (range == free_.end()) {
    void* slab = map_huge(kSlab, kSlab);
    if (!slab) return nullptr;
    slabs_.insert(reinterpret_cast<uintptr_t>(slab));
    range = free_.emplace(reinterpret_cast<uintptr_t>(slab), kSlab).first;
  }
  const auto [start, size] = *range;
  free_.erase(range);
  if (size > bytes) free_.emplace(start + bytes, size - bytes);
  return reinterpret_cast<void*>(start);
}

void Slabs::give(void* block, size_t bytes) {
  uintptr_t start = reinterpret_cast<uintptr_t>(block), end = start + bytes;
  const uintptr_t slab = start / kSlab * kSlab;
  auto next = free_.lower_bound(start);
  if (next != free_.end() && next->first == end && end < slab + kSlab) {
    end += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first >= slab && before->first + before->second == start) {
      start = before->first;
      free_.erase(before);
    }
  }
  if (end - start == kSlab) {
    slabs_.erase(slab);
    return unmap(reinterpret_cast<void*>(slab), kSlab);
  }
  free_.emplace(start, end - start);
  const uintptr_t from = (start + kHugePage - 1) / kHugePage * kHugePage, to = end / kHugePage * kHugePage;
  if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
}

} // namespace ao
