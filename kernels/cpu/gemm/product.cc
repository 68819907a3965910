#include "gemm/product.h"

#include <string.h>

#include <algorithm>

#include "base/ctx.h"
#include "base/dtype.h"

namespace ao {
namespace {

constexpr int64_t kStepUnits = 256;  // of k at a time: two panels of a step fill the first cache
constexpr int64_t kBlockRows = 1008; // of a task, and
constexpr int64_t kBlockPanels = 18; // whose panels of a step stay in the second cache
constexpr int64_t kChunkRows = 96;   // meet all panels before the next, so that finished sums are still near
constexpr int64_t kMakeCycles = 6;   // of a unit of a tile or panel, about

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Whether all terms multiply bfloat16 by bfloat16 on an ISA that does so in pairs.
bool terms_in_pairs(ao_ctx* ctx, const Term* terms, int count) {
  if (!AO_ISA_PICK(ctx, multiplies_pairs)()) return false;
  for (int i = 0; i < count; i++)
    if (terms[i].a.dtype != AO_BF16 || (terms[i].weight ? terms[i].weight->code : terms[i].b.dtype) != AO_BF16)
      return false;
  return true;
}

// How many blocks of rows and of panels: no larger than the caches allow, and so that the last thread ends early by an estimate in
// cycles for each unit of k.
struct Grid {
  int64_t tiles, panels, row_blocks, panel_blocks;
  // tile_cycles, panel_cycles: of making a tile of a, a panel of b
  Grid(int64_t tiles_, int64_t panels_, int64_t height, int64_t threads, int64_t tile_cycles, int64_t panel_cycles)
      : tiles(tiles_), panels(panels_) {
    const int64_t least_rows = ceil_div(tiles, std::max<int64_t>(1, kBlockRows / height));
    const int64_t least_panels = ceil_div(panels, kBlockPanels);
    int64_t least = INT64_MAX;
    for (int64_t p = least_panels; p <= std::min(panels, least_panels + 8); p++)
      for (int64_t r = least_rows; r <= std::min(tiles, least_rows + 2 * threads); r++) {
        const int64_t t = ceil_div(tiles, r), n = ceil_div(panels, p);
        const int64_t cycles = ceil_div(r * p, threads) * (t * n * height + t * tile_cycles + n * panel_cycles);
        if (cycles < least) least = cycles, row_blocks = r, panel_blocks = p;
      }
  }
  int64_t tile(int64_t block) const { return block * tiles / row_blocks; }
  int64_t panel(int64_t block) const { return block * panels / panel_blocks; }
  int64_t most_tiles() const { return ceil_div(tiles, row_blocks); }
  int64_t most_panels() const { return ceil_div(panels, panel_blocks); }
};

// One product: its operands, the kernels of the instruction set and how it is cut.
struct Plan {
  const Term* terms;
  int count;
  int64_t m;
  const Store& store;
  bool pairs;
  int64_t height, per_unit, step; // of a tile; values of k in a unit, and in a step at most
  decltype(&AO_ISA_BASE::interleave_rows) interleave;
  decltype(&AO_ISA_BASE::spread_rows) spread;
  decltype(&AO_ISA_BASE::load_row) load;
  decltype(&AO_ISA_BASE::decode_turned) decode;
  decltype(&AO_ISA_BASE::float_tile) tile;
  decltype(&AO_ISA_BASE::store_rows) finish;

  Plan(ao_ctx* ctx, const Term* t, int n, int64_t rows, const Store& to)
      : terms(t), count(n), m(rows), store(to), pairs(terms_in_pairs(ctx, t, n)),
        height(AO_ISA_PICK(ctx, tile_height)()), per_unit(pairs ? 2 : 1), step(16),
        interleave(AO_ISA_PICK(ctx, interleave_rows)), spread(AO_ISA_PICK(ctx, spread_rows)),
        load(AO_ISA_PICK(ctx, load_row)), decode(AO_ISA_PICK(ctx, decode_turned)), tile(AO_ISA_PICK(ctx, float_tile)),
        finish(AO_ISA_PICK(ctx, store_rows)) {
    for (int i = 0; i < n; i++) { // even steps
      const int64_t k = t[i].k, steps = std::max<int64_t>(1, ceil_div(k, kStepUnits * per_unit));
      step = std::max(step, round_up_to(ceil_div(k, steps), 16));
    }
  }

  // Whether the units of a's rows lie in memory as the kernels read them.
  bool in_place(const Side& s, int64_t k) const {
    if (s.turned) return false;
    if (!pairs) return s.dtype == AO_F32;
    return k % 2 == 0 && s.stride % 2 == 0 && (uintptr_t)s.data % 4 == 0;
  }

  // `rows` runs of `k` values as units [unit][width], zeros beyond the last run.
  void pack_runs(const Side& s, int64_t first, int64_t rows, int64_t k0, int64_t k, int64_t width,
                 uint32_t* out) const {
    const int64_t size = ao_dtype_size(s.dtype), units = ceil_div(k, per_unit);
    const uint32_t* from[kPanelRows];
    alignas(64) uint32_t room[kPanelRows][kStepUnits];
    if (rows < width) memset(out, 0, units * width * 4);
    for (int64_t r = 0; r < rows; r++) {
      const char* at = (const char*)s.data + ((first + r) * s.stride + k0) * size;
      from[r] = (const uint32_t*)at;
      if (pairs ? k % 2 == 0 && (uintptr_t)at % 4 == 0 : s.dtype == AO_F32) continue;
      from[r] = room[r];
      if (pairs) {
        room[r][units - 1] = 0;
        memcpy(room[r], at, k * size);
      } else {
        load(s.dtype, at, k, (float*)room[r]);
      }
    }
    interleave(from, rows, units, width, out);
  }

  // Rows or columns [first, first + n) of a side in groups of `width`, of k values from k0 on; groups are `apart` units from each other.
  void pack(const Side& s, int64_t first, int64_t n, int64_t k0, int64_t k, int64_t width, uint32_t* out,
            int64_t apart) const {
    if (s.turned)
      return spread(s.dtype, pairs, (const char*)s.data + (k0 * s.stride + first) * ao_dtype_size(s.dtype), s.stride, k,
                    n, width, out, apart);
    for (int64_t i = 0; i < n; i += width, out += apart)
      pack_runs(s, first + i, std::min(width, n - i), k0, k, width, out);
  }
};

// A task and the room of the thread that runs it: sums [panel][row][16], panels and tiles of one step.
struct Task {
  const Plan& plan;
  int64_t row, rows, panel, panels;
  int64_t stride, panel_units, tile_units; // between panels of sums, panels and tiles
  float *sums, *decoded;
  uint32_t *panel_room, *tile_room;

  // k values from k0 on of term t; `first` starts the sums, `last` stores them.
  void add(const Term& t, int64_t k0, int64_t k, bool first, bool last) const {
    const int64_t column = panel * kPanelRows, columns = std::min(plan.store.n, (panel + panels) * kPanelRows) - column;
    if (t.weight)
      plan.decode(t.weight, plan.pairs, k0, k, column, columns, decoded, panel_room, panel_units);
    else
      plan.pack(t.b, column, columns, k0, k, kPanelRows, panel_room, panel_units);
    const int64_t whole = plan.in_place(t.a, k) ? rows / plan.height * plan.height : 0; // rows read where they lie
    plan.pack(t.a, row + whole, rows - whole, k0, k, plan.height, tile_room, tile_units);
    const Tiles made = {tile_room, tile_units / plan.height, plan.height};
    const char* at = (const char*)t.a.data + (row * t.a.stride + k0) * ao_dtype_size(t.a.dtype);
    const Tiles lying = {(const uint32_t*)at, t.a.stride / plan.per_unit, 1};
    const int64_t units = ceil_div(k, plan.per_unit);
    for (int64_t r = 0; r < rows; r += kChunkRows) {
      const int64_t chunk = std::min(kChunkRows, rows - r), there = std::clamp<int64_t>(whole - r, 0, chunk);
      float* here = sums + (first && last ? 0 : r * kPanelRows);
      for (int64_t p = 0; p < panels; p += 2) {
        const void* operands[] = {panel_room + p * panel_units, panel_room + (p + 1) * panel_units};
        const int64_t two = std::min<int64_t>(2, panels - p);
        float* to = here + p * stride;
        if (there) plan.tile(operands, two, plan.pairs, 0, units, lying, r, there, to, stride, first);
        plan.tile(operands, two, plan.pairs, 0, units, made, r + there - whole, chunk - there, to + there * kPanelRows,
                  stride, first);
      }
      for (int64_t q = 0; last && q < chunk; q += plan.height) // along rows, so that few pages are open at once
        for (int64_t p = 0; p < panels; p++)
          plan.finish(here + p * stride + q * kPanelRows, row + r + q, std::min(plan.height, chunk - q), panel + p,
                      plan.store);
    }
  }

  void run() const {
    for (int i = 0; i < plan.count; i++) {
      const Term& t = plan.terms[i];
      int64_t k0 = 0;
      do { // once for k = 0 too: it clears the sums
        const int64_t k = std::min(plan.step, t.k - k0);
        add(t, k0, k, i == 0 && k0 == 0, i == plan.count - 1 && k0 + k == t.k);
        k0 += k;
      } while (k0 < t.k);
    }
  }
};

} // namespace

int run_product(ao_ctx* ctx, const Term* terms, int count, int64_t m, const Store& store) {
  if (m == 0 || store.n == 0) return 0;
  const Plan plan(ctx, terms, count, m, store);
  const Grid grid(ceil_div(m, plan.height), panels_of(store.n), plan.height, ao_ctx_threads(ctx),
                  plan.in_place(terms[0].a, 0) ? 0 : kMakeCycles, terms[0].weight ? 2 * kMakeCycles : kMakeCycles);
  const int64_t units = ceil_div(plan.step, plan.per_unit), tiles = grid.most_tiles(), panels = grid.most_panels();
  const int64_t tile_units = units * plan.height, panel_units = units * kPanelRows;
  const int64_t stride = tiles * plan.height * kPanelRows;
  const int64_t each = panels * (stride + panel_units + kPanelRows * kPanelRows) + tiles * tile_units;
  uint32_t* memory = scratch<uint32_t>(ctx, each * ao_ctx_threads(ctx));
  if (!memory) return 1;
  parallel_for(ctx, grid.row_blocks * grid.panel_blocks, 1, [&](int64_t begin, int64_t end, int thread) {
    float* sums = (float*)(memory + thread * each);
    float* decoded = sums + panels * stride;
    uint32_t* panel_room = (uint32_t*)(decoded + panels * kPanelRows * kPanelRows);
    for (int64_t i = begin; i < end; i++) {
      const int64_t r = i % grid.row_blocks, p = i / grid.row_blocks;
      const int64_t row = grid.tile(r) * plan.height, panel = grid.panel(p);
      const Task task = {plan,
                         row,
                         std::min(m, grid.tile(r + 1) * plan.height) - row,
                         panel,
                         grid.panel(p + 1) - panel,
                         stride,
                         panel_units,
                         tile_units,
                         sums,
                         decoded,
                         panel_room,
                         panel_room + panels * panel_units};
      task.run();
    }
  });
  return 0;
}

} // namespace ao
