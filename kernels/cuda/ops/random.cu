// Random numbers by Philox (kernels/cpu/ops/philox.h): the same as the cpu's. kernels/cpu/ops/random.cc, random_normal.cc, dropout.cc
// have the formulas. A state's call goes up by one after the kernel that reads it.
#include "ops/philox.h"

#include "base/ctx.h"
#include "base/elements.h"
#include "ops/normal_quantile.h"

namespace ao {
namespace {

__global__ void advance_kernel(uint32_t* state, int64_t rows) {
  for (int64_t r = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; r < rows; r += int64_t{gridDim.x} * blockDim.x)
    state[2 * r + 1]++;
}

__global__ void uniform_kernel(void* out, const uint32_t* state, int64_t n, int64_t dtype, float low, float span) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const uint32_t word = philox(state[0], static_cast<uint64_t>(i), state[1]).word[0];
    store_float(dtype, out, i, low + static_cast<float>(word >> 8) * 0x1p-24f * span);
  }
}

struct Normal {
  double mean, std, low, high, least, most;
};

// Four elements a thread: the words of one counter.
__global__ void normal_kernel(void* out, const uint32_t* state, int64_t n, int64_t dtype, Normal a) {
  for (int64_t c = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; 4 * c < n; c += int64_t{gridDim.x} * blockDim.x) {
    const Philox words = philox(state[0], static_cast<uint64_t>(c), state[1]);
    for (int w = 0; w < 4 && 4 * c + w < n; w++) {
      const double p = a.low + (a.high - a.low) * ((words.word[w] + 0.5) * 0x1p-32);
      const double x = a.mean + a.std * normal_quantile(p);
      store_float(dtype, out, 4 * c + w, static_cast<float>(x < a.least ? a.least : x > a.most ? a.most : x));
    }
  }
}

__global__ void dropout_kernel(void* out, const void* x, const uint32_t* state, int64_t n, int64_t dtype,
                               uint32_t least, float scale) {
  for (int64_t c = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; 4 * c < n; c += int64_t{gridDim.x} * blockDim.x) {
    const Philox words = philox(state[0], static_cast<uint64_t>(c), state[1]);
    for (int w = 0; w < 4 && 4 * c + w < n; w++)
      store_float(dtype, out, 4 * c + w, words.word[w] >= least ? load_float(dtype, x, 4 * c + w) * scale : 0.0f);
  }
}

__global__ void save_kernel(uint32_t* saved, const uint32_t* state) { saved[0] = state[0], saved[1] = state[1]; }

int advance(ao_ctx* ctx, void* state) {
  return launch(ctx, "advance", advance_kernel, 1, 1, 0, static_cast<uint32_t*>(state), 1);
}

int drop(ao_ctx* ctx, const char* op, void* out, const void* x, const void* state, int64_t n, int64_t dtype, double p) {
  if (need_float(ctx, op, dtype)) return 1;
  if (!(p >= 0 && p < 1)) return ao_fail(ctx, "%s: p is %g; it lies in [0, 1)", op, p);
  if (n == 0) return 0;
  return launch(ctx, op, dropout_kernel, blocks_for(ctx, ceil_div(n, 4)), kThreads, 0, out, x,
                static_cast<const uint32_t*>(state), n, dtype, static_cast<uint32_t>(floor(p * 0x1p32)),
                static_cast<float>(1 / (1 - p)));
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_random_uniform(const ao_random_uniform_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "random_uniform", a->dtype)) return 1;
  const float low = static_cast<float>(a->low);
  if (a->n && launch(ctx, "random_uniform", uniform_kernel, blocks_for(ctx, a->n), kThreads, 0, a->out,
                     static_cast<const uint32_t*>(a->state), a->n, a->dtype, low, static_cast<float>(a->high) - low))
    return 1;
  return advance(ctx, a->state);
}

extern "C" int ao_cuda_random_normal(const ao_random_normal_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "random_normal", a->dtype)) return 1;
  if (!(a->low >= 0 && a->low < a->high && a->high <= 1))
    return ao_fail(ctx, "random_normal: probabilities %g to %g; they rise within [0, 1]", a->low, a->high);
  const Normal normal{a->mean, a->std, a->low, a->high, a->least, a->most};
  if (a->n && launch(ctx, "random_normal", normal_kernel, blocks_for(ctx, ceil_div(a->n, 4)), kThreads, 0, a->out,
                     static_cast<const uint32_t*>(a->state), a->n, a->dtype, normal))
    return 1;
  return advance(ctx, a->state);
}

extern "C" int ao_cuda_dropout(const ao_dropout_args* a, ao_ctx* ctx) {
  if (launch(ctx, "dropout", save_kernel, 1, 1, 0, static_cast<uint32_t*>(a->saved),
             static_cast<const uint32_t*>(a->state)))
    return 1;
  return drop(ctx, "dropout", a->out, a->x, a->saved, a->n, a->dtype, a->p) || advance(ctx, a->state);
}

extern "C" int ao_cuda_dropout_backward(const ao_dropout_backward_args* a, ao_ctx* ctx) {
  return drop(ctx, "dropout_backward", a->dx, a->g, a->saved, a->n, a->dtype, a->p);
}
