// The loops around the kernels. Work is cut over rows of x and panels of w, never over k.
//   GEMV (m <= kFewRows): chunks of panels, every weight byte read once.
//   GEMM: tasks of (block of rows, panel); a task turns the panel into operands once and runs all tiles of the block.
// For float32 operands k is cut into blocks of kBlockK whose accumulators wait in memory, the same chain of additions.
#pragma once
#include <algorithm>

#include "base/ctx.h"
#include "gemm/kernels.h"

namespace ao {

constexpr int64_t kBlockK = 512;
constexpr int64_t kTile = 12; // a multiple of every ISA's tile height

// Rows per block: about `bytes` of x, in equal blocks.
inline int64_t block_rows(int64_t m, int64_t row_bytes, int64_t bytes, int64_t least, int64_t most) {
  const int64_t wanted = std::clamp(bytes / std::max<int64_t>(row_bytes, 1), least, most);
  const int64_t blocks = (m + wanted - 1) / wanted;
  return round_up_to((m + blocks - 1) / blocks, kTile);
}

// Items per chunk so that each thread takes about `turns` chunks, none below `least`.
inline int64_t even_chunk(ao_ctx* ctx, int64_t n, int64_t turns, int64_t least) {
  return std::max({(int64_t)1, least, n / (ao_ctx_threads(ctx) * turns)});
}

// decode(batch, panel, k0, k1, float* out) gives operands; rows(batch) the FloatRows of m rows; finish(batch, acc, row, rows, panel)
// stores. False where memory is short.
template <class Decode, class Rows, class Finish>
bool gemm_float(ao_ctx* ctx, int64_t batches, int64_t m, int64_t k, int64_t panels, const Decode& decode,
                const Rows& rows, const Finish& finish) {
  const int64_t block = block_rows(m, std::min(k, kBlockK) * 4, 1 << 17, kTile, 96), blocks = (m + block - 1) / block;
  const int64_t panel_floats = std::min(round_up_to(k, 8), kBlockK) * kPanelRows,
                each = panel_floats + block * kPanelRows;
  float* memory = scratch<float>(ctx, each * ao_ctx_threads(ctx));
  if (!memory) return false;
  const auto tile = AO_ISA_PICK(ctx, float_tile);
  const int64_t tasks = batches * blocks * panels;
  parallel_for(ctx, tasks, even_chunk(ctx, tasks, 8, (1 << 15) / std::max<int64_t>(1, block * k)),
               [&](int64_t begin, int64_t end, int thread) {
                 float* panel_memory = memory + thread * each;
                 float* acc = panel_memory + panel_floats;
                 for (int64_t t = begin; t < end; t++) {
                   const int64_t panel = t % panels, row = t / panels % blocks * block, batch = t / panels / blocks,
                                 count = std::min(block, m - row);
                   const FloatRows x = rows(batch);
                   int64_t k0 = 0;
                   do { // once for k = 0 too: it clears the accumulators
                     const int64_t k1 = std::min(k, k0 + kBlockK);
                     decode(batch, panel, k0, k1, panel_memory);
                     tile(panel_memory, k1 - k0, x.x + row * x.stride + k0, x.stride, count, acc, k0 == 0);
                     k0 = k1;
                   } while (k0 < k);
                   finish(batch, acc, row, count, panel);
                 }
               });
  return true;
}

// x [m, k] of a float dtype as float32 rows: itself where it is that already, else converted to scratch. False where memory is short.
bool float_rows_of(ao_ctx* ctx, int32_t dtype, const void* x, int64_t m, int64_t k, int64_t stride, FloatRows* rows);

// One output of a linear: the weight and where its result goes.
struct Target {
  const Packed* w;
  Store store;
};

// y_t = x . w_t^T for `count` targets that share x; all weights have the activation mode, and in the integer modes the code and
// group size, of the first. 0 = done, 1 = error recorded.
int run_linear(ao_ctx* ctx, const Target* targets, int count, const void* x, int32_t x_dtype, int64_t x_stride,
               int64_t m, float eps);

} // namespace ao
