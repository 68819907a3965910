// to_float8 and from_float8; kernels/cpu/ops/float8.cc. A matrix is read twice: once for the amaxes of all that is asked (rows, columns,
// the whole), once for the codes, as they lie and turned. Amaxes are the largest bits of magnitudes, which are in their order with NaN
// above all, so atomics give the same in any order.
#include "base/block.h"
#include "base/float8.h"
#include "ops/map.h"

namespace ao {
namespace {

enum Axis { ALL, ROWS, COLUMNS };
constexpr int64_t kDivides = 2; // pow2: scales of quantization, amax / largest in x's dtype, codes of x / scale

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

// 16 bytes at element `at`; zeros from `left` elements on. wide: rows are whole pieces, and aligned.
template <int d, bool wide>
__device__ uint4 load_words(const void* x, int64_t at, int64_t left) {
  constexpr int count = Piece<d>::count;
  if constexpr (wide) return *reinterpret_cast<const uint4*>(static_cast<const char*>(x) + at * (16 / count));
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
__device__ int most_of_warp(int v) {
#if defined(__CUDA_ARCH__)
  return __reduce_max_sync(kAllLanes, v);
#else
  return reduce_warp(v, LargerBits());
#endif
}

struct Peaks {
  int *all, *rows, *columns; // null where they are not asked for
};

// A warp has 32 pieces beside each other, a block kPeakRows rows of those.
template <int d, bool wide>
__global__ void __launch_bounds__(kWarps* kWarp, 3)
    peaks_kernel(Peaks peaks, const void* x, int64_t rows, int64_t cols) {
  constexpr int count = Piece<d>::count;
  __shared__ uint32_t columns[kWarps][4 * kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t first = int64_t{blockIdx.x} * kWarp * count, column = first + lane * count;
  const int64_t top = int64_t{blockIdx.y} * kPeakRows;
  uint32_t down[4] = {}, whole = 0;
  for (int i0 = 0; i0 < kPeakRows / kWarps; i0 += kAtOnce) {
    uint4 raw[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; i++) {
      const int64_t row = top + warp + (i0 + i) * kWarps;
      raw[i] = row < rows && column < cols ? load_words<d, wide>(x, row * cols + column, cols - column)
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
    if (lane == 0 && most > *static_cast<volatile int*>(peaks.all)) atomicMax(peaks.all, most);
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

__device__ float scale_for(int bits, int64_t f8, int64_t pow2, int64_t dtype = AO_F32) {
  const double amax = ao_float(static_cast<uint32_t>(bits)), largest = f8 == AO_F8E4M3 ? 448 : 57344;
  if (pow2 == kDivides) return rounded_to(dtype, static_cast<float>(amax) / static_cast<float>(largest));
  const float scale = static_cast<float>(largest / (amax < 1e-12 ? 1e-12 : amax));
  return pow2 && scale == scale ? ao_float(ao_bits(scale) & 0x7f800000u) : scale;
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
    s.scale[i] = scale_for(s.most[i], f8, pow2);
  }
}

constexpr int kCastRows = 128, kCastPieces = 8;

struct Codes {
  uint8_t* q; // null: none wanted
  const float* scale;
  int64_t axis;
  __device__ float by_row(int64_t r, int64_t rows) const {
    return axis == COLUMNS || !q ? 1.0f : scale[axis == ROWS && r < rows ? r : 0];
  }
};

AO_CALLED uint32_t any_code(int64_t f8, float v) { return float8_code(f8, v); }

// Codes of a piece, four a word.
template <int count>
__device__ void codes_of(int64_t f8, const float (&v)[count], uint32_t (&word)[count / 4]) {
#pragma unroll
  for (uint32_t& w : word) w = 0;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  float sizes = 0;
#pragma unroll
  for (int j = 0; j < count; j++) sizes += fabsf(v[j]);
  if (sizes < INFINITY) { // no NaN
#pragma unroll
    for (int j = 0; j < count; j += 2) {
      uint16_t pair;
      if (f8 == AO_F8E4M3)
        asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(v[j + 1]), "f"(v[j]));
      else
        asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(v[j + 1]), "f"(v[j]));
      word[j / 4] |= static_cast<uint32_t>(pair) << (j % 4 * 8);
    }
    return;
  }
#endif
#pragma unroll
  for (int j = 0; j < count; j++) word[j / 4] |= any_code(f8, v[j]) << (j % 4 * 8);
}

// `left`: of the row.
template <int count, bool wide>
__device__ void store_codes(uint8_t* to, const uint32_t (&word)[count / 4], int64_t left) {
  if constexpr (!wide) {
#pragma unroll
    for (int j = 0; j < count; j++)
      if (j < left) to[j] = static_cast<uint8_t>(word[j / 4] >> (j % 4 * 8));
  } else if constexpr (count == 8) {
    *reinterpret_cast<uint2*>(to) = {word[0], word[1]};
  } else {
    *reinterpret_cast<uint32_t*>(to) = word[0];
  }
}

// Codes of a piece of row r, by scales that it has from its row and from its columns.
template <int count>
__device__ void row_codes(const Codes& codes, int64_t f8, const float (&v)[count], float by_row, int64_t column,
                          int64_t cols, uint32_t (&word)[count / 4]) {
  float scaled[count];
#pragma unroll
  for (int j = 0; j < count; j++) scaled[j] = v[j] * by_row;
  if (codes.axis == COLUMNS) {
#pragma unroll
    for (int j = 0; j < count; j++) scaled[j] = v[j] * (column + j < cols ? codes.scale[column + j] : 1.0f);
  }
  codes_of<count>(f8, scaled, word);
}

// Word j of `word` is byte j of each of the four `rows`.
__device__ void turn_bytes(const uint32_t (&rows)[4], uint32_t* word) {
  const uint32_t low = __byte_perm(rows[0], rows[1], 0x5140), high = __byte_perm(rows[0], rows[1], 0x7362);
  const uint32_t low2 = __byte_perm(rows[2], rows[3], 0x5140), high2 = __byte_perm(rows[2], rows[3], 0x7362);
  word[0] = __byte_perm(low, low2, 0x5410), word[1] = __byte_perm(low, low2, 0x7632);
  word[2] = __byte_perm(high, high2, 0x5410), word[3] = __byte_perm(high, high2, 0x7632);
}

// A block has 128 rows of eight pieces, a thread four rows of one, whose codes of a column are a word of the turned matrix. Blocks run from
// the last rows up: those the amaxes read last, still near. `same`: the turned codes are the others.
template <int d, bool wide>
__global__ void __launch_bounds__(kThreads, 4)
    cast_kernel(Codes codes, Codes turned, const void* x, int64_t rows, int64_t cols, int64_t f8, bool same) {
  constexpr int count = Piece<d>::count, words = count / 4, quads = kCastRows / 16;
  // four words of a column beside each other; those of each eighth of columns in an order of their own, so that banks differ
  __shared__ uint4 tile[kCastPieces * count][quads];
  const int64_t left = int64_t{blockIdx.x} * kCastPieces * count;
  const int64_t top = int64_t{gridDim.y - 1 - blockIdx.y} * kCastRows;
  const int piece = threadIdx.x % kCastPieces, group = threadIdx.x / kCastPieces;
  const int64_t column = left + piece * count, first = top + group * 4;
  uint4 raw[4];
#pragma unroll
  for (int i = 0; i < 4; i++)
    raw[i] = first + i < rows && column < cols ? load_words<d, wide>(x, (first + i) * cols + column, cols - column)
                                               : make_uint4(0, 0, 0, 0);
  uint32_t down[words][4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int64_t row = first + i;
    Piece<d> values;
    values.take(raw[i]);
    uint32_t word[words] = {};
    if (codes.q) {
      row_codes<count>(codes, f8, values.v, codes.by_row(row, rows), column, cols, word);
      if (row < rows && column < cols) store_codes<count, wide>(codes.q + row * cols + column, word, cols - column);
    }
    if (turned.q && !same) row_codes<count>(turned, f8, values.v, turned.by_row(row, rows), column, cols, word);
#pragma unroll
    for (int k = 0; k < words; k++) down[k][i] = word[k];
  }
  if (!turned.q) return;
#pragma unroll
  for (int k = 0; k < words; k++) {
    uint32_t word[4];
    turn_bytes(down[k], word);
#pragma unroll
    for (int j = 0; j < 4; j++)
      reinterpret_cast<uint32_t*>(&tile[piece * count + k * 4 + j][(group / 4) ^ piece])[group % 4] = word[j];
  }
  __syncthreads();
  const bool whole = rows % 16 == 0 && reinterpret_cast<uintptr_t>(turned.q) % 16 == 0;
  for (int i = threadIdx.x; i < kCastPieces * count * quads; i += kThreads) {
    const int c = i / quads, w = i % quads;
    const int64_t at = left + c, row = top + w * 16;
    if (at >= cols || row >= rows) continue;
    uint8_t* to = turned.q + at * rows + row;
    const uint4 four = tile[c][w ^ (c / count)];
    if (whole) {
      *reinterpret_cast<uint4*>(to) = four;
      continue;
    }
    const uint32_t word[4] = {four.x, four.y, four.z, four.w};
    for (int b = 0; b < 16 && row + b < rows; b++) to[b] = static_cast<uint8_t>(word[b / 4] >> (b % 4 * 8));
  }
}

// Rows that are cast by their own amax and not turned: a block has a row, the second read of which is near.
template <int d, bool wide>
__global__ void rows_kernel(uint8_t* q, float* scales, const void* x, int64_t cols, int64_t f8, int64_t pow2) {
  constexpr int count = Piece<d>::count;
  const int64_t base = blockIdx.x * cols, pieces = (cols + count - 1) / count;
  let_next_start();
  await_previous();
  uint32_t most = 0;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    const uint4 raw = load_words<d, wide>(x, base + i * count, cols - i * count);
    most = larger<d>(larger<d>(most, larger<d>(sizes_of<d>(raw.x), sizes_of<d>(raw.y))),
                     larger<d>(sizes_of<d>(raw.z), sizes_of<d>(raw.w)));
  }
  const float scale = scale_for(reduce_block(word_bits<d>(most), 0, LargerBits()), f8, pow2, d);
  if (threadIdx.x == 0) scales[blockIdx.x] = scale;
  const float by = scale == 0 ? 1.0f : scale;
#pragma unroll 2
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    Piece<d> values;
    values.take(load_words<d, wide>(x, base + i * count, cols - i * count));
    for (int j = 0; j < count; j++) values.v[j] = pow2 == kDivides ? values.v[j] / by : values.v[j] * scale;
    uint32_t word[count / 4];
    codes_of<count>(f8, values.v, word);
    store_codes<count, wide>(q + base + i * count, word, cols - i * count);
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

template <int d, bool wide>
int find_scales(const ao_to_float8_args* a, ao_ctx* ctx) {
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
  if (launch(ctx, op, peaks_kernel<d, wide>, grid, kWarps * kWarp, 0, Peaks{asked(ALL), asked(ROWS), asked(COLUMNS)},
             a->x, a->rows, a->cols))
    return 1;
  Scales scales[2];
  void* const to[2] = {a->scale, a->scale_t};
  for (int i = 0; i < 2; i++)
    scales[i] = {wanted[i] ? static_cast<float*>(to[i]) : nullptr, by_axis[axes[i]], scales_of(a, axes[i])};
  const int64_t n = scales[0].n > scales[1].n ? scales[0].n : scales[1].n;
  return launch(ctx, op, scales_kernel, static_cast<unsigned>(ceil_div(n, kThreads)), kThreads, 0, scales[0], scales[1],
                a->f8, a->pow2 != 0);
}

template <int d, bool wide>
int cast_as(const ao_to_float8_args* a, ao_ctx* ctx) {
  if (!a->given && !a->q_t && a->axis == ROWS && a->rows <= INT32_MAX)
    return launch_early(ctx, "to_float8", rows_kernel<d, wide>, static_cast<unsigned>(a->rows),
                        threads_for(ceil_div(a->cols, Piece<d>::count)), 0, static_cast<uint8_t*>(a->q),
                        static_cast<float*>(a->scale), a->x, a->cols, a->f8, a->pow2);
  if (!a->given && find_scales<d, wide>(a, ctx)) return 1;
  const dim3 grid(static_cast<unsigned>(ceil_div(a->cols, kCastPieces * Piece<d>::count)),
                  static_cast<unsigned>(ceil_div(a->rows, kCastRows)));
  return launch(ctx, "to_float8", cast_kernel<d, wide>, grid, kThreads, 0,
                Codes{static_cast<uint8_t*>(a->q), static_cast<const float*>(a->scale), a->axis},
                Codes{static_cast<uint8_t*>(a->q_t), static_cast<const float*>(a->scale_t), a->axis_t}, a->x, a->rows,
                a->cols, a->f8, a->q && a->axis == a->axis_t && !a->given);
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_to_float8(const ao_to_float8_args* a, ao_ctx* ctx) {
  if (check(ctx, "to_float8", a->f8, a->axis) || check(ctx, "to_float8", a->f8, a->axis_t) ||
      need_float(ctx, "to_float8", a->dtype))
    return 1;
  if (a->pow2 == kDivides && (a->q_t || a->axis != ROWS))
    return ao_fail(ctx, "to_float8: scales of quantization are of rows, codes not turned");
  if (a->rows == 0 || a->cols == 0) return 0;
  if (ceil_div(a->rows, kCastRows) > 65535)
    return ao_fail(ctx, "to_float8: %lld rows; the GPU takes 2^23 in one call", static_cast<long long>(a->rows));
  return by_dtype(a->dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const bool wide = a->cols % Piece<d>::count == 0 && reinterpret_cast<uintptr_t>(a->x) % 16 == 0 &&
                      reinterpret_cast<uintptr_t>(a->q) % 8 == 0;
    return wide ? cast_as<d, true>(a, ctx) : cast_as<d, false>(a, ctx);
  });
}

extern "C" int ao_cuda_from_float8(const ao_from_float8_args* a, ao_ctx* ctx) {
  if (check(ctx, "from_float8", a->f8, a->axis)) return 1;
  const int64_t n = a->rows * a->cols;
  if (n == 0) return 0;
  return launch(ctx, "from_float8", decode_kernel, blocks_for(ctx, n), kThreads, 0, static_cast<float*>(a->out),
                static_cast<const uint8_t*>(a->q), static_cast<const float*>(a->scale), n, a->cols, a->axis, a->f8);
}
