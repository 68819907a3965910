// Weights [n, k] in square blocks, those of zeros left out: values [blocks][block][block], int32 col [blocks] and crow [n / block + 1].
// block_sparse_linear: out = x . w^T + bias, tiles of x times the blocks that are there, turned to panels one at a time; block is a
// multiple of 16. Each output is one chain over ascending k, as that of a dense weight whose zeros are skipped.
// block_sparse_copy: w from its blocks, or the blocks of a w (gather).
#include <string.h>

#include "gemm/linear.h"
#include "gemm/skeleton.h"
#include "ops/check.h"

namespace ao {
namespace {

bool check_places(ao_ctx* ctx, const char* op, const int32_t* crow, const int32_t* col, int64_t n, int64_t k,
                  int64_t block) {
  if (block < 1 || n % block || k % block)
    return ao_fail(ctx, "%s: blocks of %lld do not fill [%lld, %lld]", op, (long long)block, (long long)n,
                   (long long)k),
           false;
  for (int64_t r = 0; r < n / block; r++) {
    if (crow[0] != 0 || crow[r + 1] < crow[r])
      return ao_fail(ctx, "%s: crow[%lld] is %d after %d", op, (long long)r + 1, crow[r + 1], crow[r]), false;
    for (int32_t s = crow[r]; s < crow[r + 1]; s++)
      if (col[s] < 0 || col[s] >= k / block || (s > crow[r] && col[s] <= col[s - 1]))
        return ao_fail(ctx, "%s: col[%d] is %d; columns ascend within a row and stay below %lld", op, s, col[s],
                       (long long)(k / block)),
               false;
  }
  return true;
}

} // namespace
} // namespace ao

extern "C" int ao_cpu_block_sparse_linear(const ao_block_sparse_linear_args* a, ao_ctx* ctx) {
  using namespace ao;
  const char* op = "block_sparse_linear";
  const int32_t *crow = (const int32_t*)a->crow, *col = (const int32_t*)a->col;
  if (!check_linear_dtypes(ctx, op, a->dtype, a->dtype, a->dtype)) return 1;
  if (a->block % kPanelRows)
    return ao_fail(ctx, "%s: blocks of %lld; it takes multiples of %d", op, (long long)a->block, kPanelRows);
  if (!check_places(ctx, op, crow, col, a->n, a->k, a->block)) return 1;
  const bool pairs = meet_in_pairs(ctx, (int32_t)a->dtype, a->dtype);
  const int64_t height = AO_ISA_PICK(ctx, tile_height)(), units = pairs ? a->block / 2 : a->block;
  Tiles tiles;
  if (a->m == 0 || !float_tiles(ctx, (int32_t)a->dtype, pairs, a->x, a->m, a->k, a->k, height, &tiles))
    return a->m ? 1 : 0;
  const Store store = {a->bias, nullptr, a->out, 0, a->n, a->n, (int32_t)a->dtype, (int32_t)a->dtype};
  const int64_t rows = block_rows(a->m, a->k * 2, 1 << 22, kTile, 512), down = (a->m + rows - 1) / rows;
  const int64_t per_block = (a->block / kPanelRows + kPanelsPerTask - 1) / kPanelsPerTask, across = a->n / a->block;
  const int64_t room = units * kPanelRows, stride = rows * kPanelRows, each = kPanelsPerTask * (room + stride);
  float* memory = scratch<float>(ctx, each * ao_ctx_threads(ctx));
  if (!memory) return 1;
  const auto decode = AO_ISA_PICK(ctx, decode_strided);
  const auto tile = AO_ISA_PICK(ctx, float_tile);
  const auto finish = AO_ISA_PICK(ctx, store_rows);
  const int64_t size = ao_dtype_size(a->dtype), tasks = down * across * per_block;
  parallel_for(ctx, tasks, even_chunk(ctx, tasks, 8, 1), [&](int64_t begin, int64_t end, int thread) {
    float* operands = memory + thread * each;
    float* acc = operands + kPanelsPerTask * room;
    for (int64_t t = begin; t < end; t++) {
      const int64_t step = t % per_block, line = t / per_block % across, row = t / per_block / across * rows;
      const int64_t count = std::min(rows, a->m - row), first = step * kPanelsPerTask;
      const int64_t panels = std::min(kPanelsPerTask, a->block / kPanelRows - first);
      const void* panel[kPanelsPerTask];
      for (int64_t p = 0; p < panels; p++) panel[p] = operands + p * room;
      if (crow[line] == crow[line + 1]) memset(acc, 0, kPanelsPerTask * stride * 4);
      for (int32_t s = crow[line]; s < crow[line + 1]; s++) {
        const char* block = (const char*)a->values + s * a->block * a->block * size;
        for (int64_t p = 0; p < panels; p++) // pairs move as float32 do
          decode(pairs ? AO_F32 : (int32_t)a->dtype, block, 1, units, a->block, first + p, 0, units,
                 operands + p * room);
        tile(panel, panels, pairs, col[s] * units, units, tiles, row, count, acc, stride, s == crow[line]);
      }
      for (int64_t p = 0; p < panels; p++)
        finish(acc + p * stride, row, count, line * (a->block / kPanelRows) + first + p, store);
    }
  });
  return 0;
}

extern "C" int ao_cpu_block_sparse_copy(const ao_block_sparse_copy_args* a, ao_ctx* ctx) {
  using namespace ao;
  const int32_t *crow = (const int32_t*)a->crow, *col = (const int32_t*)a->col;
  if (need_known(ctx, "block_sparse_copy", a->dtype)) return 1;
  if (!check_places(ctx, "block_sparse_copy", crow, col, a->n, a->k, a->block)) return 1;
  const int64_t line = a->block * ao_dtype_size(a->dtype), width = a->k / a->block * line;
  parallel_for(ctx, a->n, rows_per_chunk(a->k), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t r = i / a->block;
      if (!a->gather) memset((char*)a->out + i * width, 0, width);
      for (int32_t s = crow[r]; s < crow[r + 1]; s++) {
        const int64_t in_block = (s * a->block + i % a->block) * line, in_row = i * width + col[s] * line;
        if (a->gather)
          memcpy((char*)a->out + in_block, (const char*)a->x + in_row, line);
        else
          memcpy((char*)a->out + in_row, (const char*)a->x + in_block, line);
      }
    }
  });
  return 0;
}
