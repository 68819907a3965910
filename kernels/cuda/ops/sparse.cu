// 2:4 matrices and square blocks; kernels/cpu/ops/sparse24.cc and gemm/block_sparse.cc.
#include "base/ctx.h"
#include "base/elements.h"

namespace ao {
namespace {

// The two columns of a group by which of its values are there, as NVIDIA's libraries name them: always two, ascending.
__device__ inline int columns_of(int mask) { return static_cast<int>(0xeeeeddce998e498eull >> 4 * mask & 15); }

__device__ int largest_two(const float* v) {
  int mask = 0;
  for (int pick = 0; pick < 2; pick++) {
    int best = -1;
    float most = 0;
    for (int j = 0; j < 4; j++) {
      const float size = fabsf(v[j]);
      if (!(mask >> j & 1) && (size > most || (size != size && best < 0))) best = j, most = size;
    }
    if (best >= 0) mask |= 1 << best;
  }
  return columns_of(mask);
}

// Where the two of the four magnitudes (upper 29 bits) are; the lower ones of equals.
__device__ inline int columns_of_four(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  const uint32_t w = a << 2 | 3, x = b << 2 | 2, y = c << 2 | 1, z = d << 2;
  const uint32_t high = max(w, x), low = min(w, x), other_high = max(y, z), other_low = min(y, z);
  const uint32_t first = max(high, other_high), second = max(min(high, other_high), max(low, other_low));
  int mask = first > 3 ? 8 >> (first & 3) : 0; // a zero is not there
  mask |= second > 3 ? 8 >> (second & 3) : 0;
  return columns_of(mask);
}

// Eight values a thread, two groups: 16 bytes in, 8 of values and one of meta out, twice for loads that wait side by side.
template <int dtype>
__device__ void compress_eight(uint2* values, uint8_t* meta, const uint4& raw) {
  const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
  const uint32_t infinity = dtype == AO_BF16 ? 0x7f80u : 0x7c00u;
  uint32_t out[2];
  int byte = 0;
  for (int g = 0; g < 2; g++) {
    const uint32_t low = words[2 * g], high = words[2 * g + 1];
    const uint32_t h[4] = {low & 0xffffu, low >> 16, high & 0xffffu, high >> 16};
    uint32_t size[4], most = 0;
    for (int j = 0; j < 4; j++) size[j] = h[j] & 0x7fffu, most = max(most, size[j]);
    int nibble = columns_of_four(size[0], size[1], size[2], size[3]);
    if (most > infinity) { // NaN has an order of its own
      float v[4];
      for (int j = 0; j < 4; j++)
        v[j] = dtype == AO_BF16 ? ao_float(h[j] << 16) : from_f16(static_cast<uint16_t>(h[j]));
      nibble = largest_two(v);
    }
    const auto pick = [&](int j) { return ((j & 2 ? high : low) >> (j & 1) * 16) & 0xffffu; };
    out[g] = pick(nibble & 3) | pick(nibble >> 2) << 16;
    byte |= nibble << 4 * g;
  }
  *values = {out[0], out[1]};
  *meta = static_cast<uint8_t>(byte);
}

template <int dtype>
__global__ void compress_wide_kernel(uint2* values, uint8_t* meta, const uint4* x, int64_t pairs) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  for (; i + 3 * stride < pairs; i += 4 * stride) {
    const uint4 a = x[i], b = x[i + stride], c = x[i + 2 * stride], d = x[i + 3 * stride];
    compress_eight<dtype>(values + i, meta + i, a);
    compress_eight<dtype>(values + i + stride, meta + i + stride, b);
    compress_eight<dtype>(values + i + 2 * stride, meta + i + 2 * stride, c);
    compress_eight<dtype>(values + i + 3 * stride, meta + i + 3 * stride, d);
  }
  for (; i < pairs; i += stride) compress_eight<dtype>(values + i, meta + i, x[i]);
}

// Two groups a thread: a byte of meta.
__global__ void compress_kernel(void* values, uint8_t* meta, const void* x, int64_t pairs, int64_t dtype) {
  const int size = ao_dtype_size(dtype);
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < pairs; i += int64_t{gridDim.x} * blockDim.x) {
    int byte = 0;
    for (int64_t g = 2 * i; g < 2 * i + 2; g++) {
      float v[4];
      for (int j = 0; j < 4; j++) v[j] = load_float(dtype, x, 4 * g + j);
      const int nibble = largest_two(v);
      byte |= nibble << (g % 2 * 4);
      move(values, 2 * g, x, 4 * g + (nibble & 3), size);
      move(values, 2 * g + 1, x, 4 * g + (nibble >> 2), size);
    }
    meta[i] = static_cast<uint8_t>(byte);
  }
}

__global__ void expand_kernel(void* out, const void* values, const uint8_t* meta, int64_t groups, int size) {
  for (int64_t g = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; g < groups; g += int64_t{gridDim.x} * blockDim.x) {
    const int nibble = meta[g / 2] >> (g % 2 * 4) & 15;
    for (int j = 0; j < 4; j++) {
      const int at = j == (nibble >> 2) ? 1 : j == (nibble & 3) ? 0 : -1;
      move(out, 4 * g + j, at < 0 ? nullptr : values, 2 * g + at, size);
    }
  }
}

__global__ void prune_kernel(void* out, const void* x, int64_t tiles, int64_t columns, int64_t dtype, bool magnitude) {
  const int64_t across = columns / 4;
  const int size = ao_dtype_size(dtype);
  for (int64_t t = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; t < tiles; t += int64_t{gridDim.x} * blockDim.x) {
    const int64_t at = t / across * 4 * columns + t % across * 4;
    float tile[16];
    for (int i = 0; i < 16; i++) {
      tile[i] = load_float(dtype, x, at + i / 4 * columns + i % 4);
      if (magnitude) tile[i] = fabsf(tile[i]);
    }
    // values in descending order, the earlier of equals first: each time the first of the largest that is left
    unsigned seen = 0, kept = 0;
    for (int turn = 0; turn < 16; turn++) {
      int best = -1;
      for (int i = 0; i < 16; i++)
        if (!(seen >> i & 1) && (best < 0 || tile[i] > tile[best])) best = i;
      seen |= 1u << best;
      int row = 0, column = 0;
      for (int i = 0; i < 4; i++) {
        row += kept >> (best / 4 * 4 + i) & 1;
        column += kept >> (4 * i + best % 4) & 1;
      }
      if (row < 2 && column < 2) kept |= 1u << best;
    }
    for (int i = 0; i < 16; i++) {
      const int64_t place = at + i / 4 * columns + i % 4;
      move(out, place, kept >> i & 1 ? x : nullptr, place, size);
    }
  }
}

struct Blocks {
  const int32_t *crow, *col;
  int64_t n, k, block;
};

// Places of the blocks are checked by one thread a row of blocks.
__global__ void check_blocks_kernel(Blocks w, Site site) {
  const int64_t lines = w.n / w.block;
  for (int64_t r = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; r < lines; r += int64_t{gridDim.x} * blockDim.x) {
    if (w.crow[0] != 0 || w.crow[r + 1] < w.crow[r]) return report(site, kBlocksWrong, r, w.crow[r + 1], w.crow[r]);
    for (int32_t s = w.crow[r]; s < w.crow[r + 1]; s++)
      if (w.col[s] < 0 || w.col[s] >= w.k / w.block || (s > w.crow[r] && w.col[s] <= w.col[s - 1]))
        return report(site, kBlocksWrong, s, w.col[s], w.k / w.block);
  }
}

__global__ void block_copy_kernel(void* out, const void* x, Blocks w, int size, bool gather) {
  const int64_t i = blockIdx.x, r = i / w.block; // a row of w
  for (int32_t s = w.crow[r]; s < w.crow[r + 1]; s++) {
    if (w.col[s] < 0 || w.col[s] >= w.k / w.block) continue; // reported
    const int64_t in_block = (s * w.block + i % w.block) * w.block, in_row = i * w.k + w.col[s] * w.block;
    for (int64_t c = threadIdx.x; c < w.block; c += blockDim.x) {
      if (gather)
        move(out, in_block + c, x, in_row + c, size);
      else
        move(out, in_row + c, x, in_block + c, size);
    }
  }
}

// One warp an output: the blocks of its row, columns ascending.
__global__ void block_linear_kernel(void* out, const void* x, const void* values, const void* bias, Blocks w, int64_t m,
                                    int64_t dtype) {
  const int lane = threadIdx.x % kWarp;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kWarp);
  for (int64_t p = blockIdx.x * int64_t{blockDim.x / kWarp} + threadIdx.x / kWarp; p < m * w.n; p += step) {
    const int64_t i = p / w.n, j = p % w.n, line = j / w.block;
    float sum = 0;
    for (int32_t s = w.crow[line]; s < w.crow[line + 1]; s++) {
      if (w.col[s] < 0 || w.col[s] >= w.k / w.block) continue; // reported
      const int64_t from = (s * w.block + j % w.block) * w.block, at = i * w.k + w.col[s] * w.block;
      for (int64_t c = lane; c < w.block; c += kWarp)
        sum = fmaf(load_float(dtype, x, at + c), load_float(dtype, values, from + c), sum);
    }
    for (int d = kWarp / 2; d > 0; d /= 2) sum += __shfl_xor_sync(kAllLanes, sum, d);
    if (lane == 0) store_float(dtype, out, p, bias ? sum + load_float(dtype, bias, j) : sum);
  }
}

int check_blocks(ao_ctx* ctx, const char* op, const Blocks& w) {
  if (w.block < 1 || w.n % w.block || w.k % w.block)
    return ao_fail(ctx, "%s: blocks of %lld do not fill [%lld, %lld]", op, (long long)w.block, (long long)w.n,
                   (long long)w.k);
  if (w.n == 0) return 0;
  return launch(ctx, op, check_blocks_kernel, blocks_for(ctx, w.n / w.block), kThreads, 0, w, ctx->site);
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_sparse24_compress(const ao_sparse24_compress_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "sparse24_compress", a->dtype)) return 1;
  if (a->groups < 2) return 0;
  const int64_t pairs = a->groups / 2;
  const auto aligned = [](const void* p, int to) { return reinterpret_cast<uintptr_t>(p) % to == 0; };
  if (a->dtype != AO_F32 && aligned(a->x, 16) && aligned(a->values, 8))
    return launch(ctx, "sparse24_compress",
                  a->dtype == AO_BF16 ? compress_wide_kernel<AO_BF16> : compress_wide_kernel<AO_F16>,
                  blocks_for(ctx, pairs, 4 * kThreads), kThreads, 0, static_cast<uint2*>(a->values),
                  static_cast<uint8_t*>(a->meta), static_cast<const uint4*>(a->x), pairs);
  return launch(ctx, "sparse24_compress", compress_kernel, blocks_for(ctx, pairs), kThreads, 0, a->values,
                static_cast<uint8_t*>(a->meta), a->x, pairs, a->dtype);
}

extern "C" int ao_cuda_sparse24_expand(const ao_sparse24_expand_args* a, ao_ctx* ctx) {
  if (need_known(ctx, "sparse24_expand", a->dtype)) return 1;
  if (a->groups == 0) return 0;
  return launch(ctx, "sparse24_expand", expand_kernel, blocks_for(ctx, a->groups), kThreads, 0, a->out, a->values,
                static_cast<const uint8_t*>(a->meta), a->groups, ao_dtype_size(a->dtype));
}

extern "C" int ao_cuda_prune_tile4x4(const ao_prune_tile4x4_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "prune_tile4x4", a->dtype)) return 1;
  const int64_t tiles = a->rows / 4 * (a->columns / 4);
  if (tiles == 0) return 0;
  return launch(ctx, "prune_tile4x4", prune_kernel, blocks_for(ctx, tiles), kThreads, 0, a->out, a->x, tiles,
                a->columns, a->dtype, a->magnitude != 0);
}

extern "C" int ao_cuda_block_sparse_linear(const ao_block_sparse_linear_args* a, ao_ctx* ctx) {
  const char* op = "block_sparse_linear";
  if (need_float(ctx, op, a->dtype)) return 1;
  const Blocks w{static_cast<const int32_t*>(a->crow), static_cast<const int32_t*>(a->col), a->n, a->k, a->block};
  if (check_blocks(ctx, op, w)) return 1;
  if (a->m * a->n == 0) return 0;
  return launch(ctx, op, block_linear_kernel, blocks_for(ctx, a->m * a->n, 8), 8 * kWarp, 0, a->out, a->x, a->values,
                a->bias, w, a->m, a->dtype);
}

extern "C" int ao_cuda_block_sparse_copy(const ao_block_sparse_copy_args* a, ao_ctx* ctx) {
  const char* op = "block_sparse_copy";
  if (need_known(ctx, op, a->dtype)) return 1;
  const Blocks w{static_cast<const int32_t*>(a->crow), static_cast<const int32_t*>(a->col), a->n, a->k, a->block};
  if (check_blocks(ctx, op, w)) return 1;
  if (a->n == 0 || a->k == 0) return 0;
  const int size = ao_dtype_size(a->dtype);
  if (!a->gather && clear(ctx, a->out, static_cast<size_t>(a->n * a->k * size))) return 1;
  return launch(ctx, op, block_copy_kernel, static_cast<unsigned>(a->n), kThreads, 0, a->out, a->x, w, size,
                a->gather != 0);
}
