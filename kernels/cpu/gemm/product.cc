#include "gemm/product.h"

#include <string.h>

#include <algorithm>

#include "base/ctx.h"
#include "base/dtype.h"

namespace ao {
namespace {

constexpr int64_t kStepUnits = 256;             // of k at a time, a multiple of 16
constexpr int64_t kBlockRows = 252;             // of a task, whose tiles, panels and sums stay in the second cache
constexpr int64_t kBlockPanels = 18;            //
constexpr int64_t kRunUnits = kStepUnits;       // of one row, as 32-bit units

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How many blocks of rows and of panels: as few as the caches allow, and where they are few, as many for each thread.
struct Grid {
  int64_t tiles, panels, row_blocks, panel_blocks;
  Grid(int64_t tiles_, int64_t panels_, int64_t height, int64_t threads) : tiles(tiles_), panels(panels_) {
    row_blocks = ceil_div(tiles, std::max<int64_t>(1, kBlockRows / height));
    panel_blocks = ceil_div(panels, kBlockPanels);
    const int64_t tasks = row_blocks * panel_blocks;
    if (tasks >= 8 * threads) return;
    const int64_t wanted = round_up_to(std::max(tasks, 2 * threads), threads);
    row_blocks = std::min(tiles, ceil_div(wanted, panel_blocks));
    panel_blocks = std::min(ceil_div(panels, 2), std::max(panel_blocks, ceil_div(wanted, row_blocks)));
  }
  int64_t tile(int64_t block) const { return block * tiles / row_blocks; }
  int64_t panel(int64_t block) const { return block * panels / panel_blocks; }
  int64_t most_tiles() const { return ceil_div(tiles, row_blocks); }
  int64_t most_panels() const { return ceil_div(panels, panel_blocks); }
};

// What the packing of a side needs: the ISA's functions and a room for rows that are widened first.
struct Packing {
  decltype(&AO_ISA_BASE::interleave_rows) interleave;
  decltype(&AO_ISA_BASE::spread_rows) spread;
  decltype(&AO_ISA_BASE::load_row) load;
  decltype(&AO_ISA_BASE::decode_turned) decode;
  bool pairs;
};

// Columns k0 + [0, count) of `rows` runs as units [unit][width], zeros beyond the last run.
void pack_runs(const Packing& p, const Side& s, int64_t first, int64_t rows, int64_t k0, int64_t count, int64_t width,
               uint32_t* out) {
  const int64_t size = ao_dtype_size(s.dtype), units = p.pairs ? (count + 1) / 2 : count;
  const uint32_t* from[kPanelRows];
  alignas(64) uint32_t widened[kPanelRows][kRunUnits];
  if (rows < width) memset(out, 0, units * width * 4);
  for (int64_t r = 0; r < rows; r++) {
    const char* at = (const char*)s.data + ((first + r) * s.stride + k0) * size;
    from[r] = (const uint32_t*)at;
    if (p.pairs && (count % 2 || (uintptr_t)at % 4)) {
      widened[r][units - 1] = 0;
      memcpy(widened[r], at, count * size);
      from[r] = widened[r];
    } else if (!p.pairs && s.dtype != AO_F32) {
      p.load(s.dtype, at, count, (float*)widened[r]);
      from[r] = widened[r];
    }
  }
  p.interleave(from, rows, units, width, out);
}

// Rows or columns [first, first + n) of a side in groups of `width`, units of k0 + [0, count) each, groups `stride` units apart.
void pack_side(const Packing& p, const Side& s, int64_t first, int64_t n, int64_t k0, int64_t count, int64_t width,
               uint32_t* out, int64_t stride) {
  if (s.turned)
    return p.spread(s.dtype, p.pairs, (const char*)s.data + (k0 * s.stride + first) * ao_dtype_size(s.dtype), s.stride,
                    count, n, width, out, stride);
  for (int64_t i = 0; i < n; i += width, out += stride)
    pack_runs(p, s, first + i, std::min(width, n - i), k0, count, width, out);
}

} // namespace

bool terms_in_pairs(ao_ctx* ctx, const Term* terms, int count) {
  if (!AO_ISA_PICK(ctx, multiplies_pairs)()) return false;
  for (int i = 0; i < count; i++)
    if (terms[i].a.dtype != AO_BF16 || (terms[i].weight ? terms[i].weight->code : terms[i].b.dtype) != AO_BF16)
      return false;
  return true;
}

int run_product(ao_ctx* ctx, const Term* terms, int count, int64_t m, const Store& store) {
  if (m == 0 || store.n == 0) return 0;
  const int64_t height = AO_ISA_PICK(ctx, tile_height)(), threads = ao_ctx_threads(ctx);
  const Packing p = {AO_ISA_PICK(ctx, interleave_rows), AO_ISA_PICK(ctx, spread_rows), AO_ISA_PICK(ctx, load_row),
                     AO_ISA_PICK(ctx, decode_turned), terms_in_pairs(ctx, terms, count)};
  const auto tile = AO_ISA_PICK(ctx, float_tile);
  const auto finish = AO_ISA_PICK(ctx, store_rows);
  const Grid grid(ceil_div(m, height), panels_of(store.n), height, threads);
  const int64_t per_unit = p.pairs ? 2 : 1;
  int64_t step = 16; // values of k, at most
  for (int i = 0; i < count; i++) {
    const int64_t k = terms[i].k, steps = std::max<int64_t>(1, ceil_div(k, kStepUnits * per_unit));
    step = std::max(step, round_up_to(ceil_div(k, steps), 16));
  }
  const int64_t units = ceil_div(step, per_unit), tile_units = units * height, panel_units = units * kPanelRows;
  const int64_t block_rows = grid.most_tiles() * height, stride = block_rows * kPanelRows;
  const int64_t decoded = round_up_to(grid.most_panels() * kPanelRows, 8) * kPanelRows;
  const int64_t each = grid.most_tiles() * tile_units + grid.most_panels() * (panel_units + stride) + decoded;
  uint32_t* memory = scratch<uint32_t>(ctx, each * threads);
  if (!memory) return 1;
  parallel_for(ctx, grid.row_blocks * grid.panel_blocks, 1, [&](int64_t begin, int64_t end, int thread) {
    float* acc = (float*)(memory + thread * each);
    uint32_t* panels_room = (uint32_t*)acc + grid.most_panels() * stride;
    uint32_t* tiles_room = panels_room + grid.most_panels() * panel_units;
    float* decoding = (float*)(tiles_room + grid.most_tiles() * tile_units);
    for (int64_t task = begin; task < end; task++) {
      const int64_t rb = task % grid.row_blocks, pb = task / grid.row_blocks;
      const int64_t row = grid.tile(rb) * height, rows = std::min(m, grid.tile(rb + 1) * height) - row;
      const int64_t panel = grid.panel(pb), panels = grid.panel(pb + 1) - panel;
      const int64_t column = panel * kPanelRows, columns = std::min(store.n, (panel + panels) * kPanelRows) - column;
      bool first = true;
      for (int i = 0; i < count; i++) {
        const Term& t = terms[i];
        int64_t k0 = 0;
        do { // once for k = 0 too: it clears the sums
          const int64_t here = std::min(step, t.k - k0), now = ceil_div(here, per_unit);
          pack_side(p, t.a, row, rows, k0, here, height, tiles_room, tile_units);
          if (t.weight)
            p.decode(t.weight, p.pairs, k0, here, column, columns, decoding, panels_room, panel_units);
          else
            pack_side(p, t.b, column, columns, k0, here, kPanelRows, panels_room, panel_units);
          const Tiles x = {tiles_room, units, height};
          for (int64_t j = 0; j < panels; j += 2) {
            const void* operands[2] = {panels_room + j * panel_units, panels_room + (j + 1) * panel_units};
            tile(operands, std::min<int64_t>(2, panels - j), p.pairs, 0, now, x, 0, rows, acc + j * stride, stride,
                 first);
          }
          first = false;
          k0 += step;
        } while (k0 < t.k);
      }
      for (int64_t r = 0; r < rows; r += height) // along rows, so that few pages are open at once
        for (int64_t j = 0; j < panels; j++)
          finish(acc + j * stride + r * kPanelRows, row + r, std::min(height, rows - r), panel + j, store);
    }
  });
  return 0;
}

} // namespace ao
