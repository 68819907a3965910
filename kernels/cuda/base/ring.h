// A ring of stages in shared memory that a block of warps reads together, in turn, while copies fill the ones ahead. On sm_90 the warp whose turn it
// is starts copies of any size from one lane (cp.async.bulk); mbarriers count their bytes, and the warps that are done with a stage. Elsewhere
// each warp brings what it will read itself, 16 bytes a lane (cp.async).
#pragma once
#include "base/ctx.h"
#include "base/mbarrier.h"

namespace ao {

constexpr int kMostStages = 8;

#if !AO_BULK_COPIES
// All but the last n batches of copy_async have come, n = 1 .. 7.
__device__ inline void copy_async_wait_all_but(int n) {
  switch (n) {
  case 1:
    return copy_async_wait<1>();
  case 2:
    return copy_async_wait<2>();
  case 3:
    return copy_async_wait<3>();
  case 4:
    return copy_async_wait<4>();
  case 5:
    return copy_async_wait<5>();
  case 6:
    return copy_async_wait<6>();
  default:
    return copy_async_wait<7>();
  }
}
#endif

// A value that the compiler keeps in a register, instead of computing it anew at each use.
__device__ inline int kept(int v) {
#if !defined(AO_EMULATE)
  asm volatile("" : "+r"(v));
#endif
  return v;
}

// All lanes of all `warps` warps call everything. Stage k is brought by bring(slot, k), which calls expect and copy.
class Ring {
public:
  // Whether one warp brings a stage for all; else each warp brings its part.
  static constexpr bool together = AO_BULK_COPIES;
  // slots: depth stages of `stage` bytes; barriers: 2 * depth; brings: how often bring calls expect for a stage. Fills all stages; a
  // block barrier has to follow before next().
  template <class Bring>
  __device__ Ring(uint8_t* slots, uint64_t* barriers, int depth, int stage, int warps, int brings, const Bring& bring)
      : slots(slots), depth(depth), stage(stage), warps(warps), left(depth) {
    const int behind = depth > 3 ? 2 : 1; // stages, so that other warps have had time to end
#if AO_BULK_COPIES
    mark = shared_address(barriers);
    if (threadIdx.x == 0) {
      for (int i = 0; i < depth; i++) mbarrier_init(mark + 16 * i, brings), mbarrier_init(mark + 16 * i + 8, warps);
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    int k = static_cast<int>(threadIdx.x) / kWarp;
    for (filling = mark + 16 * k; k < depth; k += warps, filling += 16 * warps) bring(*this, slots + k * stage, k);
    due = k, until_due = kept(k - depth + behind), back = behind;
    mark = kept(mark);
#else
    (void)barriers, (void)brings;
    for (int k = 0; k < depth; k++) bring(*this, slots + k * stage, k), copy_async_commit();
#endif
  }

  // In bring: what the copies behind it come to.
  __device__ void expect(int bytes) const {
#if AO_BULK_COPIES
    if (threadIdx.x % kWarp == 0) mbarrier_arrive_expecting(filling, bytes);
#endif
    (void)bytes;
  }
  // In bring: a multiple of 16 bytes, both sides aligned to them.
  __device__ void copy(uint8_t* to, const uint8_t* from, int bytes) const {
    const int lane = threadIdx.x % kWarp;
#if AO_BULK_COPIES
    if (lane == 0) copy_bulk(to, from, bytes, filling);
#else
    for (int i = lane * 16; i < bytes; i += kWarp * 16) copy_async(to + i, from + i);
#endif
  }
  // In bring: up to 16 rows of `bytes` each.
  __device__ void copy_rows(uint8_t* to, int to_stride, const uint8_t* from, int64_t from_stride, int bytes,
                            int rows) const {
    const int lane = threadIdx.x % kWarp;
#if AO_BULK_COPIES
    if (lane < rows) copy_bulk(to + lane * to_stride, from + lane * from_stride, bytes, filling);
#else
    for (int i = lane; i < rows * (bytes / 16); i += kWarp) {
      const int row = i / (bytes / 16), piece = i % (bytes / 16);
      copy_async(to + row * to_stride + piece * 16, from + row * from_stride + piece * 16);
    }
#endif
  }

  // Waits for the next stage: its bytes from the first slot on.
  __device__ int next() const {
#if AO_BULK_COPIES
    mbarrier_wait(mark, phase);
#else
    copy_async_wait_all_but(depth - 1);
    __syncwarp();
#endif
    return at;
  }
  // The warp has read it; where it is its turn, a stage read before is filled again.
  template <class Bring>
  __device__ void release(const Bring& bring) {
    __syncwarp();
#if AO_BULK_COPIES
    if (threadIdx.x % kWarp == 0) mbarrier_arrive(mark + 8);
    if (--until_due < 0) {
      const bool before = left > depth - back; // its slot is one of the last
      const int slots_back = before ? back - depth : back;
      filling = mark - 16 * slots_back;
      mbarrier_wait(filling + 8, before ? phase ^ 1 : phase);
      bring(*this, slots + at - slots_back * stage, due);
      due += warps, until_due = warps - 1;
    }
#else
    bring(*this, slots + at, depth + read++);
    copy_async_commit();
#endif
    at += stage, mark += 16;
    if (--left == 0) left = depth, at = 0, mark -= 16 * depth, phase ^= 1;
  }

private:
  uint8_t* slots;
  int depth, stage, warps, left, at = 0, read = 0, due = 0, until_due = 0, back = 0;
  uint32_t mark = 0, filling = 0, phase = 0; // mark: the barrier of bytes, then that of readers
};

} // namespace ao
