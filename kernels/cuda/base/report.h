// What a kernel reports about data that is wrong, in memory that host and device share. Each command has a slot by its number; the
// first thread to find something writes it.
#pragma once
#include <cuda_runtime.h>
#include <stdint.h>

namespace ao {

// The text of each, with up to three numbers; base/report.cc.
enum Reason : uint32_t {
  kIndexOutside,    // index, position, size
  kTargetOutside,   // target, row, classes
  kPositionOutside, // position, token, positions
  kCacheFull,       // tokens, position, capacity
  kKeysShort,       // queries, position, keys
  kLogitNan,        // row
  kHistoryFull,     // row, capacity
  kHistoryWrong,    // row, prompt, all
  kIdOutside,       // id, row, vocabulary
  kExpertOutside,   // expert, row, experts
  kBlocksWrong,     // row or place, column, columns
  kCodeWide,        // row, bits
  kReasons
};

struct Report {
  uint32_t taken; // 0 free, 1 being written or written
  uint32_t plan, index, reason;
  int64_t numbers[3];
};
constexpr int kReports = 256;

// Where the kernels of a command report.
struct Site {
  Report* slots;
  uint32_t plan, index;
};

#if defined(__CUDACC__) || defined(AO_EMULATE) // not where a host compiler sees this
__device__ inline void report(const Site& site, Reason reason, int64_t a, int64_t b = 0, int64_t c = 0) {
  Report* slot = site.slots + (site.index + site.plan * 31) % kReports;
  if (atomicCAS(&slot->taken, 0u, 1u) != 0) return;
  slot->plan = site.plan;
  slot->index = site.index;
  slot->reason = reason;
  slot->numbers[0] = a;
  slot->numbers[1] = b;
  slot->numbers[2] = c;
  __threadfence_system();
}
#endif

// Why, in words; `op` is the caller's to add.
void describe(const Report& report, char* text, int size);

} // namespace ao
