// A step of Adam on the device: the formulas of core's fused_adam_, one rounding an operation, and how a launch ends.
#pragma once
#include "base/block.h"
#include "base/elements.h"
#include "ops/philox.h"

namespace ao {

struct Moment {
  void* codes; // null: there is none
  float* scale;
  const float* map;
};

struct Adam {
  void* param;
  const void* grad;
  Moment m, v, most;
  int64_t n, dtype, block;
  float* step;
  const float* lr;
  uint32_t* rng;  // null: rounded to nearest
  uint32_t* left; // blocks of threads that are done, 0 between launches
  double beta1, beta2, eps, decay;
  bool decoupled;
};

// What the step and the rate, which are on the device, make of the options.
struct Facts {
  float decay, weight1, weight2, step_size, root, eps;
};

__device__ inline Facts facts_of(const Adam& a) {
  const double t = static_cast<double>(*a.step + 1.0f), rate = *a.lr;
  return {static_cast<float>(a.decoupled ? rate * a.decay : a.decay),
          static_cast<float>(1 - a.beta1),
          static_cast<float>(1 - a.beta2),
          static_cast<float>(rate / (1 - pow(a.beta1, t))),
          static_cast<float>(sqrt(1 - pow(a.beta2, t))),
          static_cast<float>(a.eps)};
}

// Facts for all threads of the block.
__device__ inline Facts shared_facts(const Adam& a) {
  __shared__ Facts facts;
  if (threadIdx.x == 0) facts = facts_of(a);
  __syncthreads();
  return facts;
}

// The end of a block of threads: the last one raises step and call, which all have read.
__device__ inline void leave(const Adam& a) {
  __syncthreads();
  if (threadIdx.x != 0) return;
  __threadfence();
  if (atomicAdd(a.left, 1u) != gridDim.x - 1) return;
  *a.left = 0;
  *a.step += 1.0f;
  if (a.rng) a.rng[1]++;
}

// self + w (end - self), from the nearer end, as torch's lerp.
__device__ inline float lerp(float self, float end, float w) {
  return w < 0.5f ? self + w * (end - self) : end - (end - self) * (1.0f - w);
}

struct New {
  float p, m, v, most;
};

__device__ inline New step_of(const Adam& a, const Facts& f, float p, float g, float m, float v, float most) {
  if (a.decoupled)
    p = p - f.decay * p;
  else
    g = g + f.decay * p;
  New next;
  next.m = lerp(m, g, f.weight1);
  next.v = lerp(v, g * g, f.weight2);
  next.most = a.most.codes ? Larger()(most, next.v) : next.v;
  next.p = p - f.step_size * next.m / (sqrtf(next.most) / f.root + f.eps);
  return next;
}

// Half `element` & 1 of word (element >> 1) & 3 is the chance that bfloat16 bits are rounded away from zero against.
__device__ inline uint16_t round_bf16(float x, const Philox& random, int element) {
  const uint32_t chance = random.word[element >> 1 & 3] >> (element & 1) * 16 & 0xffffu, u = ao_bits(x);
  return static_cast<uint16_t>((u >> 16) + (chance < (u & 0xffffu)));
}

} // namespace ao
