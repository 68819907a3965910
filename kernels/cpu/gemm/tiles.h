// make_tiles: rows of 32-bit units, made one by one, as the tiles the kernels read.
#pragma once
#include "gemm/skeleton.h"

namespace ao {

// The tiles of one of several matrices that lie one after another.
inline Tiles tiles_of_batch(const Tiles& first, int64_t m, int64_t batch) {
  const int64_t rows = (m + first.height - 1) / first.height * first.height;
  return {first.units + batch * rows * first.count, first.count, first.height};
}

// fill(batch, row, uint32_t* units, thread) makes the `count` units of one row of `k` values. False where memory is short.
template <class Fill>
bool make_tiles(ao_ctx* ctx, int64_t m, int64_t count, int64_t k, int64_t height, int64_t batches, Tiles* first,
                const Fill& fill) {
  const int64_t groups = (m + height - 1) / height;
  uint32_t* units = scratch<uint32_t>(ctx, batches * groups * height * count);
  uint32_t* memory = height > 1 ? scratch<uint32_t>(ctx, height * count * ao_ctx_threads(ctx)) : nullptr;
  if (!units || (height > 1 && !memory)) return false;
  *first = {units, count, height};
  const auto interleave = AO_ISA_PICK(ctx, interleave_rows);
  parallel_for(ctx, batches * groups, rows_per_chunk(k * height), [&](int64_t begin, int64_t end, int thread) {
    for (int64_t g = begin; g < end; g++) {
      const int64_t batch = g / groups, row = g % groups * height, here = std::min(height, m - row);
      uint32_t* to = units + g * height * count;
      if (height == 1) {
        fill(batch, row, to, thread);
        continue;
      }
      uint32_t* room = memory + thread * height * count;
      const uint32_t* rows[kTile];
      for (int64_t r = 0; r < here; r++) {
        rows[r] = room + r * count;
        fill(batch, row + r, room + r * count, thread);
      }
      if (here < height) memset(to, 0, height * count * 4);
      interleave(rows, here, count, height, to);
    }
  });
  return true;
}

} // namespace ao
