// sdpa_backward: the gradients of sdpa (ops/sdpa.cc, whose arguments these are) for g of out. With the scores s and probabilities p of
// row i and key j, recomputed, and c' the slope of the soft cap (1 without one):
//   dv[j] = sum_i p g[i]    ds = p (g[i] . v[j] - g[i] . out[i]) c' scale    dq[i] = sum_j ds k[j]    dk[j] = sum_i ds q[i]
// q, g, out, dq [batch, tokens, q_heads, ..], k, v, dk, dv [batch, kv_heads, keys, ..]; q, k, v strided as sdpa's, the others contiguous; all
// of one dtype, float32 sums. What a query does not see adds nothing; the mask has no gradient.
// The rows (token, head within the group) of a head of keys go in blocks; where there are few heads their blocks are dealt to parts with sums
// of their own, added in order: which depends on the shape alone, so any number of threads gives equal bits.
#include "ops/sdpa_backward.h"

#include <math.h>

#include "ops/backward.h"
#include "ops/check.h"
#include "ops/elementwise.h"

namespace {

using ao::kGradRows;
using ao::kPanelKeys;

constexpr int64_t kWantedTasks = 64, kLeastBlocks = 4; // of a part

struct Problem {
  const ao_sdpa_backward_args* a;
  int64_t group, blocks, parts, dim, v_dim, panels, keys; // padded
};

int64_t pad16(int64_t n) { return (n + 15) / 16 * 16; }

int64_t first_of(const ao_sdpa_backward_args* a, int64_t b) {
  return a->pos ? static_cast<const int32_t*>(a->pos)[b % a->pos_count] : a->past;
}

// Floats of a thread's room, and where things lie in it.
int64_t sums_size(const Problem& p) { return p.keys * (p.dim + p.v_dim); }
int64_t head_size(const Problem& p) { return p.keys * (2 * p.dim + p.v_dim); }
int64_t rows_size(const Problem& p) {
  const int64_t tile = kGradRows * kPanelKeys, capped = p.a->softcap > 0 ? 2 : 1;
  return kGradRows * (3 * p.dim + 2 * p.v_dim) + 64 + tile + capped * p.panels * tile;
}

ao::SdpaGradHead head_at(const Problem& p, float* room, float* sums) {
  float *kt = room + p.keys * p.dim, *vt = kt + p.keys * p.dim;
  return {p.dim, p.v_dim, p.panels, room, kt, vt, sums, sums + p.keys * p.dim};
}

ao::SdpaGradRows rows_at(const Problem& p, float* room) {
  ao::SdpaGradRows r = {};
  const auto take = [&](int64_t n) {
    float* at = room;
    room += n;
    return at;
  };
  r.q = take(kGradRows * p.dim), r.qt = take(kGradRows * p.dim), r.dq = take(kGradRows * p.dim);
  r.g = take(kGradRows * p.v_dim), r.gt = take(kGradRows * p.v_dim), r.delta = take(64);
  r.ds = take(kGradRows * kPanelKeys), r.p = take(p.panels * kGradRows * kPanelKeys);
  r.slope = p.a->softcap > 0 ? room : nullptr;
  r.scale = static_cast<float>(p.a->scale), r.softcap = static_cast<float>(p.a->softcap);
  r.mask_stride = p.a->mask_strides[3];
  return r;
}

// One block of rows: loads it, adds to the head's sums and stores dq.
void run_block(const Problem& p, int64_t b, int64_t head, int64_t block, const ao::SdpaGradHead& keys,
               ao::SdpaGradRows& r, ao_ctx* ctx) {
  const ao_sdpa_backward_args* a = p.a;
  const auto load = AO_ISA_PICK(ctx, load_run);
  const auto store = AO_ISA_PICK(ctx, store_run);
  const auto dot = AO_ISA_PICK(ctx, dot_row);
  const int64_t total = a->tokens * p.group, begin = block * kGradRows, first = first_of(a, b);
  const int64_t last = a->pos && first + a->tokens < a->keys ? first + a->tokens : a->keys;
  r.rows = static_cast<int>(total - begin < kGradRows ? total - begin : kGradRows);
  memset(r.q, 0, static_cast<size_t>(kGradRows * p.dim) * sizeof(float));
  memset(r.g, 0, static_cast<size_t>(kGradRows * p.v_dim) * sizeof(float));
  int64_t row[kGradRows]; // of g and out
  for (int i = 0; i < r.rows; i++) {
    const int64_t t = (begin + i) / p.group, h = head * p.group + (begin + i) % p.group, position = first + t;
    row[i] = (b * a->tokens + t) * a->q_heads + h;
    load(a->dtype, ao::element(a->q, a->dtype, b * a->q_strides[0] + t * a->q_strides[1] + h * a->q_strides[2]),
         r.q + i * p.dim, a->dim);
    const void *g = ao::element(a->g, a->dtype, row[i] * a->v_dim),
               *out = ao::element(a->out, a->dtype, row[i] * a->v_dim);
    load(a->dtype, g, r.g + i * p.v_dim, a->v_dim);
    r.delta[i] = dot(a->dtype, g, out, a->v_dim);
    r.high[i] = a->causal ? position + 1 : last;
    r.low[i] = a->window > 0 && position - a->window + 1 > 0 ? position - a->window + 1 : 0;
    r.mask[i] = a->mask ? static_cast<const float*>(a->mask) + b * a->mask_strides[0] + h * a->mask_strides[1] +
                              t * a->mask_strides[2]
                        : nullptr;
  }
  AO_ISA_PICK(ctx, sdpa_grad_rows)(keys, r);
  for (int i = 0; i < r.rows; i++)
    store(a->dtype, ao::element(a->dq, a->dtype, row[i] * a->dim), r.dq + i * p.dim, a->dim);
}

// dk and dv of a head from `count` sums, `stride` floats apart, for keys [from, to).
void store_sums(const Problem& p, int64_t item, float* sums, int64_t count, int64_t stride, int64_t from, int64_t to,
                ao_ctx* ctx) {
  const ao_sdpa_backward_args* a = p.a;
  const auto store = AO_ISA_PICK(ctx, store_run);
  const auto add = AO_ISA_PICK(ctx, add_row);
  float* v_sums = sums + p.keys * p.dim;
  for (int64_t c = 1; c < count; c++) {
    add(AO_F32, sums + from * p.dim, sums + c * stride + from * p.dim, (to - from) * p.dim);
    add(AO_F32, v_sums + from * p.v_dim, v_sums + c * stride + from * p.v_dim, (to - from) * p.v_dim);
  }
  for (int64_t j = from; j < to; j++) {
    const int64_t key = item * a->keys + j;
    store(a->dtype, ao::element(a->dk, a->dtype, key * a->dim), sums + j * p.dim, a->dim);
    store(a->dtype, ao::element(a->dv, a->dtype, key * a->v_dim), v_sums + j * p.v_dim, a->v_dim);
  }
}

int run(const Problem& p, ao_ctx* ctx) {
  const ao_sdpa_backward_args* a = p.a;
  const int64_t items = a->batch * a->kv_heads, each = head_size(p) + rows_size(p) + (p.parts == 1 ? sums_size(p) : 0);
  float* rooms = ao::scratch<float>(ctx, each * ao_ctx_threads(ctx));
  float* sums = p.parts > 1 ? ao::scratch<float>(ctx, items * p.parts * sums_size(p)) : nullptr;
  if (!rooms || (p.parts > 1 && !sums)) return 1;
  const auto pack = AO_ISA_PICK(ctx, sdpa_grad_pack);
  ao::parallel_for(ctx, items * p.parts, 1, [&](int64_t begin, int64_t end, int thread) {
    float* room = rooms + thread * each;
    for (int64_t task = begin; task < end; task++) {
      const int64_t item = task / p.parts, b = item / a->kv_heads, h = item % a->kv_heads;
      float* own = sums ? sums + task * sums_size(p) : room + head_size(p) + rows_size(p);
      const ao::SdpaGradHead head = head_at(p, room, own);
      pack(a->dtype, ao::element(a->k, a->dtype, b * a->k_strides[0] + h * a->k_strides[1]), a->k_strides[2],
           ao::element(a->v, a->dtype, b * a->v_strides[0] + h * a->v_strides[1]), a->v_strides[2], a->keys, a->dim,
           a->v_dim, head);
      memset(own, 0, static_cast<size_t>(sums_size(p)) * sizeof(float));
      ao::SdpaGradRows rows = rows_at(p, room + head_size(p));
      for (int64_t block = task % p.parts; block < p.blocks; block += p.parts)
        run_block(p, b, h, block, head, rows, ctx);
      if (!sums) store_sums(p, item, own, 1, 0, 0, a->keys, ctx);
    }
  });
  if (sums)
    ao::parallel_for(ctx, items * p.panels, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t n = begin; n < end; n++) {
        const int64_t item = n / p.panels, from = n % p.panels * kPanelKeys;
        store_sums(p, item, sums + item * p.parts * sums_size(p), p.parts, sums_size(p), from,
                   from + kPanelKeys < a->keys ? from + kPanelKeys : a->keys, ctx);
      }
    });
  return 0;
}

} // namespace

extern "C" int ao_cpu_sdpa_backward(const ao_sdpa_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "sdpa_backward", a->dtype)) return 1;
  if (a->kv_heads < 1 || a->q_heads % a->kv_heads || a->dim < 1 || a->v_dim < 1)
    return ao_fail(ctx, "sdpa_backward: %lld query heads of %lld for %lld key heads; query heads are a multiple",
                   static_cast<long long>(a->q_heads), static_cast<long long>(a->dim),
                   static_cast<long long>(a->kv_heads));
  for (int64_t b = 0; b < a->batch; b++) {
    const int64_t first = first_of(a, b);
    if (first < 0 || (a->causal && first + a->tokens > a->keys))
      return ao_fail(ctx, "sdpa_backward: %lld queries at position %lld do not fit %lld keys",
                     static_cast<long long>(a->tokens), static_cast<long long>(first), static_cast<long long>(a->keys));
  }
  const int64_t group = a->q_heads / a->kv_heads, items = a->batch * a->kv_heads;
  if (items == 0) return 0;
  const int64_t panels = (a->keys + kPanelKeys - 1) / kPanelKeys,
                blocks = (a->tokens * group + kGradRows - 1) / kGradRows;
  int64_t parts = (kWantedTasks + items - 1) / items;
  parts = parts > blocks / kLeastBlocks ? blocks / kLeastBlocks : parts;
  const Problem p{a, group, blocks, parts < 1 ? 1 : parts, pad16(a->dim), pad16(a->v_dim), panels, panels * kPanelKeys};
  return run(p, ctx);
}
