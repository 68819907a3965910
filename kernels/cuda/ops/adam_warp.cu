// fused_adam on moments of codes at the memory's rate: a warp takes 256 values, eight side by side in a lane, and finds the scales of
// their blocks by shuffles. What the next 256 need is on its way while these are worked on. Quotients by a block's scale and by the root
// are products with a reciprocal of two floats, and the update's is corrected once: one in 2^22 or fewer differs from a division, in its
// last bit. A bfloat16 parameter's update is not corrected. Where a scale is no common float, or eps so small that roots of tiny floats count, divisions and roots are the device's own.
#include "ops/adam_warp.h"
#include "ops/moment_codes.h"

namespace ao {
namespace {

constexpr int kEach = 8, kChunk = kWarp * kEach, kWarpThreads = 768;
constexpr float kTiny = 0x1p-120f;              // roots of less count as none beside eps
constexpr float kLeast = 1e-20f, kMost = 1e30f; // scales between are common

template <int form>
constexpr int kMapSize = form == MOMENT_MAP_256  ? 256
                         : form == MOMENT_MAP_16 ? 16
                                                 : 1;

// 1 / y as a sum.
struct Reciprocal {
  float high, low;
  __device__ explicit Reciprocal(float y) : high(1.0f / y), low(fmaf(-y, high, 1.0f) * high) {}
  __device__ float times(float x) const { return fmaf(x, high, x * low); }
};

// The root of a common float, rounded to nearest; that of 0 is 0.
__device__ inline float root_of(float v) {
#if defined(__CUDA_ARCH__)
  float r;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(fmaxf(v, kTiny)));
  const float s = v * r;
  return fmaf(fmaf(-s, s, v), 0.5f * r, s);
#else
  return sqrtf(v);
#endif
}
__device__ inline float quotient_of(float x, float y) {
#if defined(__CUDA_ARCH__)
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(y));
  const float q = x * r;
  return fmaf(fmaf(-y, q, x), r, q);
#else
  return x / y;
#endif
}

// p - x / (sqrt(v) / root + eps) within a few units in the last place of the quotient, which bfloat16 does not see.
__device__ inline float near_update(float p, float x, float v, float inverse_root, float eps) {
#if defined(__CUDA_ARCH__)
  float s, r;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(s) : "f"(v));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(fmaf(s, inverse_root, eps)));
  return fmaf(-x, r, p);
#else
  return p - x / fmaf(sqrtf(v), inverse_root, eps);
#endif
}

// Eight values of a lane as they lie in memory.
template <int dtype>
struct Eight {
  uint4 raw[dtype == AO_F32 ? 2 : 1];
  __device__ void read(const void* p, int64_t i) {
    const uint4* from = reinterpret_cast<const uint4*>(static_cast<const uint8_t*>(p) + i * ao_dtype_bytes(dtype));
    for (uint4& r : raw) r = *from++;
  }
  __device__ float at(int j) const {
    const uint4& r = raw[dtype == AO_F32 ? j / 4 : 0];
    const int word = dtype == AO_F32 ? j % 4 : j / 2;
    const uint32_t u = word == 0 ? r.x : word == 1 ? r.y : word == 2 ? r.z : r.w;
    if (dtype == AO_F32) return ao_float(u);
    return ao_float(j % 2 ? u & 0xffff0000u : u << 16);
  }
  static constexpr int ao_dtype_bytes(int d) { return d == AO_F32 ? 4 : 2; }
};

__device__ inline uint32_t two_bf16(float low, float high) {
#if defined(__CUDA_ARCH__)
  uint32_t u;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(u) : "f"(high), "f"(low));
  return u;
#else
  return ao_to_bf16(low) | static_cast<uint32_t>(ao_to_bf16(high)) << 16;
#endif
}

template <int form>
struct Loaded {
  static constexpr int kWords = form == MOMENT_MAP_16 ? 1 : 2;
  uint32_t m[kWords], v[kWords];
  float m_scale, v_scale;
};

template <int dtype, int form>
struct Chunk {
  Eight<dtype> p, g;
  Loaded<form> state;
};

template <int form>
__device__ inline void read_codes(uint32_t (&to)[Loaded<form>::kWords], const void* codes, int64_t i) {
  if constexpr (form == MOMENT_MAP_16) {
    to[0] = static_cast<const uint32_t*>(codes)[i / kEach];
  } else {
    const uint2 two = static_cast<const uint2*>(codes)[i / kEach];
    to[0] = two.x, to[1] = two.y;
  }
}

template <int form>
__device__ inline void write_codes(void* codes, int64_t i, const uint32_t (&from)[Loaded<form>::kWords]) {
  if constexpr (form == MOMENT_MAP_16)
    static_cast<uint32_t*>(codes)[i / kEach] = from[0];
  else
    static_cast<uint2*>(codes)[i / kEach] = {from[0], from[1]};
}

template <int dtype, int form>
__device__ inline void read_chunk(Chunk<dtype, form>* c, const Adam& a, int64_t at, int shift) {
  c->p.read(a.param, at), c->g.read(a.grad, at);
  read_codes<form>(c->state.m, a.m.codes, at), read_codes<form>(c->state.v, a.v.codes, at);
  const int64_t block = at >> shift;
  c->state.m_scale = a.m.scale[block], c->state.v_scale = a.v.scale[block];
}

// The largest among `lanes` neighbours, a power of two.
__device__ inline uint32_t largest_of(uint32_t v, int lanes) {
#if !defined(AO_EMULATE)
  if (lanes == kWarp) return __reduce_max_sync(kAllLanes, v);
#endif
  const auto join = [&](int d) {
    const uint32_t other = __shfl_xor_sync(kAllLanes, v, d);
    v = other > v ? other : v;
  };
  join(1), join(2), join(4);
  if (lanes > 8) join(8);
  if (lanes > 16) join(16);
  return v;
}

__device__ inline bool any_lane(bool here) {
#if defined(AO_EMULATE)
  return largest_of(here, kWarp) != 0;
#else
  return __any_sync(kAllLanes, here);
#endif
}

template <int which, int form, class Tables>
__device__ inline void decode(const Tables& t, const uint32_t* words, float scale, int lane, float (&x)[kEach]) {
  if constexpr (form == MOMENT_FLOAT8) {
    for (int j = 0; j < kEach; j += 2) {
      const float2 two = from_e4m3x2(words[j / 4] >> j % 4 * 8 & 0xffffu);
      x[j] = two.x * scale, x[j + 1] = two.y * scale;
    }
  } else {
    for (int j = 0; j < kEach; j++) {
      const uint32_t code = form == MOMENT_MAP_16 ? words[0] >> (j ^ 1) * 4 & 15 : words[j / 4] >> j % 4 * 8 & 255;
      x[j] = t.value[which][code][lane] * scale;
    }
  }
}

// Codes of x by `scale`; near where that is a common float.
template <int which, int form, class Tables>
__device__ inline void encode(const Tables& t, const float (&x)[kEach], float scale, bool near, int lane,
                              uint32_t (&words)[Loaded<form>::kWords]) {
  for (uint32_t& w : words) w = 0;
  const Reciprocal inverse(scale);
  float q[kEach];
  if (near)
    for (int j = 0; j < kEach; j++) q[j] = inverse.times(x[j]);
  else
    for (int j = 0; j < kEach; j++) q[j] = x[j] / scale;
  if constexpr (form == MOMENT_FLOAT8) {
    for (int j = 0; j < kEach; j += 2)
      words[j / 4] |=
          (near ? to_e4m3x2(q[j], q[j + 1]) : ao_to_f8e4m3(q[j]) | static_cast<uint32_t>(ao_to_f8e4m3(q[j + 1])) << 8)
          << j % 4 * 8;
  } else {
    constexpr int size = kMapSize<form>;
    uint32_t codes[kEach];
    if (near)
      near_codes<which, size>(t, q, lane, codes);
    else
      for (int j = 0; j < kEach; j++) codes[j] = any_code<size>(t, which, q[j], lane);
    for (int j = 0; j < kEach; j++)
      words[form == MOMENT_MAP_16 ? 0 : j / 4] |= codes[j] << (form == MOMENT_MAP_16 ? (j ^ 1) * 4 : j % 4 * 8);
  }
}

template <int dtype>
__device__ inline void write_params(const Adam& a, int64_t at, const float (&p)[kEach], uint32_t seed, uint32_t call) {
  uint4* to = reinterpret_cast<uint4*>(static_cast<uint8_t*>(a.param) + at * Eight<dtype>::ao_dtype_bytes(dtype));
  if constexpr (dtype == AO_F32) {
    to[0] = {ao_bits(p[0]), ao_bits(p[1]), ao_bits(p[2]), ao_bits(p[3])};
    to[1] = {ao_bits(p[4]), ao_bits(p[5]), ao_bits(p[6]), ao_bits(p[7])};
  } else if (a.rng) {
    const Philox random = philox(seed, static_cast<uint64_t>(at) >> 3, call);
    const auto two = [&](int j) {
      return round_bf16(p[j], random, j) | static_cast<uint32_t>(round_bf16(p[j + 1], random, j + 1)) << 16;
    };
    *to = {two(0), two(2), two(4), two(6)};
  } else {
    *to = {two_bf16(p[0], p[1]), two_bf16(p[2], p[3]), two_bf16(p[4], p[5]), two_bf16(p[6], p[7])};
  }
}

__device__ inline bool common(float scale) { return scale >= kLeast && scale <= kMost; }

template <int dtype, int form, class Tables>
__device__ void step_chunk(const Adam& a, const Facts& f, const Tables& t, const Chunk<dtype, form>& c, int64_t at,
                           bool live, bool plain, const Reciprocal& root, int shift, int lane, uint32_t seed,
                           uint32_t call) {
  const int lanes = (1 << shift) / kEach;
  float m[kEach], v[kEach], p[kEach];
  decode<0, form>(t, c.state.m, c.state.m_scale, lane, m);
  decode<1, form>(t, c.state.v, c.state.v_scale, lane, v);
  float m_largest = 0;
  uint32_t v_most = 0;
  for (int j = 0; j < kEach; j++) {
    float g = c.g.at(j);
    p[j] = c.p.at(j);
    if (a.decoupled)
      p[j] = p[j] - f.decay * p[j];
    else
      g = g + f.decay * p[j];
    m[j] = lerp(m[j], g, f.weight1), v[j] = lerp(v[j], g * g, f.weight2);
    m_largest = fmaxf(m_largest, fabsf(m[j])), v_most = max(v_most, ao_bits(v[j]));
  }
  uint32_t m_most = largest_of(live ? ao_bits(m_largest) : 0, lanes);
  v_most = largest_of(live ? v_most : 0, lanes);
  // v is not negative, but for a state that was; then, as where v is NaN or infinite or m was, m may be NaN
  const bool odd = v_most > ao_bits(kMost) || !(c.state.m_scale <= kMost);
  if (any_lane(live && odd)) {
    m_most = 0;
    for (int j = 0; j < kEach; j++) m_most = max(m_most, ao_bits(m[j]) & 0x7fffffffu);
    m_most = largest_of(live ? m_most : 0, lanes);
  }
  if (!live) return;
  const auto scale_of = [](uint32_t most) {
    const float x = ao_float(most & 0x7fffffffu), clipped = x < 1e-12f ? 1e-12f : x;
    return form == MOMENT_FLOAT8 ? clipped / 448.0f : clipped;
  };
  const float m_scale = scale_of(m_most), v_scale = scale_of(v_most);
  const bool near =
      common(m_scale) && common(v_scale) && v_most < 0x80000000u; // v is not negative, but for a state that was
  if (dtype == AO_BF16 && near && plain) {
    for (int j = 0; j < kEach; j++) p[j] = near_update(p[j], f.step_size * m[j], v[j], root.high, f.eps);
  } else if (near && plain) {
    for (int j = 0; j < kEach; j++) p[j] = p[j] - quotient_of(f.step_size * m[j], root.times(root_of(v[j])) + f.eps);
  } else {
    for (int j = 0; j < kEach; j++) p[j] = p[j] - f.step_size * m[j] / (sqrtf(v[j]) / f.root + f.eps);
  }
  write_params<dtype>(a, at, p, seed, call);
  uint32_t words[Loaded<form>::kWords];
  bool shallow = near;
  if constexpr (form != MOMENT_FLOAT8) shallow = near && !t.deep;
  encode<0, form>(t, m, m_scale, shallow, lane, words);
  write_codes<form>(a.m.codes, at, words);
  encode<1, form>(t, v, v_scale, shallow, lane, words);
  write_codes<form>(a.v.codes, at, words);
  if ((lane & (lanes - 1)) == 0) a.m.scale[at >> shift] = m_scale, a.v.scale[at >> shift] = v_scale;
}

template <int dtype, int form>
__global__ void __launch_bounds__(kWarpThreads, 1) adam_warp_kernel(Adam a, int shift) { // 2^shift values a block
  AO_SHARED(CodeTables<kMapSize<form>>, tables);                                         // none for float8
  const int lane = threadIdx.x % kWarp;
  if constexpr (form != MOMENT_FLOAT8) make_tables(tables, a.m.map, a.v.map);
  const Facts f = shared_facts(a);
  const Reciprocal root(f.root);
  const bool plain = f.eps >= 1e-10f && f.root >= 1e-6f;
  const uint32_t seed = a.rng ? a.rng[0] : 0, call = a.rng ? a.rng[1] : 0;
  const int64_t first = (blockIdx.x * int64_t{kWarpThreads / kWarp} + threadIdx.x / kWarp) * kChunk;
  const int64_t stride = int64_t{gridDim.x} * (kWarpThreads / kWarp) * kChunk;
  Chunk<dtype, form> next{};
  if (first + lane * kEach < a.n) read_chunk(&next, a, first + lane * kEach, shift);
  for (int64_t start = first; start < a.n; start += stride) {
    const int64_t at = start + lane * kEach;
    const Chunk<dtype, form> now = next;
    if (at + stride < a.n) read_chunk(&next, a, at + stride, shift);
    step_chunk<dtype, form>(a, f, *tables, now, at, at < a.n, plain, root, shift, lane, seed, call);
  }
  leave(a);
}

template <int dtype, int form>
int launch_step(ao_ctx* ctx, const Adam& a) {
  const size_t shared = form == MOMENT_FLOAT8 ? 0 : sizeof(CodeTables<kMapSize<form>>);
  const int64_t wanted = ceil_div(a.n, kChunk * (kWarpThreads / kWarp));
  const unsigned blocks = static_cast<unsigned>(wanted < ctx->multiprocessors ? wanted : ctx->multiprocessors);
  const int shift = a.block == 64 ? 6 : a.block == 128 ? 7 : 8;
  return launch(ctx, "fused_adam", adam_warp_kernel<dtype, form>, blocks, kWarpThreads, shared, a, shift);
}

template <int dtype>
int by_form(ao_ctx* ctx, const Adam& a, int64_t form) {
  if (form == MOMENT_MAP_256) return launch_step<dtype, MOMENT_MAP_256>(ctx, a);
  return form == MOMENT_MAP_16 ? launch_step<dtype, MOMENT_MAP_16>(ctx, a) : launch_step<dtype, MOMENT_FLOAT8>(ctx, a);
}

} // namespace

bool warps_take(const Adam& a, int64_t form) {
  const auto aligned = [](const void* p, int to) { return reinterpret_cast<uintptr_t>(p) % to == 0; };
  return form != MOMENT_FLOATS && !a.most.codes && (a.dtype == AO_BF16 || a.dtype == AO_F32) &&
         (a.block == 64 || a.block == 128 || a.block == 256) && aligned(a.param, 16) && aligned(a.grad, 16) &&
         aligned(a.m.codes, 8) && aligned(a.v.codes, 8);
}

int adam_by_warps(ao_ctx* ctx, const Adam& a, int64_t form) {
  return a.dtype == AO_BF16 ? by_form<AO_BF16>(ctx, a, form) : by_form<AO_F32>(ctx, a, form);
}

} // namespace ao
