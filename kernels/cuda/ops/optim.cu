// fused_adam and fused_sgd; kernels/cpu/ops/fused_adam.cc, fused_sgd.cc and code_table.h. Where moments are codes, a block of threads has a
// block of the state, whose new values wait in shared memory for their scale.
#include "base/block.h"
#include "base/elements.h"
#include "ops/moment_form.h"
#include "ops/philox.h"

namespace ao {
namespace {

struct Moment {
  void* codes; // null: there is none
  float* scale;
  const float* map;
};

// What the step and the rate, which are on the device, make of the options.
struct Facts {
  float decay, weight1, weight2, step_size, root, eps;
};

__global__ void facts_kernel(Facts* facts, const float* step, const float* lr, double beta1, double beta2, double eps,
                             double decay, bool decoupled) {
  const double t = static_cast<double>(*step + 1.0f), rate = *lr;
  facts->decay = static_cast<float>(decoupled ? rate * decay : decay);
  facts->weight1 = static_cast<float>(1 - beta1), facts->weight2 = static_cast<float>(1 - beta2);
  facts->step_size = static_cast<float>(rate / (1 - pow(beta1, t)));
  facts->root = static_cast<float>(sqrt(1 - pow(beta2, t)));
  facts->eps = static_cast<float>(eps);
}

__global__ void advance_kernel(float* step, uint32_t* rng) {
  *step += 1.0f;
  if (rng) rng[1]++;
}

// self + w (end - self), from the nearer end, as torch's lerp.
__device__ float lerp(float self, float end, float w) {
  return w < 0.5f ? self + w * (end - self) : end - (end - self) * (1.0f - w);
}

__device__ int code_of(const float* map, int size, float x) {
  if (x != x) return 0;
  int low = 0, high = size; // values up to x
  while (low < high) {
    const int mid = (low + high) / 2;
    if (map[mid] <= x)
      low = mid + 1;
    else
      high = mid;
  }
  const int i = low > 0 ? low - 1 : 0;
  return i + 1 < size && x - map[i] >= (map[i + 1] - map[i]) * 0.5f ? i + 1 : i;
}

__device__ float read_moment(const Moment& m, int form, int64_t i, int64_t block) {
  const uint8_t* codes = static_cast<const uint8_t*>(m.codes);
  const float scale = m.scale[block];
  if (form == MOMENT_MAP_256) return m.map[codes[i]] * scale;
  if (form == MOMENT_MAP_16) return m.map[codes[i / 2] >> (i % 2 ? 0 : 4) & 15] * scale;
  return ao_from_f8e4m3(codes[i]) * scale;
}

__device__ void store_param(void* param, int64_t dtype, int64_t i, float x, const uint32_t* rng) {
  if (dtype == AO_BF16 && rng) {
    const uint64_t element = static_cast<uint64_t>(i);
    const Philox random = philox(rng[0], element >> 3, rng[1]);
    const uint32_t chance = random.word[element >> 1 & 3] >> (element & 1) * 16 & 0xffffu, u = ao_bits(x);
    static_cast<uint16_t*>(param)[i] = static_cast<uint16_t>((u >> 16) + (chance < (u & 0xffffu)));
  } else {
    store_float(dtype, param, i, x);
  }
}

struct Adam {
  void* param;
  const void* grad;
  Moment m, v, most;
  int64_t n, dtype, block;
  bool decoupled;
  const uint32_t* rng;
};

struct New {
  float p, m, v, most;
};

__device__ New step_of(const Adam& a, const Facts& f, int64_t i, float m, float v, float most) {
  float p = load_float(a.dtype, a.param, i), g = load_float(a.dtype, a.grad, i);
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

__global__ void adam_floats_kernel(Adam a, const Facts* facts) {
  const Facts f = *facts;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < a.n; i += int64_t{gridDim.x} * blockDim.x) {
    const New next = step_of(a, f, i, load_float(a.dtype, a.m.codes, i), load_float(a.dtype, a.v.codes, i),
                             a.most.codes ? load_float(a.dtype, a.most.codes, i) : 0.0f);
    store_float(a.dtype, a.m.codes, i, next.m);
    store_float(a.dtype, a.v.codes, i, next.v);
    if (a.most.codes) store_float(a.dtype, a.most.codes, i, next.most);
    store_param(a.param, a.dtype, i, next.p, a.rng);
  }
}

struct LargerBits {
  __device__ int operator()(int x, int y) const { return x > y ? x : y; }
};

// Codes of the block's fresh values, by a scale that all threads find.
__device__ void write_moment(const Moment& m, int form, int64_t at, int64_t n, int64_t block, const float* fresh) {
  int bits = 0; // of the largest magnitude, NaN above all
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const int v = static_cast<int>(ao_bits(fresh[i]) & 0x7fffffffu);
    bits = v > bits ? v : bits;
  }
  const float most = ao_float(static_cast<uint32_t>(reduce_block(bits, 0, LargerBits())));
  const float clipped = most < 1e-12f ? 1e-12f : most, scale = form == MOMENT_FLOAT8 ? clipped / 448.0f : clipped;
  uint8_t* codes = static_cast<uint8_t*>(m.codes);
  if (form == MOMENT_MAP_16) {
    for (int64_t i = 2 * threadIdx.x; i < n; i += 2 * blockDim.x)
      codes[(at + i) / 2] =
          static_cast<uint8_t>(code_of(m.map, 16, fresh[i] / scale) << 4 | code_of(m.map, 16, fresh[i + 1] / scale));
  } else {
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
      codes[at + i] = static_cast<uint8_t>(form == MOMENT_MAP_256 ? code_of(m.map, 256, fresh[i] / scale)
                                                                  : ao_to_f8e4m3(fresh[i] / scale));
  }
  if (threadIdx.x == 0) m.scale[block] = scale;
}

__global__ void adam_codes_kernel(Adam a, const Facts* facts, int form, int64_t blocks) {
  AO_SHARED(float, fresh); // m, v, most [block]
  __shared__ float maps[2][256];
  const Facts f = *facts;
  const int size = form == MOMENT_MAP_256 ? 256 : form == MOMENT_MAP_16 ? 16 : 0;
  for (int i = threadIdx.x; i < size; i += blockDim.x) maps[0][i] = a.m.map[i], maps[1][i] = a.v.map[i];
  a.m.map = maps[0], a.v.map = a.most.map = maps[1];
  float *m = fresh, *v = m + a.block, *most = v + a.block;
  for (int64_t b = blockIdx.x; b < blocks; b += gridDim.x) {
    const int64_t at = b * a.block;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < a.block; i += blockDim.x) {
      const New next = step_of(a, f, at + i, read_moment(a.m, form, at + i, b), read_moment(a.v, form, at + i, b),
                               a.most.codes ? read_moment(a.most, form, at + i, b) : 0.0f);
      m[i] = next.m, v[i] = next.v;
      if (a.most.codes) most[i] = next.most;
      store_param(a.param, a.dtype, at + i, next.p, a.rng);
    }
    __syncthreads(); // codes and scales have been read
    write_moment(a.m, form, at, a.block, b, m);
    write_moment(a.v, form, at, a.block, b, v);
    if (a.most.codes) write_moment(a.most, form, at, a.block, b, most);
  }
}

struct Sgd {
  void *param, *buffer;
  const void* grad;
  const float *step, *lr;
  int64_t n, dtype;
  float decay, momentum, weight;
  bool nesterov;
};

// Before the first step the buffer holds zeros, and the gradient goes in whole.
__global__ void sgd_kernel(Sgd a) {
  const float weight = *a.step == 0 ? 1.0f : a.weight, lr = *a.lr;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < a.n; i += int64_t{gridDim.x} * blockDim.x) {
    const float p = load_float(a.dtype, a.param, i);
    float g = load_float(a.dtype, a.grad, i) + a.decay * p;
    if (a.buffer) {
      const float b = a.momentum * load_float(a.dtype, a.buffer, i) + weight * g;
      store_float(a.dtype, a.buffer, i, b);
      g = a.nesterov ? g + a.momentum * b : b;
    }
    store_float(a.dtype, a.param, i, p - lr * g);
  }
}

int form_of(const ao_fused_adam_args* a, ao_ctx* ctx, int64_t* form) {
  if (moment_form(a, ctx, form)) return 1;
  if (*form != MOMENT_FLOATS && a->block_size > 8192)
    return ao_fail(ctx, "fused_adam: blocks of %lld; the GPU takes 8192", static_cast<long long>(a->block_size));
  return 0;
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_fused_adam(const ao_fused_adam_args* a, ao_ctx* ctx) {
  int64_t form = 0;
  if (need_float(ctx, "fused_adam", a->dtype) || form_of(a, ctx, &form)) return 1;
  if (a->rng && a->dtype != AO_BF16) return ao_fail(ctx, "fused_adam: only bfloat16 is rounded at random");
  Facts* facts = scratch<Facts>(ctx, 1);
  if (!facts ||
      launch(ctx, "fused_adam", facts_kernel, 1, 1, 0, facts, static_cast<const float*>(a->step),
             static_cast<const float*>(a->lr), a->beta1, a->beta2, a->eps, a->weight_decay, a->decoupled != 0))
    return 1;
  const float *signed_map = static_cast<const float*>(a->signed_map),
              *unsigned_map = static_cast<const float*>(a->unsigned_map);
  const Adam s{a->param,
               a->grad,
               {a->exp_avg, static_cast<float*>(a->exp_avg_scale), signed_map},
               {a->exp_avg_sq, static_cast<float*>(a->exp_avg_sq_scale), unsigned_map},
               {a->max_exp_avg_sq, static_cast<float*>(a->max_exp_avg_sq_scale), unsigned_map},
               a->n,
               a->dtype,
               a->block_size,
               a->decoupled != 0,
               static_cast<const uint32_t*>(a->rng)};
  if (a->n > 0 && form == MOMENT_FLOATS) {
    if (launch(ctx, "fused_adam", adam_floats_kernel, blocks_for(ctx, a->n), kThreads, 0, s, facts)) return 1;
  } else if (a->n > 0) {
    const int64_t blocks = a->n / a->block_size;
    const size_t shared = 3 * static_cast<size_t>(a->block_size) * sizeof(float);
    if (launch(ctx, "fused_adam", adam_codes_kernel, blocks_for(ctx, blocks, 1), threads_for(a->block_size), shared, s,
               facts, form, blocks))
      return 1;
  }
  return launch(ctx, "fused_adam", advance_kernel, 1, 1, 0, static_cast<float*>(a->step),
                static_cast<uint32_t*>(a->rng));
}

extern "C" int ao_cuda_fused_sgd(const ao_fused_sgd_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "fused_sgd", a->dtype)) return 1;
  const Sgd s{a->param,
              a->momentum_buffer,
              a->grad,
              static_cast<const float*>(a->step),
              static_cast<const float*>(a->lr),
              a->n,
              a->dtype,
              static_cast<float>(a->weight_decay),
              static_cast<float>(a->momentum),
              static_cast<float>(1 - a->dampening),
              a->nesterov != 0};
  if (a->n > 0 && launch(ctx, "fused_sgd", sgd_kernel, blocks_for(ctx, a->n), kThreads, 0, s)) return 1;
  return launch(ctx, "fused_sgd", advance_kernel, 1, 1, 0, static_cast<float*>(a->step),
                static_cast<uint32_t*>(nullptr));
}
