// A few rows of x times weights as they are packed, each byte of a weight read once, by tensor cores: out^T [N, M] = w x^T, 16 rows of w
// and up to 8 columns (gemm/columns.h) at a time.
#include "gemm/gemv.h"

#include <utility>

#include "gemm/forms.h"

namespace ao {
namespace {

constexpr int kMostColumns = 8;
constexpr int kSharedBytes = 113 << 10; // of a block: a multiprocessor's 228 kB for two

// All weights of a layer, or for row blockIdx.y of out the expert that was chosen for it.
struct Work {
  Weight at[kMostExperts];
  Store stores[kMostTargets];
  const int32_t* index; // null where all are meant
  int64_t first, count, per_x;
};

template <int form, int join>
__global__ __launch_bounds__(kGemvWarps* kWarp, kGemvBlocks) void gemv_kernel(__grid_constant__ const Work work,
                                                                              int items, Rows x, int rows,
                                                                              __grid_constant__ const Shape shape,
                                                                              __grid_constant__ const GemvPlan plan) {
  if (!plan.settled) await_previous();
  const int64_t row = blockIdx.y, expert = work.index ? work.index[row] - work.first : -1;
  if (work.index && (expert < 0 || expert >= work.count)) return;
  const auto pick = [&](int64_t i) -> Item {
    if (work.index) return Item{&work.at[expert], &work.stores[0], i};
    int t = 0;
    while (i >= work.at[t].panels()) i -= work.at[t++].panels();
    return Item{&work.at[t], &work.stores[t], i};
  };
  gemv_block<form, join>(pick, items, x, work.index ? row / work.per_x : 0, row, rows, shape, plan);
}

// Whether groups end with beats and units, so that a mask says where, and are powers of two in a unit.
template <int form>
bool even(const Weight& w) {
  constexpr int columns = unit_of<form>() * kTileColumns;
  if (is_plain(form) || w.groups == 1) return true;
  const int64_t units = w.group / columns;
  return w.group % beat_of<form>() == 0 &&
         (columns % w.group == 0 || (w.group % columns == 0 && (units & (units - 1)) == 0));
}

template <int form>
int join_of(const Weight& w, const Rows& x) {
  if (w.values == kFloats || (w.groups == 1 && w.zero_domain == AO_ZERO_NONE)) return kWhole;
  return w.values == kSigned && x.dtype == AO_BF16 && w.scale_dtype == AO_BF16 &&
                 w.group % (unit_of<form>() * kTileColumns) == 0
             ? kScaled
             : kGroups;
}

// bytes is 0 where shared memory does not hold it.
template <int form>
GemvPlan plan_of(const ao_ctx* ctx, const Weight& w, const Shape& shape, const Rows& x, int rows, int64_t items,
                 int64_t down, int join, bool packed) {
  constexpr int unit = unit_of<form>(), beats = unit * kTileColumns / beat_of<form>();
  constexpr int pieces = unit * calls_of<form>() * 4;
  GemvPlan p{};
  const int64_t units = ceil_div(w.tiles(), unit), beats_a_group = w.groups == 1 ? beats : w.group / beat_of<form>();
  p.group_pieces = static_cast<int>(beats_a_group < beats ? pieces * beats_a_group / beats : pieces);
  for (; 1 << p.group_log2 < p.group_pieces;) p.group_log2++;
  p.ends = 1u << (beats - 1);
  for (int64_t b = beats_a_group; b <= beats; b += beats_a_group) p.ends |= 1u << (b - 1);
  p.parts = x_parts(x.dtype, form == kPlainF16), p.columns = p.parts * rows, p.pairs = (p.columns + 1) / 2;
  p.wide = p.columns == 1 ? 1 : 2;
  p.x_units = static_cast<int>(units);
  p.column_bytes = pieces * 16 + (p.columns > 1 ? kRowPad : 0);
  p.aligned = x_aligned(x), p.quick = p.aligned && p.parts == 1 && w.columns() % (64 * x_tiles_of(form)) == 0;
  if constexpr (!is_plain(form)) p.numbers = numbers_of(w);
  // the first product after packing waits for it; those behind start with it at the earliest
  p.settled = packed && !ctx->packing;
  p.sums_at = static_cast<int>(units) * p.columns * p.column_bytes;
  const int sums = join == kWhole ? 0 : p.x_units * (pieces / p.group_pieces) * p.pairs * 8;
  p.stages_at = static_cast<int>(ceil_div(p.sums_at + sums, 128) * 128);
  // the shares that end first: turns of a team by its stages, and what a turn costs
  double least = INFINITY;
  for (const int team : {kGemvWarps, kGemvWarps / 2}) {
    const int64_t turns = ceil_div(items * down, kGemvBlocks * ctx->multiprocessors * (kGemvWarps / team));
    const double time = static_cast<double>(turns) * (static_cast<double>(ceil_div(units, team)) + 0.5);
    if (time < least) least = time, p.team = team;
  }
  for (; 1 << p.team_log2 < p.team;) p.team_log2++;
  const int teams = kGemvWarps / p.team;
  p.stages = static_cast<int>(ceil_div(units, p.team));
  p.codes = is_plain(form) ? teams * kTileRows * (p.team * 128 + kRowPad) : kGemvWarps * unit * tile_bytes_of(form);
  const int64_t groups = w.groups == 1 ? 1 : p.team * unit * kTileColumns / w.group;
  p.groups = join == kWhole ? 0 : static_cast<int>(groups < 1 ? 1 : groups);
  p.stage = p.codes + teams * p.groups * kTileRows * (shape.scale_size + shape.zero_size);
  const int all = ctx->shared_bytes, half = kSharedBytes < all ? kSharedBytes : all;
  for (const auto& [room, least_depth] : {std::pair{half, 3}, std::pair{all, 2}})
    for (p.depth = kMostStages; p.depth >= least_depth; p.depth--) {
      p.partials_at = p.stages_at + p.depth * p.stage;
      p.selectors_at = p.partials_at + Handover::buffers * kGemvWarps * p.pairs * p.wide * kTileRows * 4;
      p.barriers_at = p.selectors_at + kSelectors * 4;
      p.bytes = p.barriers_at + 2 * (kMostStages + Handover::buffers) * 8;
      if (p.bytes <= room) return p;
    }
  p.bytes = 0;
  return p;
}

template <int form>
bool fits(const ao_ctx* ctx, const Weight& w, const Rows& x) {
  return even<form>(w) && plan_of<form>(ctx, w, shape_of(w, unit_of<form>()), x, static_cast<int>(x.m), w.panels(), 1,
                                        join_of<form>(w, x), false)
                                  .bytes > 0;
}

} // namespace

bool gemv_takes(const ao_ctx* ctx, const Weight& w, const Rows& x) {
  const int form = form_of(w, x.dtype);
  if (form == kNoForm) return false;
  const int64_t columns = x.m * x_parts(x.dtype, form == kPlainF16);
  return columns <= kMostColumns && columns * w.columns() * 2 <= 64 << 10 &&
         by_form(form, [&](auto tag) { return fits<decltype(tag)::value>(ctx, w, x) ? 1 : 0; });
}

namespace {
template <int form, int join>
int start(ao_ctx* ctx, const char* op, const Work& work, int64_t items, int64_t down, const Rows& x, int rows,
          bool packed) {
  const Weight& first = work.at[0];
  const Shape shape = shape_of(first, unit_of<form>());
  const GemvPlan plan = plan_of<form>(ctx, first, shape, x, rows, items, down, join, packed);
  if (packed) ctx->packing = false;
  const int64_t at_once = ctx->multiprocessors * (plan.bytes > kSharedBytes ? 1 : kGemvBlocks);
  const int64_t most = ceil_div(at_once, down), wanted = ceil_div(items, kGemvWarps / plan.team);
  return launch_early(ctx, op, gemv_kernel<form, join>,
                      dim3(static_cast<unsigned>(wanted < most ? wanted : most), static_cast<unsigned>(down)),
                      kGemvWarps * kWarp, static_cast<size_t>(plan.bytes), work, static_cast<int>(items), x, rows,
                      shape, plan);
}

int run(ao_ctx* ctx, const char* op, const Work& work, int64_t items, int64_t down, const Rows& x, int rows,
        bool packed) {
  return by_form(form_of(work.at[0], x.dtype), [&](auto tag) {
    constexpr int form = decltype(tag)::value;
    const int join = join_of<form>(work.at[0], x);
    if constexpr (!is_plain(form)) {
      if (join == kGroups) return start<form, kGroups>(ctx, op, work, items, down, x, rows, packed);
      if constexpr (!is_small(form))
        if (join == kScaled) return start<form, kScaled>(ctx, op, work, items, down, x, rows, packed);
    }
    return start<form, kWhole>(ctx, op, work, items, down, x, rows, packed);
  });
}
} // namespace

int gemv(ao_ctx* ctx, const char* op, const Targets& targets, int count, const Rows& x) {
  Work work{};
  int64_t items = 0;
  for (int i = 0; i < count; i++) {
    work.at[i] = targets.at[i].w, work.stores[i] = targets.at[i].store;
    items += targets.at[i].w.panels();
  }
  return run(ctx, op, work, items, 1, x, static_cast<int>(x.m), targets.packed);
}

int gemv_of_experts(ao_ctx* ctx, const char* op, const Experts& experts, const Rows& x, int64_t rows,
                    const Store& store) {
  Work work{};
  for (int64_t i = 0; i < experts.count; i++) work.at[i] = experts.at[i];
  work.stores[0] = store;
  work.index = experts.index, work.first = experts.first, work.count = experts.count, work.per_x = experts.per_x;
  return run(ctx, op, work, experts.at[0].panels(), rows, x, 1, false); // which ones is known late
}

} // namespace ao
