// What the warps of a block found, for one of them to add up: by turns in three buffers. A warp asks before it writes (may_write) and says when it has
// (written); who adds a turn does so after the next one's written(): waits for all (all_written) and says when it has read (read).
#pragma once
#include "base/ctx.h"
#include "base/mbarrier.h"

namespace ao {

class Handover {
public:
  static constexpr int buffers = 3;
  // barriers: 2 * buffers; a block barrier has to follow.
  __device__ Handover(uint64_t* barriers, int writers, int readers) {
#if AO_BULK_COPIES
    mark = shared_address(barriers);
    if (threadIdx.x == 0)
      for (int i = 0; i < buffers; i++)
        mbarrier_init(mark + 16 * i, writers), mbarrier_init(mark + 16 * i + 8, readers);
#endif
    (void)barriers, (void)writers, (void)readers;
  }
  __device__ void may_write(int turn) const {
#if AO_BULK_COPIES
    if (turn >= buffers) mbarrier_wait(mark + 16 * (turn % buffers) + 8, (turn / buffers - 1) & 1);
#endif
    (void)turn;
  }
  __device__ void written(int turn) const {
#if AO_BULK_COPIES
    __syncwarp();
    if (threadIdx.x % kWarp == 0) mbarrier_arrive(mark + 16 * (turn % buffers));
#else
    __syncthreads();
#endif
    (void)turn;
  }
  __device__ void all_written(int turn) const {
#if AO_BULK_COPIES
    mbarrier_wait(mark + 16 * (turn % buffers), (turn / buffers) & 1);
#endif
    (void)turn;
  }
  __device__ void read(int turn) const {
#if AO_BULK_COPIES
    __syncwarp();
    if (threadIdx.x % kWarp == 0) mbarrier_arrive(mark + 16 * (turn % buffers) + 8);
#endif
    (void)turn;
  }

private:
  uint32_t mark = 0;
};

} // namespace ao
