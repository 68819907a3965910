#include "arena.h"

#include <stdlib.h>
#include <sys/mman.h>

namespace ao {
namespace {

constexpr size_t kAlign = 64, kSlack = 64, kHugeFrom = size_t{4} << 20, kHugePage = size_t{2} << 20, kPage = 4096;

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMapLarge = false; // so that reads behind a large block are found too
#else
constexpr bool kMapLarge = true;
#endif

// Huge-page aligned memory; the part of the tail that does not fill a huge page stays on small ones.
void* map_large(size_t bytes) {
  const size_t spare = bytes + kHugePage;
  void* raw = mmap(nullptr, spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const uintptr_t from = reinterpret_cast<uintptr_t>(raw), start = round_up(from, kHugePage);
  if (start > from) munmap(raw, start - from);
  const uintptr_t end = start + bytes;
  if (from + spare > end) munmap(reinterpret_cast<void*>(end), from + spare - end);
  madvise(reinterpret_cast<void*>(start), bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(start);
}

} // namespace

Arena::~Arena() {
  for (const auto& [start, block] : blocks_) give_back(start, block);
}

void* Arena::reserve(size_t bytes) {
  Block block{bytes, 0};
  void* memory = nullptr;
  if (kMapLarge && bytes >= kHugeFrom) {
    block.mapped = round_up(bytes + kSlack, kPage);
    memory = map_large(block.mapped);
  } else {
    memory = aligned_alloc(kAlign, round_up(bytes + kSlack, kAlign));
  }
  if (!memory) return nullptr;
  std::lock_guard<std::mutex> hold(lock_);
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
  if (block.mapped) {
    munmap(reinterpret_cast<void*>(start), block.mapped);
  } else {
    free(reinterpret_cast<void*>(start));
  }
}

} // namespace ao
