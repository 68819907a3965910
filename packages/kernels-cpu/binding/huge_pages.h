// Memory mapped from the system that asks for huge pages: a weight on 4 KiB pages costs a page walk and a prefetcher's restart every
// 64 lines.
#pragma once
#include <stddef.h>

namespace ao {

constexpr size_t kHugePage = size_t{2} << 20;

// `bytes` (of 4 KiB pages) from an address that `align`, a multiple of kHugePage, divides; null where there is no memory. A tail
// that does not fill a huge page stays on small ones.
void* map_huge(size_t bytes, size_t align);
void unmap(void* memory, size_t bytes);

} // namespace ao
