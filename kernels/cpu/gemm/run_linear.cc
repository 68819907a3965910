#include "gemm/skeleton.h"

namespace ao {
namespace {

// The panels of all targets in one row, taken `step` at a time; the last step of a target may be shorter.
struct Panels {
  const Target* targets;
  int count;
  int64_t step, steps;
  Panels(const Target* t, int n, int64_t s) : targets(t), count(n), step(s), steps(0) {
    for (int i = 0; i < n; i++) steps += steps_of(t[i]);
  }
  int64_t steps_of(const Target& t) const { return (panels_of(t.w->n) + step - 1) / step; }
  const Target& at(int64_t index, int64_t* panel, int64_t* panels) const {
    int i = 0;
    for (; index >= steps_of(targets[i]); i++) index -= steps_of(targets[i]);
    *panel = index * step;
    *panels = std::min(step, panels_of(targets[i].w->n) - *panel);
    return targets[i];
  }
};

// Chunks of panels: one for each thread where that is at most 4 MiB of weight, as a chunk begins with what nothing has fetched ahead;
// four for each otherwise, so that a thread without a processor holds nobody up; never less than 16 KiB.
template <class Fn>
void each_step(ao_ctx* ctx, const Panels& panels, const Fn& fn) {
  const int64_t bytes = panels.targets[0].w->panel_bytes * panels.step, threads = ao_ctx_threads(ctx);
  const int64_t share = (panels.steps + threads - 1) / threads, least = (1 << 14) / bytes;
  parallel_for(ctx, panels.steps,
               share * bytes <= 1 << 22 ? std::max(share, least) : even_chunk(ctx, panels.steps, 4, least),
               [&](int64_t begin, int64_t end, int) {
                 for (int64_t i = begin; i < end; i++) {
                   int64_t panel, count;
                   const Target& target = panels.at(i, &panel, &count);
                   fn(target, panel, count);
                 }
               });
}

int run_float(ao_ctx* ctx, const Target* targets, int count, bool pairs, const void* x, int32_t dtype, int64_t stride,
              int64_t m) {
  if (count == 0) return 0;
  bool table = false; // whose kernel takes several panels at once
  for (int i = 0; i < count; i++) table |= targets[i].w->code == AO_TABLE;
  const Panels panels(targets, count, table && m == 1 ? kTablePanelsPerStep : 1);
  const int64_t k = columns_of(targets[0].w);
  Tiles tiles;
  if (!float_tiles(ctx, dtype, pairs, x, m, k, stride, rows_per_tile(ctx, m), &tiles)) return 1;
  if (m <= kFewRows) {
    const auto kernel = AO_ISA_PICK(ctx, float_rows);
    each_step(ctx, panels,
              [&](const Target& t, int64_t panel, int64_t n) { kernel(t.w, panel, n, tiles, pairs, m, t.store); });
    return 0;
  }
  const auto decode = AO_ISA_PICK(ctx, decode_panel), spread = AO_ISA_PICK(ctx, spread_pairs);
  const auto store = AO_ISA_PICK(ctx, store_rows);
  return !gemm_float(
      ctx, 1, m, tiles.count, panels.steps, pairs,
      [&](int64_t, int64_t step, int64_t u0, int64_t u1, float* room) -> const void* {
        int64_t panel, one;
        const Packed* w = panels.at(step, &panel, &one).w;
        if (!w->sparse && (pairs || w->code == AO_F32)) return panel_at(w, panel) + u0 * 64;
        (pairs ? spread : decode)(w, panel, u0, u1, room);
        return room;
      },
      [&](int64_t) { return tiles; },
      [&](int64_t, const float* acc, int64_t row, int64_t rows, int64_t step) {
        int64_t panel, one;
        const Target& t = panels.at(step, &panel, &one);
        store(acc, row, rows, panel, t.store);
      });
}

// A weight's result does not depend on its companions: those that meet x in pairs go together, the others apart.
int run_exact(ao_ctx* ctx, const Target* targets, int count, const void* x, int32_t dtype, int64_t stride, int64_t m) {
  Target some[4];
  for (bool pairs : {true, false}) {
    int n = 0;
    for (int i = 0; i < count; i++)
      if (meet_in_pairs(ctx, dtype, targets[i].w->code) == pairs) some[n++] = targets[i];
    if (run_float(ctx, some, n, pairs, x, dtype, stride, m)) return 1;
  }
  return 0;
}

constexpr int64_t kBlockColumns = 2048;

// Columns of k per block, whole segments.
int64_t block_columns(const IntRows& x) {
  const int64_t step = x.segments == 1 ? 32 : std::max<int64_t>(x.segment, 8);
  return std::max<int64_t>(step, kBlockColumns / step * step);
}

int run_integer(ao_ctx* ctx, const Target* targets, int count, const void* x, int32_t dtype, int64_t stride, int64_t m,
                const ActForm& act) {
  const Panels panels(targets, count, kPanelsPerTask);
  const Packed* first = targets[0].w;
  IntRows rows;
  if (!int_tiles(ctx, first, x, dtype, stride, m, act, &rows)) return 1;
  if (m <= kFewRows) {
    const auto kernel = AO_ISA_PICK(ctx, int_rows);
    each_step(ctx, panels, [&](const Target& t, int64_t panel, int64_t n) { kernel(t.w, panel, n, rows, m, t.store); });
    return 0;
  }
  const auto widen = AO_ISA_PICK(ctx, widen_panel);
  const auto tile = AO_ISA_PICK(ctx, int_tile);
  const auto finish = AO_ISA_PICK(ctx, int_finish);
  const int64_t columns = block_columns(rows), k = columns_of(first);
  const int64_t wide = round_up_to(AO_ISA_PICK(ctx, wide_bytes)(first, std::min(columns, k)), 64);
  const int64_t block = block_rows(m, rows.tiles.count * 4, 1 << 20, 48, 240), blocks = (m + block - 1) / block,
                tasks = blocks * panels.steps;
  const int64_t state_floats = kPanelsPerTask * block * kPanelRows;
  const int64_t each = 2 * state_floats * 4 + kPanelsPerTask * wide;
  char* memory = scratch<char>(ctx, each * ao_ctx_threads(ctx));
  if (!memory) return 1;
  parallel_for(ctx, tasks, even_chunk(ctx, tasks, 8, (1 << 17) / std::max<int64_t>(1, block * k)),
               [&](int64_t begin, int64_t end, int thread) {
                 float* sums = (float*)(memory + thread * each);
                 const IntState state = {sums, sums + state_floats, block * kPanelRows};
                 uint8_t* operands = (uint8_t*)(sums + 2 * state_floats);
                 const uint8_t* operand[kPanelsPerTask];
                 for (int64_t i = 0; i < kPanelsPerTask; i++) operand[i] = operands + i * wide;
                 for (int64_t t = begin; t < end; t++) {
                   int64_t panel, n;
                   const Target& target = panels.at(t % panels.steps, &panel, &n);
                   const Packed* w = target.w;
                   const int64_t row = t / panels.steps * block, here = std::min(block, m - row);
                   for (int64_t k0 = 0; k0 < k; k0 += columns) {
                     const int64_t k1 = std::min(k, k0 + columns);
                     if (wide)
                       for (int64_t p = 0; p < n; p++) widen(w, panel + p, k0, k1, operands + p * wide);
                     tile(w, panel, n, wide ? operand : nullptr, k0, k1, rows, row, here, state, k0 == 0);
                   }
                   finish(w, panel, n, rows, row, here, state, target.store);
                 }
               });
  return 0;
}

} // namespace

int run_linear(ao_ctx* ctx, const Target* targets, int count, const void* x, int32_t x_dtype, int64_t x_stride,
               int64_t m, const ActForm& act) {
  if (m == 0) return 0;
  const bool exact = targets[0].w->activation == AO_ACT_EXACT || (m == 1 && act.flags & AO_ACT_EXACT_ROW);
  return exact ? run_exact(ctx, targets, count, x, x_dtype, x_stride, m)
               : run_integer(ctx, targets, count, x, x_dtype, x_stride, m, act);
}

} // namespace ao
