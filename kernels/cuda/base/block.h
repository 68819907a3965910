// Reductions over the threads of a block, in a fixed order: lanes of a warp by halves, then the warps.
#pragma once
#include "base/ctx.h"

namespace ao {

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN wins.
struct Larger {
  __device__ float operator()(float a, float b) const { return a != a ? a : b != b || b > a ? b : a; }
};
struct Smaller {
  __device__ float operator()(float a, float b) const { return a != a ? a : b != b || b < a ? b : a; }
};

template <class T, class Op>
__device__ T reduce_warp(T v, const Op& op) {
  for (int d = kWarp / 2; d > 0; d /= 2) v = op(v, __shfl_xor_sync(kAllLanes, v, d));
  return v;
}

// The same value for all threads. blockDim.x is a multiple of 32 and at most 1024; every thread of the block calls it.
template <class T, class Op>
__device__ T reduce_block(T v, T none, const Op& op) {
  __shared__ T parts[kWarp];
  v = reduce_warp(v, op);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
  __syncthreads(); // parts of the call before have been read
  if (lane == 0) parts[warp] = v;
  __syncthreads();
  v = lane < warps ? parts[lane] : none;
  return reduce_warp(v, op);
}

template <class T>
__device__ T sum_block(T v) {
  return reduce_block(v, T(0), Sum());
}

// Threads for rows of n elements: a multiple of 32 up to `most`.
inline int threads_for(int64_t n, int most = kThreads) {
  const int64_t wanted = (n + kWarp - 1) / kWarp * kWarp;
  return static_cast<int>(wanted < kWarp ? kWarp : wanted < most ? wanted : most);
}

} // namespace ao
