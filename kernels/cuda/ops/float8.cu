// to_float8 and from_float8; kernels/cpu/ops/float8.cc. A matrix is read twice: once for the amaxes of all that is asked (rows, columns,
// the whole), once for the codes, as they lie and turned. Amaxes are the largest bits of magnitudes, which are in their order with NaN
// above all, so atomics give the same in any order.
#include "base/block.h"
#include "base/float8.h"
#include "ops/map.h"

namespace ao {
namespace {

enum Axis { ALL, ROWS, COLUMNS };

// Magnitudes of a word: one float32, or two floats of 16 bits.
template <int d>
__device__ uint32_t sizes_of(uint32_t word) {
  return word & (d == AO_F32 ? 0x7fffffffu : 0x7fff7fffu);
}
template <int d>
__device__ uint32_t larger(uint32_t a, uint32_t b) {
  if constexpr (d == AO_F32) {
    return a > b ? a : b;
  } else {
#if defined(AO_EMULATE)
    const uint32_t low = (a & 0xffff) > (b & 0xffff) ? a & 0xffff : b & 0xffff;
    return low | ((a >> 16) > (b >> 16) ? a & 0xffff0000u : b & 0xffff0000u);
#else
    return __vmaxu2(a, b);
#endif
  }
}
// The larger of a word's magnitudes as the bits of a float32.
template <int d>
__device__ int size_bits(uint32_t half) {
  if constexpr (d == AO_F32) return static_cast<int>(half);
  if constexpr (d == AO_BF16) return static_cast<int>(half << 16);
  return static_cast<int>(ao_bits(from_f16(static_cast<uint16_t>(half))));
}
template <int d>
__device__ int word_bits(uint32_t word) {
  if constexpr (d == AO_F32) return static_cast<int>(word);
  return size_bits<d>((word & 0xffff) > word >> 16 ? word & 0xffff : word >> 16);
}

// 16 bytes at element `at`; zeros from `left` elements on.
template <int d>
__device__ uint4 load_words(const void* x, int64_t at, int64_t left, bool wide) {
  constexpr int count = Piece<d>::count;
  if (wide && left >= count) return *reinterpret_cast<const uint4*>(static_cast<const char*>(x) + at * (16 / count));
  uint32_t word[4] = {};
  for (int i = 0; i < count && i < left; i++) {
    if constexpr (d == AO_F32)
      word[i] = static_cast<const uint32_t*>(x)[at + i];
    else
      word[i / 2] |= static_cast<uint32_t>(static_cast<const uint16_t*>(x)[at + i]) << (i % 2 * 16);
  }
  return make_uint4(word[0], word[1], word[2], word[3]);
}

constexpr int kPeakRows = 128, kWarps = 8, kAtOnce = 8;

struct LargerBits {
  __device__ int operator()(int a, int b) const { return a > b ? a : b; }
};
__device__ int most_of_warp(int v) { return reduce_warp(v, LargerBits()); }

struct Peaks {
  int *all, *rows, *columns; // null where they are not asked for
};

// A warp has 32 pieces beside each other, a block kPeakRows rows of those.
template <int d>
__global__ void peaks_kernel(Peaks peaks, const void* x, int64_t rows, int64_t cols, bool wide) {
  constexpr int count = Piece<d>::count;
  __shared__ uint32_t columns[kWarps][4 * kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t first = int64_t{blockIdx.x} * kWarp * count, column = first + lane * count;
  const int64_t top = int64_t{blockIdx.y} * kPeakRows;
  uint32_t down[4] = {}, whole = 0;
  for (int i0 = 0; i0 < kPeakRows / kWarps; i0 += kAtOnce) {
    uint4 raw[kAtOnce];
    for (int i = 0; i < kAtOnce; i++) {
      const int64_t row = top + warp + (i0 + i) * kWarps;
      raw[i] = row < rows && column < cols ? load_words<d>(x, row * cols + column, cols - column, wide)
                                           : make_uint4(0, 0, 0, 0);
    }
    for (int i = 0; i < kAtOnce; i++) {
      const uint32_t word[4] = {sizes_of<d>(raw[i].x), sizes_of<d>(raw[i].y), sizes_of<d>(raw[i].z),
                                sizes_of<d>(raw[i].w)};
      for (int k = 0; k < 4; k++) down[k] = larger<d>(down[k], word[k]);
      const int64_t row = top + warp + (i0 + i) * kWarps;
      if (!peaks.rows || row >= rows) continue;
      const int across =
          most_of_warp(word_bits<d>(larger<d>(larger<d>(word[0], word[1]), larger<d>(word[2], word[3]))));
      if (lane == 0) atomicMax(&peaks.rows[row], across);
    }
  }
  if (peaks.all) {
    for (int k = 0; k < 4; k++) whole = larger<d>(whole, down[k]);
    const int most = most_of_warp(word_bits<d>(whole));
    if (lane == 0) atomicMax(peaks.all, most);
  }
  if (!peaks.columns) return;
  for (int k = 0; k < 4; k++) columns[warp][k * kWarp + lane] = down[k];
  __syncthreads();
  if (threadIdx.x >= 4 * kWarp) return;
  uint32_t most = 0;
  for (int w = 0; w < kWarps; w++) most = larger<d>(most, columns[w][threadIdx.x]);
  const int64_t at = first + threadIdx.x % kWarp * count + threadIdx.x / kWarp * (count / 4);
  if (at < cols) atomicMax(&peaks.columns[at], size_bits<d>(d == AO_F32 ? most : most & 0xffff));
  if (d != AO_F32 && at + 1 < cols) atomicMax(&peaks.columns[at + 1], size_bits<d>(most >> 16));
}

struct Scales {
  float* scale; // null: none wanted
  const int* most;
  int64_t n;
};

__global__ void scales_kernel(Scales a, Scales b, int64_t f8, bool pow2) {
  const int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  for (const Scales& s : {a, b}) {
    if (!s.scale || i >= s.n) continue;
    const double amax = ao_float(static_cast<uint32_t>(s.most[i])), largest = f8 == AO_F8E4M3 ? 448 : 57344;
    const float scale = static_cast<float>(largest / (amax < 1e-12 ? 1e-12 : amax));
    s.scale[i] = pow2 && scale == scale ? ao_float(ao_bits(scale) & 0x7f800000u) : scale;
  }
}

constexpr int kCastSide = 128;

struct Codes {
  uint8_t* q; // null: none wanted
  const float* scale;
  int64_t axis;
  __device__ float by_row(int64_t r, int64_t rows) const {
    return axis == COLUMNS || !q ? 1.0f : scale[axis == ROWS && r < rows ? r : 0];
  }
  __device__ float by_column(int64_t c, int64_t cols) const {
    return axis == COLUMNS && q && c < cols ? scale[c] : 1.0f;
  }
};

// A block has 128 x 128 values; a thread 4 rows of a piece at a time, whose codes of a column are a word of the turned matrix. `same`: the
// turned codes are the others.
template <int d>
__global__ void cast_kernel(Codes codes, Codes turned, const void* x, int64_t rows, int64_t cols, int64_t f8, bool same,
                            bool wide) {
  constexpr int count = Piece<d>::count, across = kCastSide / count, down = kThreads / across;
  __shared__ uint32_t tile[kCastSide][kCastSide / 4 + 1];
  const int64_t left = int64_t{blockIdx.x} * kCastSide, top = int64_t{blockIdx.y} * kCastSide;
  const int piece = threadIdx.x % across, group = threadIdx.x / across;
  const int64_t column = left + piece * count;
  float by_column[count], turned_by_column[count];
  for (int j = 0; j < count; j++) {
    by_column[j] = codes.by_column(column + j, cols);
    turned_by_column[j] = turned.by_column(column + j, cols);
  }
  for (int g = group; g < kCastSide / 4; g += down) {
    uint4 raw[4];
    for (int i = 0; i < 4; i++) {
      const int64_t row = top + g * 4 + i;
      raw[i] = row < rows && column < cols ? load_words<d>(x, row * cols + column, cols - column, wide)
                                           : make_uint4(0, 0, 0, 0);
    }
    uint32_t words[count] = {}; // of column j: codes of the four rows
    for (int i = 0; i < 4; i++) {
      const int64_t row = top + g * 4 + i;
      Piece<d> values;
      values.take(raw[i]);
      uint32_t packed[(count + 3) / 4] = {};
      if (codes.q) {
        const float by_row = codes.by_row(row, rows);
        for (int j = 0; j < count; j += 2)
          packed[j / 4] |=
              float8_pair(f8, values.v[j] * by_row * by_column[j], values.v[j + 1] * by_row * by_column[j + 1])
              << (j % 4 * 8);
        if (row < rows && column < cols) {
          uint8_t* to = codes.q + row * cols + column;
          if (wide && cols % count == 0) {
            for (int j = 0; j < count / 4; j++) reinterpret_cast<uint32_t*>(to)[j] = packed[j];
          } else {
            for (int j = 0; j < count && column + j < cols; j++)
              to[j] = static_cast<uint8_t>(packed[j / 4] >> (j % 4 * 8));
          }
        }
      }
      if (!turned.q) continue;
      if (!same) {
        const float by_row = turned.by_row(row, rows);
        for (int j = 0; j < count / 4; j++) packed[j] = 0;
        for (int j = 0; j < count; j += 2)
          packed[j / 4] |= float8_pair(f8, values.v[j] * by_row * turned_by_column[j],
                                       values.v[j + 1] * by_row * turned_by_column[j + 1])
                           << (j % 4 * 8);
      }
      for (int j = 0; j < count; j++) words[j] |= (packed[j / 4] >> (j % 4 * 8) & 0xff) << (8 * i);
    }
    if (turned.q)
      for (int j = 0; j < count; j++) tile[piece * count + j][g] = words[j];
  }
  if (!turned.q) return;
  __syncthreads();
  const bool whole = rows % 4 == 0 && reinterpret_cast<uintptr_t>(turned.q) % 4 == 0;
  for (int i = threadIdx.x; i < kCastSide * kCastSide / 4; i += kThreads) {
    const int c = i / (kCastSide / 4), w = i % (kCastSide / 4);
    const int64_t at = left + c, row = top + w * 4;
    if (at >= cols || row >= rows) continue;
    uint8_t* to = turned.q + at * rows + row;
    if (whole)
      *reinterpret_cast<uint32_t*>(to) = tile[c][w];
    else
      for (int b = 0; b < 4 && row + b < rows; b++) to[b] = static_cast<uint8_t>(tile[c][w] >> (8 * b));
  }
}

__device__ float scale_at(const float* scale, int64_t i, int64_t cols, int64_t axis) {
  return scale[axis == ALL ? 0 : axis == ROWS ? i / cols : i % cols];
}

__global__ void decode_kernel(float* out, const uint8_t* q, const float* scale, int64_t n, int64_t cols, int64_t axis,
                              int64_t f8) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    out[i] = (f8 == AO_F8E4M3 ? ao_from_f8e4m3(q[i]) : ao_from_f8e5m2(q[i])) / scale_at(scale, i, cols, axis);
}

int check(ao_ctx* ctx, const char* op, int64_t f8, int64_t axis) {
  if (f8 != AO_F8E4M3 && f8 != AO_F8E5M2)
    return ao_fail(ctx, "%s: codes are %s; they are float8_e4m3fn or float8_e5m2", op, ao_dtype_name(f8));
  if (axis < ALL || axis > COLUMNS)
    return ao_fail(ctx, "%s: axis %lld; it is 0, 1 or 2", op, static_cast<long long>(axis));
  return 0;
}

int64_t scales_of(const ao_to_float8_args* a, int64_t axis) {
  return axis == ALL ? 1 : axis == ROWS ? a->rows : a->cols;
}

template <int d>
int find_scales(const ao_to_float8_args* a, ao_ctx* ctx, bool wide) {
  const char* op = "to_float8";
  const bool wanted[2] = {a->q != nullptr, a->q_t != nullptr && a->scale_t != a->scale};
  const int64_t axes[2] = {a->axis, a->axis_t};
  const int64_t most = 1 + a->rows + a->cols;
  int* room = scratch<int>(ctx, most);
  if (!room || clear(ctx, room, static_cast<size_t>(most) * sizeof *room)) return 1;
  int* const by_axis[3] = {room, room + 1, room + 1 + a->rows};
  const auto asked = [&](int64_t axis) {
    return (wanted[0] && axes[0] == axis) || (wanted[1] && axes[1] == axis) ? by_axis[axis] : nullptr;
  };
  const dim3 grid(static_cast<unsigned>(ceil_div(a->cols, kWarp * Piece<d>::count)),
                  static_cast<unsigned>(ceil_div(a->rows, kPeakRows)));
  if (launch(ctx, op, peaks_kernel<d>, grid, kWarps * kWarp, 0, Peaks{asked(ALL), asked(ROWS), asked(COLUMNS)}, a->x,
             a->rows, a->cols, wide))
    return 1;
  Scales scales[2];
  void* const to[2] = {a->scale, a->scale_t};
  for (int i = 0; i < 2; i++)
    scales[i] = {wanted[i] ? static_cast<float*>(to[i]) : nullptr, by_axis[axes[i]], scales_of(a, axes[i])};
  const int64_t n = scales[0].n > scales[1].n ? scales[0].n : scales[1].n;
  return launch(ctx, op, scales_kernel, static_cast<unsigned>(ceil_div(n, kThreads)), kThreads, 0, scales[0], scales[1],
                a->f8, a->pow2 != 0);
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_to_float8(const ao_to_float8_args* a, ao_ctx* ctx) {
  if (check(ctx, "to_float8", a->f8, a->axis) || check(ctx, "to_float8", a->f8, a->axis_t) ||
      need_float(ctx, "to_float8", a->dtype))
    return 1;
  if (a->rows == 0 || a->cols == 0) return 0;
  if (ceil_div(a->rows, kCastSide) > 65535)
    return ao_fail(ctx, "to_float8: %lld rows; the GPU takes 2^23 in one call", static_cast<long long>(a->rows));
  return by_dtype(a->dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const bool wide = a->cols % Piece<d>::count == 0 && reinterpret_cast<uintptr_t>(a->x) % 16 == 0 &&
                      reinterpret_cast<uintptr_t>(a->q) % 8 == 0;
    if (!a->given && find_scales<d>(a, ctx, wide)) return 1;
    const dim3 grid(static_cast<unsigned>(ceil_div(a->cols, kCastSide)),
                    static_cast<unsigned>(ceil_div(a->rows, kCastSide)));
    return launch(ctx, "to_float8", cast_kernel<d>, grid, kThreads, 0,
                  Codes{static_cast<uint8_t*>(a->q), static_cast<const float*>(a->scale), a->axis},
                  Codes{static_cast<uint8_t*>(a->q_t), static_cast<const float*>(a->scale_t), a->axis_t}, a->x, a->rows,
                  a->cols, a->f8, a->q && a->axis == a->axis_t && !a->given, wide);
  });
}

extern "C" int ao_cuda_from_float8(const ao_from_float8_args* a, ao_ctx* ctx) {
  if (check(ctx, "from_float8", a->f8, a->axis)) return 1;
  const int64_t n = a->rows * a->cols;
  if (n == 0) return 0;
  return launch(ctx, "from_float8", decode_kernel, blocks_for(ctx, n), kThreads, 0, static_cast<float*>(a->out),
                static_cast<const uint8_t*>(a->q), static_cast<const float*>(a->scale), n, a->cols, a->axis, a->f8);
}
