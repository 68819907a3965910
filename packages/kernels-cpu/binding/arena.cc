#include "arena.h"

#include <stdlib.h>

#include "huge_pages.h"

namespace ao {
namespace {

constexpr size_t kAlign = 64, kSlack = 64, kPage = 4096;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kSlabFrom = SIZE_MAX; // so that reads behind a block are found
#else
constexpr size_t kSlabFrom = size_t{16} << 10;
#endif

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

} // namespace

Arena::~Arena() {
  for (const auto& [start, block] : blocks_) give_back(start, block);
}

void* Arena::reserve(size_t bytes) {
  const size_t whole = round_up(bytes + kSlack, kAlign);
  Block block{bytes, whole, Source::kAllocator};
  std::lock_guard<std::mutex> hold(lock_);
  void* memory = nullptr;
  if (bytes < kSlabFrom) {
    memory = aligned_alloc(kAlign, whole);
  } else if (whole <= Slabs::kLargest) {
    block.source = Source::kSlab;
    memory = slabs_.take(whole);
  } else {
    block.source = Source::kMapped;
    block.reserved = round_up(whole, kPage);
    memory = map_huge(block.reserved, kHugePage);
  }
  if (!memory) return nullptr;
  blocks_[reinterpret_cast<uintptr_t>(memory)] = block;
  return memory;
}

void Arena::release(void* memory) {
  std::lock_guard<std::mutex> hold(lock_);
  const auto found = blocks_.find(reinterpret_cast<uintptr_t>(memory));
  if (found == blocks_.end()) return;
  give_back(found->first, found->second);
  blocks_.erase(found);
}

uintptr_t Arena::find(const void* address) const {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  std::lock_guard<std::mutex> hold(lock_);
  auto next = blocks_.upper_bound(at);
  if (next == blocks_.begin()) return 0;
  --next;
  return at <= next->first + next->second.bytes ? next->first : 0;
}

void Arena::give_back(uintptr_t start, const Block& block) {
  void* memory = reinterpret_cast<void*>(start);
  if (block.source == Source::kMapped)
    unmap(memory, block.reserved);
  else if (block.source == Source::kSlab)
    slabs_.give(memory, block.reserved);
  else
    free(memory);
}

} // namespace ao
