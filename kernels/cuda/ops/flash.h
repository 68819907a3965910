// Tiles of attention in shared memory for the tensor cores: rows of `width` values of 16 bits, the 16-byte pieces of row r at piece c ^ (r mod 8),
// so that the eight rows of a fragment lie in different banks. Rows and columns that are not there are zeros.
#pragma once
#include "ops/fragments.h"

namespace ao {

template <int width>
__device__ inline uint16_t* piece_at(uint16_t* tile, int row, int piece) {
  return tile + row * width + ((piece ^ (row & 7)) << 3);
}

// `rows` rows, row r at from(r) (null: not there), by all threads; the caller commits.
template <int width, class From>
__device__ inline void load_tile(uint16_t* tile, int rows, int64_t columns, const From& from) {
  constexpr int pieces = width / 8;
  for (int i = threadIdx.x; i < rows * pieces; i += blockDim.x) {
    const int row = i / pieces, piece = i % pieces;
    const uint16_t* at = from(row);
    const bool there = at && 8 * piece < columns;
    copy_async(piece_at<width>(tile, row, piece), there ? at + 8 * piece : static_cast<const uint16_t*>(nullptr), there);
  }
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

// Whether q, k and v lie so that 16 bytes of a row can be read at once.
inline bool rows_of_16(const Attention& p) {
  for (int i = 0; i < 3; i++)
    if (p.q_strides[i] % 8 || p.k_strides[i] % 8 || p.v_strides[i] % 8) return false;
  const auto aligned = [](const void* at) { return reinterpret_cast<uintptr_t>(at) % 16 == 0; };
  return p.dim % 8 == 0 && p.v_dim % 8 == 0 && aligned(p.q) && aligned(p.k) && aligned(p.v);
}

} // namespace ao
