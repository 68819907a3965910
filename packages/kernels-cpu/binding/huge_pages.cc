#include "huge_pages.h"

#include <stdint.h>
#include <sys/mman.h>

namespace ao {

void* map_huge(size_t bytes, size_t align) {
  const size_t spare = bytes + align;
  void* raw = mmap(nullptr, spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const uintptr_t from = reinterpret_cast<uintptr_t>(raw), start = (from + align - 1) / align * align;
  if (start > from) munmap(raw, start - from);
  const uintptr_t end = start + bytes;
  if (from + spare > end) munmap(reinterpret_cast<void*>(end), from + spare - end);
  madvise(reinterpret_cast<void*>(start), bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(start);
}

void unmap(void* memory, size_t bytes) { munmap(memory, bytes); }

} // namespace ao
