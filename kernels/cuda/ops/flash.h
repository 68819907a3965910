// Tiles of attention in shared memory for the tensor cores: rows of `width` values of 16 bits, the 16-byte pieces of row r at piece c ^ (r mod 8),
// so that the eight rows of a fragment lie in different banks. Rows and columns that are not there are zeros.
#pragma once
#include "ops/fragments.h"

namespace ao {

template <int width>
__device__ inline uint16_t* piece_at(uint16_t* tile, int row, int piece) {
  return tile + row * width + ((piece ^ (row & 7)) << 3);
}

constexpr int kFlashThreads = 128;

// The pieces of a tile of `rows` rows that are this thread's, one under the other: fn(row, piece).
template <int width, int rows, class Fn>
__device__ inline void own_pieces(const Fn& fn) {
  constexpr int pieces = width / 8, step = kFlashThreads / pieces;
#pragma unroll
  for (int i = 0; i < rows / step; i++)
    fn(static_cast<int>(threadIdx.x) / pieces + i * step, static_cast<int>(threadIdx.x) % pieces);
}

// Rows of keys or values from `from` on, `stride` apart, of which `count` are there; the caller commits.
template <int width, int rows>
__device__ inline void load_rows(uint16_t* tile, const uint16_t* from, int64_t stride, int64_t count, int64_t columns) {
  const int there = count < rows ? static_cast<int>(count) : rows;
  own_pieces<width, rows>([&](int row, int piece) {
    copy_async(piece_at<width>(tile, row, piece), from + row * stride + 8 * piece, row < there && 8 * piece < columns);
  });
}

// Query rows from `first` on of a sequence and head of keys: of q, and of a gradient [batch, tokens, heads, v_dim] where it is given.
template <int width, int rows>
__device__ inline void load_queries(uint16_t* q_tile, uint16_t* g_tile, const Attention& p, const void* g, int64_t b,
                                    int64_t kv_head, int64_t first) {
  const uint32_t group = static_cast<uint32_t>(p.group()), total = static_cast<uint32_t>(p.tokens) * group;
  own_pieces<width, rows>([&](int row, int piece) {
    const uint32_t n = static_cast<uint32_t>(first) + row, token = n / group;
    const int64_t h = kv_head * group + n % group, column = 8 * piece;
    const bool there = n < total;
    const uint16_t* q = static_cast<const uint16_t*>(p.q) + p.q_at(b, token, h) + column;
    copy_async(piece_at<width>(q_tile, row, piece), q, there && column < p.dim);
    if (!g_tile) return;
    const uint16_t* from =
        static_cast<const uint16_t*>(g) + ((b * p.tokens + token) * p.q_heads + h) * p.v_dim + column;
    copy_async(piece_at<width>(g_tile, row, piece), from, there && column < p.v_dim);
  });
}

__device__ inline const uint16_t* first_key(const Attention& p, int64_t b, int64_t head) {
  return static_cast<const uint16_t*>(p.k) + b * p.k_strides[0] + head * p.k_strides[1];
}
__device__ inline const uint16_t* first_value(const Attention& p, int64_t b, int64_t head) {
  return static_cast<const uint16_t*>(p.v) + b * p.v_strides[0] + head * p.v_strides[1];
}

// Rows row .. row + 15, columns 16 k .. 16 k + 15 of a tile as the left side of a product.
template <int width>
__device__ inline void left_side(uint32_t (&a)[4], uint16_t* tile, int row, int k) {
  const int lane = threadIdx.x % kWarp;
  ldmatrix(a, piece_at<width>(tile, row + lane % 16, 2 * k + lane / 16));
}

// The right side of two products whose columns are rows row .. row + 7 and row + 8 .. row + 15 of a tile, summed over its columns 16 k ..
template <int width>
__device__ inline void right_rows(uint32_t (&first)[2], uint32_t (&second)[2], uint16_t* tile, int row, int k) {
  const int lane = threadIdx.x % kWarp;
  uint32_t r[4];
  ldmatrix(r, piece_at<width>(tile, row + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
  first[0] = r[0], first[1] = r[1], second[0] = r[2], second[1] = r[3];
}

// The right side of two products whose columns are columns 16 n .. of a tile, summed over its rows row .. row + 15.
template <int width>
__device__ inline void right_columns(uint32_t (&first)[2], uint32_t (&second)[2], uint16_t* tile, int row, int n) {
  const int lane = threadIdx.x % kWarp;
  uint32_t r[4];
  ldmatrix<true>(r, piece_at<width>(tile, row + lane % 16, 2 * n + lane / 16));
  first[0] = r[0], first[1] = r[1], second[0] = r[2], second[1] = r[3];
}

// Results of two neighbouring products as the left side of the next: columns become what is summed over.
template <int dtype>
__device__ inline void as_left(uint32_t (&a)[4], const float (&first)[4], const float (&second)[4]) {
  a[0] = pack16<dtype>(first[0], first[1]), a[1] = pack16<dtype>(first[2], first[3]);
  a[2] = pack16<dtype>(second[0], second[1]), a[3] = pack16<dtype>(second[2], second[3]);
}

// A query row counts tokens and the heads of a group: row = token * group + head within the group.
struct QueryRow {
  int64_t token, head;
};
__device__ inline QueryRow query_row(const Attention& p, int64_t kv_head, int64_t row) {
  const int64_t group = p.group();
  return {row / group, kv_head * group + row % group};
}

// Whether q, k and v lie so that 16 bytes of a row can be read at once, and rows can be counted in 31 bits.
inline bool rows_of_16(const Attention& p) {
  if (p.tokens * (p.q_heads / p.kv_heads) > INT32_MAX / 2 || p.keys > INT32_MAX / 2) return false;
  for (int i = 0; i < 3; i++)
    if (p.q_strides[i] % 8 || p.k_strides[i] % 8 || p.v_strides[i] % 8) return false;
  const auto aligned = [](const void* at) { return reinterpret_cast<uintptr_t>(at) % 16 == 0; };
  return p.dim % 8 == 0 && p.v_dim % 8 == 0 && aligned(p.q) && aligned(p.k) && aligned(p.v);
}

} // namespace ao
