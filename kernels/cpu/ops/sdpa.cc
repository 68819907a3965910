// sdpa: out[b, t, h] = sum_j softmax_j(c(scale q[b, t, h] . k[b, h / g, j]) + mask[b, h, t, j]) v[b, h / g, j], g =
// q_heads / kv_heads; c(s) = softcap tanh(s / softcap) where softcap > 0, else s.
//   q [batch, tokens, q_heads, dim], strides (batch, token, head); k [batch, kv_heads, keys, dim] and v [.., v_dim],
//   strides (batch, head, position); last dims contiguous; out [batch, tokens, q_heads, v_dim] contiguous; dtype
//   (q and out) and kv_dtype (k and v) float32, float16 or bfloat16. Where k_bits or v_bits is 8 or 4, keys or values are code
//   rows (ops/code_rows.h) with strides in bytes. p = pos[b % pos_count] (int32, one or one per b) where pos is given, else `past`:
//   the position of query 0. Keys j
//   that query t sees:
//     causal      j <= p + t                                    (p + tokens > keys is an error)
//     not causal  j < p + tokens where pos is given, else all `keys`
//     window > 0  besides, j > p + t - window
//   mask: float32 or absent, strides (batch, head, token, key), zero to broadcast. A query that sees nothing gives 0.
// Keys are taken in splits of 256 counted from position 0, each split on its own, partial results merged in order; so
// one query alone, a batch of them, and any number of threads agree bit for bit.
#include "ops/sdpa.h"

#include <math.h>

#include "ops/check.h"
#include "ops/elementwise.h"

namespace {

using ao::CodeRows;
using ao::kBlock;
using ao::kRows;
using ao::kSplit;

struct Problem {
  const ao_sdpa_args* a;
  int64_t group, blocks, dim_padded, v_padded;
};

// The position of query 0 of sequence b, and how many keys its queries may see at most.
CodeRows k_rows(const ao_sdpa_args* a) { return {static_cast<int>(a->k_bits), a->k_asymmetric != 0}; }
CodeRows v_rows(const ao_sdpa_args* a) { return {static_cast<int>(a->v_bits), a->v_asymmetric != 0}; }
int kind_of(const ao_sdpa_args* a, int64_t bits) {
  return bits == 8 ? ao::kCodes8 : bits == 4 ? ao::kCodes4 : static_cast<int>(a->kv_dtype);
}

int64_t first_of(const ao_sdpa_args* a, int64_t b) {
  return a->pos ? static_cast<const int32_t*>(a->pos)[b % a->pos_count] : a->past;
}
int64_t end_of(const ao_sdpa_args* a, int64_t b) {
  const int64_t end = first_of(a, b) + a->tokens;
  return (a->causal || a->pos) && end < a->keys ? end : a->keys;
}

const void* keys_at(const Problem& p, int64_t item, int64_t split) {
  const ao_sdpa_args* a = p.a;
  const int64_t head = item / p.blocks % a->kv_heads, b = item / p.blocks / a->kv_heads;
  const int64_t at = b * a->k_strides[0] + head * a->k_strides[1] + split * kSplit * a->k_strides[2];
  return static_cast<const char*>(a->k) + at * ao::stored_size(kind_of(a, a->k_bits));
}

// Query rows of a head block are (token, head within the group), token first.
void set_rows(const Problem& p, int64_t item, ao::SdpaRows* r, float* q, void** out, ao_ctx* ctx) {
  const ao_sdpa_args* a = p.a;
  const int64_t block = p.blocks - 1 - item % p.blocks; // the longest first
  const int64_t head = item / p.blocks % a->kv_heads, b = item / p.blocks / a->kv_heads;
  const int64_t total = a->tokens * p.group, begin = block * kRows, first = first_of(a, b), end = end_of(a, b);
  const auto load = AO_ISA_PICK(ctx, load_run);
  r->q = q;
  r->rows = static_cast<int>(total - begin < kRows ? total - begin : kRows);
  r->dim = a->dim, r->v_dim = a->v_dim, r->dim_padded = p.dim_padded, r->v_padded = p.v_padded;
  r->k = keys_at(p, item, 0);
  r->k_kind = kind_of(a, a->k_bits), r->v_kind = kind_of(a, a->v_bits);
  r->k_rows = k_rows(a), r->v_rows = v_rows(a);
  r->v = static_cast<const char*>(a->v) + (b * a->v_strides[0] + head * a->v_strides[1]) * ao::stored_size(r->v_kind);
  r->k_stride = a->k_strides[2], r->v_stride = a->v_strides[2];
  r->scale = static_cast<float>(a->scale), r->softcap = static_cast<float>(a->softcap);
  r->mask_stride = a->mask_strides[3];
  for (int i = 0; i < r->rows; i++) {
    const int64_t t = (begin + i) / p.group, h = head * p.group + (begin + i) % p.group, position = first + t;
    float* row = q + i * p.dim_padded;
    load(a->dtype, ao::element(a->q, a->dtype, b * a->q_strides[0] + t * a->q_strides[1] + h * a->q_strides[2]), row,
         a->dim);
    for (int64_t d = a->dim; d < p.dim_padded; d++) row[d] = 0;
    r->high[i] = a->causal ? position + 1 : end;
    r->low[i] = a->window > 0 && position - a->window + 1 > 0 ? position - a->window + 1 : 0;
    if (r->low[i] > r->high[i]) r->low[i] = r->high[i];
    r->mask[i] = a->mask ? static_cast<const float*>(a->mask) + b * a->mask_strides[0] + h * a->mask_strides[1] +
                               t * a->mask_strides[2]
                         : nullptr;
    out[i] = ao::element(a->out, a->dtype, ((b * a->tokens + t) * a->q_heads + h) * a->v_dim);
  }
}

// out and, where it is wanted, lse [batch, q_heads, tokens] of the rows of a block.
void finish_rows(const Problem& p, int64_t item, const ao::SdpaRows& r, const ao::SdpaPartial& total, void* const* out,
                 ao_ctx* ctx) {
  const ao_sdpa_args* a = p.a;
  AO_ISA_PICK(ctx, sdpa_finish)(r, total, a->dtype, out);
  if (!a->lse) return;
  const int64_t begin = (p.blocks - 1 - item % p.blocks) * kRows, head = item / p.blocks; // of all sequences
  for (int i = 0; i < r.rows; i++) {
    const int64_t t = (begin + i) / p.group, h = head * p.group + (begin + i) % p.group;
    static_cast<float*>(a->lse)[h * a->tokens + t] =
        total.m[i] == -INFINITY ? -INFINITY : total.m[i] + logf(total.l[i]);
  }
}

int64_t first_split(const ao::SdpaRows& r) {
  int64_t low = r.low[0];
  for (int i = 1; i < r.rows; i++) low = r.low[i] < low ? r.low[i] : low;
  return low / kSplit;
}

int64_t end_split(const ao::SdpaRows& r) {
  int64_t high = 0;
  for (int i = 0; i < r.rows; i++) high = r.high[i] > high ? r.high[i] : high;
  return (high + kSplit - 1) / kSplit;
}

// Where the parts of one partial result, or of a thread's work space, lie in a block of floats.
int64_t partial_size(const Problem& p) { return kRows * (2 + p.v_padded); }
ao::SdpaPartial partial_at(float* base) { return {base, base + kRows, base + 2 * kRows}; }
int64_t work_size(const Problem& p) {
  return (kBlock + kRows) * p.dim_padded + kBlock * p.v_padded + (kRows + 2) * kSplit;
}
ao::SdpaWork work_at(const Problem& p, float* base) {
  float* k = base + kRows * p.dim_padded; // the query rows come first
  float* scores = k + kBlock * (p.dim_padded + p.v_padded);
  return {k, k + kBlock * p.dim_padded, scores, scores + kRows * kSplit};
}

// Many query blocks: each goes through its splits.
int run_blocks(const Problem& p, int64_t items, ao_ctx* ctx) {
  const int64_t size = work_size(p) + 2 * partial_size(p);
  float* room = ao::scratch<float>(ctx, size * ao_ctx_threads(ctx));
  if (!room) return 1;
  const auto split = AO_ISA_PICK(ctx, sdpa_split);
  const auto merge = AO_ISA_PICK(ctx, sdpa_merge);
  ao::parallel_for(ctx, items, 1, [&](int64_t begin, int64_t end, int thread) {
    float* base = room + thread * size;
    const ao::SdpaPartial total = partial_at(base + work_size(p)),
                          next = partial_at(base + work_size(p) + partial_size(p));
    for (int64_t item = begin; item < end; item++) {
      ao::SdpaRows r;
      void* out[kRows];
      set_rows(p, item, &r, base, out, ctx);
      for (int i = 0; i < r.rows; i++) total.m[i] = -INFINITY;
      for (int64_t s = first_split(r); s < end_split(r); s++) {
        split(r, s, s + 1 < end_split(r) ? keys_at(p, item, s + 1) : nullptr, work_at(p, base), next);
        merge(r, total, next);
      }
      finish_rows(p, item, r, total, out, ctx);
    }
  });
  return 0;
}

// Few query blocks (decoding): their splits run in parallel, then merge in order.
int run_splits(const Problem& p, int64_t items, int64_t splits, ao_ctx* ctx) {
  float* rooms = ao::scratch<float>(ctx, work_size(p) * ao_ctx_threads(ctx));
  float* partials = ao::scratch<float>(ctx, items * splits * partial_size(p));
  if (!rooms || !partials) return 1;
  const auto split = AO_ISA_PICK(ctx, sdpa_split);
  const auto merge = AO_ISA_PICK(ctx, sdpa_merge);
  const int64_t tasks = items * splits, chunk = tasks / (4 * ao_ctx_threads(ctx));
  ao::parallel_for(ctx, tasks, chunk > 1 ? chunk : 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t n = begin; n < end; n++) {
      float* base = rooms + thread * work_size(p);
      ao::SdpaRows r;
      void* out[kRows];
      set_rows(p, n / splits, &r, base, out, ctx);
      const int64_t s = n % splits;
      if (s >= first_split(r) && s < end_split(r))
        split(r, s, n + 1 < end ? keys_at(p, (n + 1) / splits, (n + 1) % splits) : nullptr, work_at(p, base),
              partial_at(partials + n * partial_size(p)));
    }
  });
  for (int64_t item = 0; item < items; item++) {
    ao::SdpaRows r;
    void* out[kRows];
    set_rows(p, item, &r, rooms, out, ctx);
    int64_t s = first_split(r);
    float* base = partials + item * splits * partial_size(p);
    if (s >= end_split(r)) {
      for (int i = 0; i < r.rows; i++) partial_at(base).m[i] = -INFINITY;
      s = 0;
    }
    const ao::SdpaPartial total = partial_at(base + s * partial_size(p));
    for (s++; s < end_split(r); s++) merge(r, total, partial_at(base + s * partial_size(p)));
    finish_rows(p, item, r, total, out, ctx);
  }
  return 0;
}

} // namespace

extern "C" int ao_cpu_sdpa(const ao_sdpa_args* a, ao_ctx* ctx) {
  const bool floats = !a->k_bits || !a->v_bits;
  if (ao::need_float(ctx, "sdpa", a->dtype) || (floats && ao::need_float(ctx, "sdpa", a->kv_dtype))) return 1;
  if (a->kv_heads < 1 || a->q_heads % a->kv_heads || a->dim < 1 || a->v_dim < 1)
    return ao_fail(ctx, "sdpa: %lld query heads of %lld for %lld key heads; query heads are a multiple of key heads",
                   static_cast<long long>(a->q_heads), static_cast<long long>(a->dim),
                   static_cast<long long>(a->kv_heads));
  if (ao::need_code_rows(ctx, "sdpa", k_rows(a), a->dim) || ao::need_code_rows(ctx, "sdpa", v_rows(a), a->v_dim))
    return 1;
  int64_t last = 0;
  for (int64_t b = 0; b < a->batch; b++) {
    const int64_t first = first_of(a, b), end = end_of(a, b);
    if (first < 0 || (a->causal && first + a->tokens > a->keys))
      return ao_fail(ctx, "sdpa: %lld queries at position %lld do not fit %lld keys; make a longer cache or start over",
                     static_cast<long long>(a->tokens), static_cast<long long>(first), static_cast<long long>(a->keys));
    last = end > last ? end : last;
  }
  const int64_t group = a->q_heads / a->kv_heads, rows = a->tokens * group;
  if (rows == 0 || a->batch == 0) return 0;
  const Problem p{a, group, (rows + kRows - 1) / kRows, (a->dim + 15) / 16 * 16, (a->v_dim + 15) / 16 * 16};
  const int64_t items = a->batch * a->kv_heads * p.blocks;
  const int64_t splits = (last + kSplit - 1) / kSplit;
  if (ao_ctx_threads(ctx) > 1 && splits > 1 && p.blocks == 1 && items < 4 * ao_ctx_threads(ctx))
    return run_splits(p, items, splits, ctx);
  return run_blocks(p, items, ctx);
}
