// The loops around the kernels. Work is cut over rows of x and panels of w, never over k.
//   GEMV (m <= kFewRows): chunks of panels, every weight byte read once.
//   GEMM: tasks of (block of rows, panels); a task turns the panels into operands once and runs all tiles of the block.
// k is cut into blocks whose accumulators wait in memory, the same chain of additions.
#pragma once
#include <algorithm>

#include "base/ctx.h"
#include "gemm/kernels.h"

namespace ao {

constexpr int64_t kBlockUnits = 256;       // of k, float operands: 16 KiB of a panel
constexpr int64_t kPanelsPerTask = 2;      // which share the tiles of x
constexpr int64_t kTablePanelsPerStep = 4; // in the GEMV skeleton, a multiple of every ISA's own
constexpr int64_t kTile = 12;              // a multiple of every ISA's tile height

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

// operand(batch, panel, u0, u1, float* room) is the panel's part for units [u0, u1) of k, in room or where it lies; tiles(batch) are
// the m rows; finish(batch, acc, row, rows, panel) stores. False where memory is short.
template <class Operand, class Rows, class Finish>
bool gemm_float(ao_ctx* ctx, int64_t batches, int64_t m, int64_t units, int64_t panels, bool pairs,
                const Operand& operand, const Rows& tiles, const Finish& finish) {
  const int64_t block = block_rows(m, std::min(units, kBlockUnits) * 4, 1 << 18, kTile, 240),
                blocks = (m + block - 1) / block, steps = (panels + kPanelsPerTask - 1) / kPanelsPerTask;
  const int64_t room_floats = std::min(round_up_to(units, 8), kBlockUnits) * kPanelRows, stride = block * kPanelRows,
                each = kPanelsPerTask * (room_floats + stride);
  float* memory = scratch<float>(ctx, each * ao_ctx_threads(ctx));
  if (!memory) return false;
  const auto tile = AO_ISA_PICK(ctx, float_tile);
  const int64_t tasks = batches * blocks * steps;
  parallel_for(ctx, tasks, even_chunk(ctx, tasks, 8, (1 << 14) / std::max<int64_t>(1, block * units)),
               [&](int64_t begin, int64_t end, int thread) {
                 float* room = memory + thread * each;
                 float* acc = room + kPanelsPerTask * room_floats;
                 for (int64_t t = begin; t < end; t++) {
                   const int64_t panel = t % steps * kPanelsPerTask, row = t / steps % blocks * block,
                                 batch = t / steps / blocks, count = std::min(block, m - row),
                                 here = std::min(kPanelsPerTask, panels - panel);
                   const Tiles x = tiles(batch);
                   int64_t u0 = 0;
                   do { // once for k = 0 too: it clears the accumulators
                     const int64_t u1 = std::min(units, u0 + kBlockUnits);
                     const void* operands[kPanelsPerTask];
                     for (int64_t p = 0; p < here; p++)
                       operands[p] = operand(batch, panel + p, u0, u1, room + p * room_floats);
                     tile(operands, here, pairs, u0, u1 - u0, x, row, count, acc, stride, u0 == 0);
                     u0 = u1;
                   } while (u0 < units);
                   for (int64_t p = 0; p < here; p++) finish(batch, acc + p * stride, row, count, panel + p);
                 }
               });
  return true;
}

// Rows per tile of x for m rows: all of them in the GEMV skeleton, else what gemm_float and the other GEMM loops want.
int64_t rows_per_tile(ao_ctx* ctx, int64_t m);

// x [m, k] of a float dtype in tiles of float32, or of bfloat16 pairs. False where memory is short.
bool float_tiles(ao_ctx* ctx, int32_t dtype, bool pairs, const void* x, int64_t m, int64_t k, int64_t stride,
                 int64_t height, Tiles* tiles);

// How the rows of x become int8: the least scale (0 = the mode's own), a scale and zero point that are given, ao_act_flags.
struct ActForm {
  float eps = 0;
  const float* scale = nullptr;
  const int8_t* zero = nullptr;
  int32_t flags = 0;
};

// x quantized as the weight asks. False where memory is short.
bool int_tiles(ao_ctx* ctx, const Packed* w, const void* x, int32_t dtype, int64_t stride, int64_t m,
               const ActForm& act, IntRows* rows);

// Whether x of a dtype meets a weight's codes in pairs.
bool meet_in_pairs(ao_ctx* ctx, int32_t x_dtype, int64_t code);

// One output of a linear: the weight and where its result goes.
struct Target {
  const Packed* w;
  Store store;
};

// y_t = x . w_t^T for `count` targets that share x; all weights have the activation mode, and in the integer modes the code and
// group size, of the first. 0 = done, 1 = error recorded.
int run_linear(ao_ctx* ctx, const Target* targets, int count, const void* x, int32_t x_dtype, int64_t x_stride,
               int64_t m, const ActForm& act);

} // namespace ao
