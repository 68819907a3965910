// fused_adam and fused_sgd; kernels/cpu/ops/fused_adam.cc, fused_sgd.cc and code_table.h. A step is one launch. Moments of floats are taken
// 16 bytes a thread; those of codes by warps (adam_warp.cu) or, where that does not fit, a block of threads has a block of the state,
// whose new values wait in shared memory for their scale.
#include "ops/adam_warp.h"
#include "ops/moment_form.h"

namespace ao {
namespace {

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

__device__ void store_param(const Adam& a, int64_t i, float x, uint32_t seed, uint32_t call) {
  if (a.rng)
    static_cast<uint16_t*>(a.param)[i] = round_bf16(x, philox(seed, static_cast<uint64_t>(i) >> 3, call), i & 7);
  else
    store_float(a.dtype, a.param, i, x);
}

// 16 bytes of a tensor.
template <int dtype>
struct Wide {
  static constexpr int kCount = dtype == AO_F32 ? 4 : 8;
  uint32_t words[4];
  __device__ void read(const void* p, int64_t i) {
    const uint4 raw = static_cast<const uint4*>(p)[i / kCount];
    words[0] = raw.x, words[1] = raw.y, words[2] = raw.z, words[3] = raw.w;
  }
  __device__ void write(void* p, int64_t i) const {
    static_cast<uint4*>(p)[i / kCount] = {words[0], words[1], words[2], words[3]};
  }
  __device__ float get(int j) const {
    if (dtype == AO_F32) return ao_float(words[j % 4]);
    const uint16_t h = static_cast<uint16_t>(words[j / 2] >> j % 2 * 16);
    return dtype == AO_BF16 ? ao_from_bf16(h) : from_f16(h);
  }
  __device__ void put_bits(int j, uint32_t h) {
    words[j / 2] = j % 2 ? (words[j / 2] & 0xffffu) | h << 16 : (words[j / 2] & 0xffff0000u) | h;
  }
  __device__ void put(int j, float x) {
    if (dtype == AO_F32)
      words[j % 4] = ao_bits(x);
    else
      put_bits(j, dtype == AO_BF16 ? ao_to_bf16(x) : to_f16(x));
  }
};

template <int dtype>
__global__ void adam_floats_kernel(Adam a, int64_t wide) {
  constexpr int count = Wide<dtype>::kCount;
  const Facts f = shared_facts(a);
  const uint32_t seed = a.rng ? a.rng[0] : 0, call = a.rng ? a.rng[1] : 0;
  const int64_t first = blockIdx.x * int64_t{blockDim.x} + threadIdx.x, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t at = first * count; at < wide; at += stride * count) {
    Wide<dtype> p, g, m, v, most{};
    p.read(a.param, at), g.read(a.grad, at), m.read(a.m.codes, at), v.read(a.v.codes, at);
    if (a.most.codes) most.read(a.most.codes, at);
    const Philox random = a.rng ? philox(seed, static_cast<uint64_t>(at) >> 3, call) : Philox{};
    for (int j = 0; j < count; j++) {
      const New next = step_of(a, f, p.get(j), g.get(j), m.get(j), v.get(j), most.get(j));
      m.put(j, next.m), v.put(j, next.v), most.put(j, next.most);
      if (a.rng)
        p.put_bits(j, round_bf16(next.p, random, j));
      else
        p.put(j, next.p);
    }
    p.write(a.param, at), m.write(a.m.codes, at), v.write(a.v.codes, at);
    if (a.most.codes) most.write(a.most.codes, at);
  }
  for (int64_t i = wide + first; i < a.n; i += stride) {
    const New next = step_of(a, f, load<dtype>(a.param, i), load<dtype>(a.grad, i), load<dtype>(a.m.codes, i),
                             load<dtype>(a.v.codes, i), a.most.codes ? load<dtype>(a.most.codes, i) : 0.0f);
    store<dtype>(a.m.codes, i, next.m);
    store<dtype>(a.v.codes, i, next.v);
    if (a.most.codes) store<dtype>(a.most.codes, i, next.most);
    store_param(a, i, next.p, seed, call);
  }
  leave(a);
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

__global__ void adam_codes_kernel(Adam a, int form, int64_t blocks) {
  AO_SHARED(float, fresh); // m, v, most [block]
  __shared__ float maps[2][256];
  const Facts f = shared_facts(a);
  const uint32_t seed = a.rng ? a.rng[0] : 0, call = a.rng ? a.rng[1] : 0;
  const int size = form == MOMENT_MAP_256 ? 256 : form == MOMENT_MAP_16 ? 16 : 0;
  for (int i = threadIdx.x; i < size; i += blockDim.x) maps[0][i] = a.m.map[i], maps[1][i] = a.v.map[i];
  a.m.map = maps[0], a.v.map = a.most.map = maps[1];
  float *m = fresh, *v = m + a.block, *most = v + a.block;
  for (int64_t b = blockIdx.x; b < blocks; b += gridDim.x) {
    const int64_t at = b * a.block;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < a.block; i += blockDim.x) {
      const New next = step_of(a, f, load_float(a.dtype, a.param, at + i), load_float(a.dtype, a.grad, at + i),
                               read_moment(a.m, form, at + i, b), read_moment(a.v, form, at + i, b),
                               a.most.codes ? read_moment(a.most, form, at + i, b) : 0.0f);
      m[i] = next.m, v[i] = next.v;
      if (a.most.codes) most[i] = next.most;
      store_param(a, at + i, next.p, seed, call);
    }
    __syncthreads(); // codes and scales have been read
    write_moment(a.m, form, at, a.block, b, m);
    write_moment(a.v, form, at, a.block, b, v);
    if (a.most.codes) write_moment(a.most, form, at, a.block, b, most);
  }
  leave(a);
}

__global__ void advance_kernel(float* step) { *step += 1.0f; }

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
               static_cast<float*>(a->step),
               static_cast<const float*>(a->lr),
               static_cast<uint32_t*>(a->rng),
               ctx->left,
               a->beta1,
               a->beta2,
               a->eps,
               a->weight_decay,
               a->decoupled != 0};
  if (a->n > 0 && warps_take(s, form)) return adam_by_warps(ctx, s, form);
  if (a->n > 0 && form != MOMENT_FLOATS) {
    const int64_t blocks = a->n / a->block_size;
    const size_t shared = 3 * static_cast<size_t>(a->block_size) * sizeof(float);
    return launch(ctx, "fused_adam", adam_codes_kernel, blocks_for(ctx, blocks, 1), threads_for(a->block_size), shared,
                  s, static_cast<int>(form), blocks);
  }
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const bool all =
      aligned(s.param) && aligned(s.grad) && aligned(s.m.codes) && aligned(s.v.codes) && aligned(s.most.codes);
  return by_dtype(a->dtype, [&](auto tag) {
    constexpr int count = Wide<tag.dtype>::kCount;
    const int64_t wide = all ? a->n / count * count : 0;
    return launch(ctx, "fused_adam", adam_floats_kernel<tag.dtype>, blocks_for(ctx, a->n, kThreads * (all ? count : 1)),
                  kThreads, 0, s, wide);
  });
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
  return launch(ctx, "fused_sgd", advance_kernel, 1, 1, 0, static_cast<float*>(a->step));
}
