// out[i] = fn(x[i], ...) of contiguous floats, 16 bytes of each operand at a time where all are aligned to that; out may be an operand.
#pragma once
#include "base/early.h"
#include "base/elements.h"

namespace ao {

// 16 bytes as floats.
template <int d>
struct Piece {
  static constexpr int count = d == AO_F32 ? 4 : 8;
  float v[count];
  __device__ void load(const void* p, int64_t i) { take(static_cast<const uint4*>(p)[i]); }
  __device__ void take(uint4 raw) {
    const uint32_t word[4] = {raw.x, raw.y, raw.z, raw.w};
    for (int k = 0; k < 4; k++) {
      if constexpr (d == AO_F32) {
        v[k] = ao_float(word[k]);
      } else {
        const uint16_t low = static_cast<uint16_t>(word[k]), high = static_cast<uint16_t>(word[k] >> 16);
        v[2 * k] = d == AO_BF16 ? ao_from_bf16(low) : from_f16(low);
        v[2 * k + 1] = d == AO_BF16 ? ao_from_bf16(high) : from_f16(high);
      }
    }
  }
  __device__ void store(void* p, int64_t i) const {
    uint32_t word[4];
    for (int k = 0; k < 4; k++) {
      if constexpr (d == AO_F32) {
        word[k] = ao_bits(v[k]);
      } else {
        const uint32_t low = d == AO_BF16 ? ao_to_bf16(v[2 * k]) : to_f16(v[2 * k]);
        const uint32_t high = d == AO_BF16 ? ao_to_bf16(v[2 * k + 1]) : to_f16(v[2 * k + 1]);
        word[k] = low | high << 16;
      }
    }
    static_cast<uint4*>(p)[i] = make_uint4(word[0], word[1], word[2], word[3]);
  }
};

template <int d, class Fn, class... X>
__global__ void map_kernel(void* out, Fn fn, int64_t n, bool wide, X... x) {
  const int64_t first = blockIdx.x * int64_t{blockDim.x} + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  let_next_start();
  await_previous();
  constexpr int count = Piece<d>::count;
  const int64_t pieces = wide ? n / count : 0;
  for (int64_t i = first; i < pieces; i += step) {
    Piece<d> in[sizeof...(X)], result;
    int at = 0;
    (in[at++].load(x, i), ...);
    for (int k = 0; k < count; k++) {
      if constexpr (sizeof...(X) == 1)
        result.v[k] = fn(in[0].v[k]);
      else
        result.v[k] = fn(in[0].v[k], in[1].v[k]);
    }
    result.store(out, i);
  }
  for (int64_t i = pieces * count + first; i < n; i += step) store<d>(out, i, fn(load<d>(x, i)...));
}

template <int d, class Fn, class... X>
int map_as(ao_ctx* ctx, const char* op, void* out, Fn fn, int64_t n, X... x) {
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const bool wide = aligned(out) && (aligned(x) && ...);
  const int64_t work = wide ? ceil_div(n, Piece<d>::count) : n;
  const int threads =
      work <= int64_t{ctx->multiprocessors} * 64 ? 64 : kThreads; // little work: on as many processors as there are
  return launch_early(ctx, op, map_kernel<d, Fn, X...>, blocks_for(ctx, work, threads), threads, 0, out, fn, n, wide,
                      x...);
}

template <class Fn, class... X>
int map_floats(ao_ctx* ctx, const char* op, int64_t dtype, void* out, Fn fn, int64_t n, X... x) {
  return by_dtype(dtype, [&](auto tag) { return map_as<decltype(tag)::dtype>(ctx, op, out, fn, n, x...); });
}

} // namespace ao
