// Up to 8 rows of x times every weight there is, in float32: what no kernel on tensor cores takes. Coded weights: a block's warps share
// 16 rows and take tiles in turn, x lies in shared memory as float32. Plain floats and 2:4 ones: a warp has two rows.
#include "base/block.h"
#include "gemm/lane_values.h"
#include "gemm/linear.h"

namespace ao {
namespace {

constexpr int kWarps = 8, kWarpRows = 2, kBlockRows = kWarps * kWarpRows; // both ways 16 rows a block
static_assert(kBlockRows == kTileRows);

// Columns of x that lie in shared memory at once.
template <int most>
constexpr int held_columns() {
  return most == 1 ? 8192 : 1024;
}

// x rows [first_row, + rows) columns [from, from + count) to shared memory, `stride` floats apart, zeros beyond the end.
__device__ void load_x(float* to, const Rows& x, int64_t first_row, int rows, int64_t from, int64_t columns, int count,
                       int stride) {
  for (int i = threadIdx.x; i < rows * count; i += blockDim.x) {
    const int r = i / count, c = i % count;
    to[r * stride + c] = first_row + r < x.m && from + c < columns
                             ? load_float(x.dtype, x.data, (first_row + r) * x.stride + from + c)
                             : 0.0f;
  }
}

template <int bits, int most>
__device__ void coded_block(const Weight& w, const Store& store, const Rows& x, int64_t first_row, int64_t out_row,
                            int64_t panel, float* shared) {
  constexpr int held = held_columns<most>();
  __shared__ float partial[kWarps][most][kTileRows];
  float* const table = shared + most * held;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t columns = w.columns(), wide = w.sparse ? 2 : 1;
  share_table(table, w);
  float acc[2][most] = {};
  for (int64_t from = 0; from < columns; from += held) {
    const int64_t left = (columns - from + 127) / 128 * 128;
    __syncthreads();
    load_x(shared, x, first_row, most, from, columns, left < held ? static_cast<int>(left) : held, held);
    __syncthreads();
    const int64_t first = from / (kTileColumns * wide), end = first + held / (kTileColumns * wide);
    for (int64_t tile = first + warp; tile < w.tiles() && tile < end; tile += kWarps)
      each_value<bits>(w, table, panel, tile, lane, [&](int h, int64_t k, const float (&v)[4]) {
        if (!w.sparse) {
          for (int m = 0; m < most; m++) {
            const float4 a = *reinterpret_cast<const float4*>(shared + m * held + (k - from));
            acc[h][m] = fmaf(v[0], a.x, fmaf(v[1], a.y, fmaf(v[2], a.z, fmaf(v[3], a.w, acc[h][m]))));
          }
          return;
        }
        const uint32_t spots = spots_of(w, panel, tile, lane, h, k);
        for (int j = 0; j < 4; j++) {
          const int64_t column = 2 * k + j / 2 * 4 + (spots >> 2 * j & 3) - from;
          for (int m = 0; m < most; m++) acc[h][m] = fmaf(v[j], shared[m * held + column], acc[h][m]);
        }
      });
  }
  for (int h = 0; h < 2; h++)
    for (int m = 0; m < most; m++) {
      float sum = acc[h][m];
      for (int d = 2; d > 0; d /= 2) sum += __shfl_xor_sync(kAllLanes, sum, d);
      if (lane % 4 == 0) partial[warp][m][lane / 4 + 8 * h] = sum;
    }
  __syncthreads();
  for (int i = threadIdx.x; i < most * kTileRows; i += blockDim.x) {
    const int m = i / kTileRows;
    const int64_t row = panel * kTileRows + i % kTileRows;
    float sum = 0;
    for (int v = 0; v < kWarps; v++) sum += partial[v][m][i % kTileRows];
    if (first_row + m < x.m && row < w.n) put(store, out_row + m, row, sum);
  }
}

template <int most>
__device__ void finish(const Store& store, const Rows& x, int64_t first_row, int64_t out_row, int64_t row,
                       float (&acc)[most]) {
  for (int m = 0; m < most; m++) {
    const float sum = reduce_warp(acc[m], Sum());
    if (threadIdx.x % kWarp == 0 && first_row + m < x.m && row < store.n) put(store, out_row + m, row, sum);
  }
}

template <int d, int most>
__device__ void float_block(const Weight& w, const Store& store, const Rows& x, int64_t first_row, int64_t out_row,
                            int64_t block, float* shared) {
  constexpr int held = held_columns<most>(), piece = d == AO_F32 ? 4 : 8;
  const int64_t row = block * kBlockRows + threadIdx.x / kWarp * kWarpRows;
  const int lane = threadIdx.x % kWarp;
  const bool wide = w.row_bytes % 16 == 0 && reinterpret_cast<uintptr_t>(w.codes) % 16 == 0;
  float acc[kWarpRows][most] = {};
  for (int64_t from = 0; from < w.k; from += held) {
    const int64_t left = w.k - from, count = left < held ? left : held;
    __syncthreads();
    load_x(shared, x, first_row, most, from, w.k, static_cast<int>((count + 31) / 32 * 32), held);
    __syncthreads();
    for (int r = 0; r < kWarpRows; r++) {
      if (row + r >= w.n) continue;
      const uint8_t* codes = w.codes + (row + r) * w.row_bytes;
      const int64_t pieces = wide ? count / piece : 0;
#pragma unroll 4
      for (int64_t p = lane; p < pieces; p += kWarp) {
        const uint4 raw = *reinterpret_cast<const uint4*>(codes + (from + p * piece) * (16 / piece));
        const uint32_t word[4] = {raw.x, raw.y, raw.z, raw.w};
        float v[piece];
        for (int i = 0; i < 4; i++) {
          if constexpr (d == AO_F32) {
            v[i] = ao_float(word[i]);
          } else {
            const uint16_t low = static_cast<uint16_t>(word[i]), high = static_cast<uint16_t>(word[i] >> 16);
            v[2 * i] = d == AO_BF16 ? ao_from_bf16(low) : from_f16(low);
            v[2 * i + 1] = d == AO_BF16 ? ao_from_bf16(high) : from_f16(high);
          }
        }
        for (int m = 0; m < most; m++)
          for (int i = 0; i < piece; i += 4) {
            const float4 a = *reinterpret_cast<const float4*>(shared + m * held + p * piece + i);
            acc[r][m] = fmaf(v[i], a.x, fmaf(v[i + 1], a.y, fmaf(v[i + 2], a.z, fmaf(v[i + 3], a.w, acc[r][m]))));
          }
      }
      for (int64_t c = pieces * piece + lane; c < count; c += kWarp) {
        const float v = load<d>(codes, from + c);
        for (int m = 0; m < most; m++) acc[r][m] = fmaf(v, shared[m * held + c], acc[r][m]);
      }
    }
  }
  for (int r = 0; r < kWarpRows; r++) finish<most>(store, x, first_row, out_row, row + r, acc[r]);
}

// Columns that are not there cost nothing: a kept value picks its x.
template <int most>
__device__ void sparse_float_block(const Weight& w, const Store& store, const Rows& x, int64_t first_row,
                                   int64_t out_row, int64_t block) {
  const int64_t row = block * kBlockRows + threadIdx.x / kWarp * kWarpRows;
  for (int r = 0; r < kWarpRows; r++) {
    float acc[most] = {};
    for (int64_t k = threadIdx.x % kWarp; row + r < w.n && k < w.k; k += kWarp) {
      const int64_t column = k / 2 * 4 + spot_at(w, row + r, k);
      const float v = kept_value(w, row + r, k);
      for (int m = 0; m < most; m++)
        if (first_row + m < x.m)
          acc[m] = fmaf(v, load_float(x.dtype, x.data, (first_row + m) * x.stride + column), acc[m]);
    }
    finish<most>(store, x, first_row, out_row, row + r, acc);
  }
}

// Bits of codes, or a float dtype from kFloatKind on, or 2:4 floats.
constexpr int kFloatKind = 16, kSparseFloatKind = 32;

template <int kind, int most>
__device__ void run_block(const Weight& w, const Store& store, const Rows& x, int64_t first_row, int64_t out_row,
                          int64_t block, float* shared) {
  if constexpr (kind == kSparseFloatKind)
    sparse_float_block<most>(w, store, x, first_row, out_row, block);
  else if constexpr (kind >= kFloatKind)
    float_block<kind - kFloatKind, most>(w, store, x, first_row, out_row, block, shared);
  else
    coded_block<kind, most>(w, store, x, first_row, out_row, block, shared);
}

template <int kind, int most>
__global__ __launch_bounds__(kWarps* kWarp) void any_kernel(Targets targets, Rows x) {
  AO_SHARED(float, shared);
  const Target& t = targets.at[blockIdx.y];
  if (int64_t{blockIdx.x} * kBlockRows >= t.w.n) return;
  run_block<kind, most>(t.w, t.store, x, 0, 0, blockIdx.x, shared);
}

// One row of out: x and weight by what was chosen for it.
template <int kind>
__global__ __launch_bounds__(kWarps* kWarp) void any_experts_kernel(Experts experts, Rows x, Store store) {
  AO_SHARED(float, shared);
  const int64_t row = blockIdx.y, expert = experts.index[row] - experts.first;
  if (expert < 0 || expert >= experts.count) return;
  x.m = row / experts.per_x + 1; // the last row that there is, for this block
  run_block<kind, 1>(experts.at[expert], store, x, row / experts.per_x, row, blockIdx.x, shared);
}

template <class Fn>
int by_kind(const Weight& w, const Fn& fn) {
  if (w.values != kFloats) return by_bits(w.bits, fn);
  if (w.sparse) return fn(Bits<kSparseFloatKind>());
  return by_dtype(w.source, [&](auto tag) { return fn(Bits<kFloatKind + decltype(tag)::dtype>()); });
}

template <int most>
constexpr size_t shared_bytes() {
  return static_cast<size_t>(most * held_columns<most>() + kTableRoom) * sizeof(float);
}

} // namespace

int any_rows(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x) {
  if (x.m == 0) return 0;
  int64_t blocks = 1;
  for (int i = 0; i < count; i++) {
    const int64_t b = ceil_div(targets.at[i].w.n, kBlockRows);
    blocks = b > blocks ? b : blocks;
  }
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(count));
  return by_kind(targets.at[0].w, [&](auto tag) {
    constexpr int kind = decltype(tag)::value;
    return x.m == 1 ? launch(ctx, op, any_kernel<kind, 1>, grid, kWarps * kWarp, shared_bytes<1>(), targets, x)
                    : launch(ctx, op, any_kernel<kind, 8>, grid, kWarps * kWarp, shared_bytes<8>(), targets, x);
  });
}

int any_rows_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                        const Store& store) {
  const dim3 grid(static_cast<unsigned>(ceil_div(store.n, kBlockRows)), static_cast<unsigned>(rows));
  return by_kind(experts.at[0], [&](auto tag) {
    return launch(ctx, op, any_experts_kernel<decltype(tag)::value>, grid, kWarps * kWarp, shared_bytes<1>(), experts,
                  x, store);
  });
}

} // namespace ao
