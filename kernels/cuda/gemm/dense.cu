// A weight decoded to a dense matrix [N, columns] of a float dtype, for products with many rows: a warp a tile, whose lanes write four
// columns at a time.
#include "gemm/lane_values.h"
#include "gemm/linear.h"

namespace ao {
namespace {

template <int dtype>
__device__ void store_four(void* out, int64_t at, const float (&v)[4], int64_t left, bool wide) {
  if (wide && left >= 4) {
    if constexpr (dtype == AO_F32) {
      *reinterpret_cast<float4*>(static_cast<float*>(out) + at) = make_float4(v[0], v[1], v[2], v[3]);
    } else {
      uint2 pairs;
      if constexpr (dtype == AO_BF16)
        pairs = {pack_bf16x2(v[0], v[1]), pack_bf16x2(v[2], v[3])};
      else
        pairs = {to_f16(v[0]) | static_cast<uint32_t>(to_f16(v[1])) << 16,
                 to_f16(v[2]) | static_cast<uint32_t>(to_f16(v[3])) << 16};
      *reinterpret_cast<uint2*>(static_cast<uint16_t*>(out) + at) = pairs;
    }
  } else {
    for (int j = 0; j < 4 && j < left; j++) store<dtype>(out, at + j, v[j]);
  }
}

template <int bits, int dtype>
__global__ void dense_kernel(Weight w, void* out) {
  __shared__ float table[kTableRoom];
  share_table(table, w);
  __syncthreads();
  const int lane = threadIdx.x % kWarp;
  const int64_t columns = w.columns();
  const uint32_t tiles = static_cast<uint32_t>(w.tiles()), warps = gridDim.x * (blockDim.x / kWarp);
  const uint32_t count = static_cast<uint32_t>(w.panels()) * tiles;
  const bool wide = columns % 4 == 0;
  for (uint32_t i = blockIdx.x * (blockDim.x / kWarp) + threadIdx.x / kWarp; i < count; i += warps) {
    const int64_t panel = i / tiles, tile = i % tiles;
    each_value<bits>(w, table, panel, tile, lane, [&](int h, int64_t k, const float (&v)[4]) {
      const int64_t row = panel * kTileRows + lane / 4 + 8 * h;
      if (row >= w.n) return;
      if (!w.sparse) return store_four<dtype>(out, row * columns + k, v, columns - k, wide);
      const uint32_t spots = spots_of(w, panel, tile, lane, h, k);
      for (uint32_t four = 0; four < 2; four++) {
        const uint32_t first = spots >> 4 * four & 3, second = spots >> (4 * four + 2) & 3;
        float spread[4];
        for (uint32_t j = 0; j < 4; j++) spread[j] = j == second ? v[2 * four + 1] : j == first ? v[2 * four] : 0.0f;
        store_four<dtype>(out, row * columns + 2 * k + 4 * four, spread, columns - 2 * k - 4 * four, wide);
      }
    });
  }
}

// 2:4 floats.
__global__ void spread_kernel(Weight w, void* out, int64_t dtype) {
  const int64_t columns = w.columns();
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < w.n * columns;
       p += int64_t{gridDim.x} * blockDim.x)
    store_float(dtype, out, p, value_at(w, p / columns, p % columns));
}

} // namespace

void* dense_weight(ao_ctx* ctx, const char* op, const Weight& w, int64_t dtype) {
  const int64_t count = w.n * w.columns();
  void* out = scratch_bytes(ctx, static_cast<size_t>(count * ao_dtype_size(dtype)));
  if (!out) return nullptr;
  const int failed = w.values == kFloats
                         ? launch(ctx, op, spread_kernel, blocks_for(ctx, count), kThreads, 0, w, out, dtype)
                         : by_bits(w.bits, [&](auto bits) {
                             return by_dtype(dtype, [&](auto tag) {
                               return launch(ctx, op, dense_kernel<decltype(bits)::value, decltype(tag)::dtype>,
                                             blocks_for(ctx, w.panels() * w.tiles() * kWarp), kThreads, 0, w, out);
                             });
                           });
  return failed ? nullptr : out;
}

} // namespace ao
