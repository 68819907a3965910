// fused_adam: one step of Adam or AdamW on a parameter of n elements, float32 math; the formulas are those of
// packages/core/src/ops/optim/fused-adam.ts. Blocks of the state are the unit of work, so that each byte of parameter,
// gradient and state is read once and written once, and any number of threads gives the same bits. 1 - beta^t is computed
// in double precision and rounded once.
#include "ops/fused_adam.h"

#include "ops/check.h"

namespace {

// Tables outlive the call: the maps of an optimizer are the same two at each step.
const ao::CodeTable* table_of(const void* map, int64_t size, ao_ctx* ctx) {
  thread_local ao::CodeTable known[4];
  thread_local int next = 0;
  const float* values = static_cast<const float*>(map);
  for (const ao::CodeTable& t : known)
    if (t.holds(values, static_cast<int>(size))) return &t;
  if (!ao::CodeTable::ascending(values, static_cast<int>(size))) {
    ao_fail(ctx, "fused_adam: the map of the codes does not ascend");
    return nullptr;
  }
  ao::CodeTable& made = known[next];
  next = (next + 1) % 4;
  made.build(values, static_cast<int>(size));
  return &made;
}

} // namespace

extern "C" int ao_cpu_fused_adam(const ao_fused_adam_args* a, ao_ctx* ctx) {
  int64_t form = 0;
  if (ao::need_float(ctx, "fused_adam", a->dtype) || ao::moment_form(a, ctx, &form)) return 1;
  if (a->rng && a->dtype != AO_BF16) return ao_fail(ctx, "fused_adam: only bfloat16 is rounded at random");
  float* step = static_cast<float*>(a->step);
  uint32_t* rng = static_cast<uint32_t*>(a->rng);
  const ao::CodeTable *signed_table = nullptr, *unsigned_table = nullptr;
  if (form == ao::MOMENT_MAP_256 || form == ao::MOMENT_MAP_16) {
    signed_table = table_of(a->signed_map, a->map_size, ctx);
    unsigned_table = table_of(a->unsigned_map, a->map_size, ctx);
    if (!signed_table || !unsigned_table) return 1;
  }
  const double t = static_cast<double>(*step + 1.0f), lr = *static_cast<const float*>(a->lr);
  ao::AdamStep s{};
  s.param = a->param, s.grad = a->grad;
  s.exp_avg = {a->exp_avg, static_cast<float*>(a->exp_avg_scale), signed_table};
  s.exp_avg_sq = {a->exp_avg_sq, static_cast<float*>(a->exp_avg_sq_scale), unsigned_table};
  s.max_exp_avg_sq = {a->max_exp_avg_sq, static_cast<float*>(a->max_exp_avg_sq_scale), unsigned_table};
  s.dtype = a->dtype, s.form = form, s.decoupled = a->decoupled != 0;
  s.decay = static_cast<float>(s.decoupled ? lr * a->weight_decay : a->weight_decay);
  s.weight1 = static_cast<float>(1 - a->beta1), s.weight2 = static_cast<float>(1 - a->beta2);
  s.step_size = static_cast<float>(lr / (1 - pow(a->beta1, t)));
  s.root = static_cast<float>(sqrt(1 - pow(a->beta2, t)));
  s.eps = static_cast<float>(a->eps);
  s.rng = rng;
  const int64_t block = form == ao::MOMENT_FLOATS ? 1024 : a->block_size, room = 3 * (block + 64);
  float* work = ao::scratch<float>(ctx, room * ao_ctx_threads(ctx));
  if (!work) return 1;
  const auto run = AO_ISA_PICK(ctx, fused_adam_block);
  const int64_t blocks = (a->n + block - 1) / block;
  ao::parallel_for(ctx, blocks, ao::rows_per_chunk(block), [&](int64_t begin, int64_t end, int thread) {
    for (int64_t b = begin; b < end; b++) {
      const int64_t at = b * block, n = a->n - at < block ? a->n - at : block;
      run(s, at, n, b, work + thread * room);
    }
  });
  *step += 1.0f;
  if (rng) rng[1]++;
  return 0;
}
