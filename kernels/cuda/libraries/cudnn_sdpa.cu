// The graphs by which cuDNN 9 knows attention: products, softmax spelled out, and where keys come after their query, minus
// infinity. Its backward wants the `lse` of the forward pass.
#include "libraries/cudnn_sdpa.h"

#include <math.h>

#include <limits>
#include <map>
#include <memory>
#include <vector>

#include "libraries/cudnn_graph.h"

namespace ao {
namespace {

constexpr int64_t kFewestRows = 64; // below, own kernels

// Of both passes: b, tokens, q heads, kv heads, dim, v_dim, keys.
struct Shape {
  int64_t batch, tokens, heads, kv_heads, dim, v_dim, keys;
  CudnnDtype dtype;
  bool causal;
  float lowest; // what a hidden score is
  Cudnn4 q_dims() const { return {batch, heads, tokens, dim}; }
  Cudnn4 o_dims() const { return {batch, heads, tokens, v_dim}; }
  Cudnn4 o_strides() const { return {tokens * heads * v_dim, v_dim, heads * v_dim, 1}; }
  Cudnn4 row_dims() const { return {batch, heads, tokens, 1}; }
  Cudnn4 row_strides() const { return {heads * tokens, tokens, 1, 1}; }
  Cudnn4 score_dims() const { return {batch, heads, tokens, keys}; }
  Cudnn4 score_strides() const { return {heads * tokens * keys, tokens * keys, keys, 1}; }
  Cudnn4 turned_dims() const { return {batch, heads, keys, tokens}; }
  Cudnn4 turned_strides() const { return {heads * tokens * keys, tokens * keys, 1, keys}; }
};

struct Forward {
  explicit Forward(const Cudnn& cudnn) : graph(cudnn) {}
  CudnnGraph graph;
  int q, k, v, out, scale, hidden = -1, stats = -1;
};
struct Backward {
  explicit Backward(const Cudnn& cudnn) : graph(cudnn) {}
  CudnnGraph graph;
  int q, k, v, out, g, stats, dq, dk, dv, scale, one, hidden = -1, delta, sums;
};

// The builder's own shorthand: a virtual tensor like scores, or like a row's number, as the result of an operation.
struct Builder {
  CudnnGraph& g;
  const Shape& s;
  int score(CudnnDtype dtype = kCudnnF32) { return g.inner(dtype, s.score_dims(), s.score_strides()); }
  int row() { return g.inner(kCudnnF32, s.row_dims(), s.row_strides()); }
  int apply(CudnnPointwise mode, int x, int b, int out) {
    g.pointwise(mode, x, b, -1, out);
    return out;
  }
  int total(CudnnReduction mode, int x, int out) {
    g.reduce(mode, x, out);
    return out;
  }
  int turned(int scores) {
    const int out = g.inner(s.dtype, s.turned_dims(), s.turned_strides());
    g.reshape(scores, out);
    return out;
  }
  int scaled_scores(int q, int kt, int scale) {
    const int raw = score();
    g.matmul(q, kt, raw);
    return apply(kCudnnMul, raw, scale, score());
  }
  int masked(int scores, int* hidden) {
    if (!s.causal) return scores;
    *hidden = g.scalar();
    const int row = score(kCudnnI32), column = score(kCudnnI32), seen = score(kCudnnBool), out = score();
    g.pointwise(kCudnnIndex, scores, -1, -1, row, 2);
    g.pointwise(kCudnnIndex, scores, -1, -1, column, 3);
    g.pointwise(kCudnnGreaterEqual, row, column, -1, seen);
    g.pointwise(kCudnnSelect, scores, *hidden, seen, out);
    return out;
  }
  // a . b summed over the query heads of a head of keys, to `out`
  void to_keys(int a, int b, int64_t width, int out) {
    if (s.heads == s.kv_heads) return g.matmul(a, b, out);
    const int whole =
        g.inner(s.dtype, {s.batch, s.heads, s.keys, width}, {s.heads * s.keys * width, s.keys * width, width, 1});
    g.matmul(a, b, whole);
    g.reduce(kCudnnSum, whole, out);
  }
};

Cudnn4 turn(const Cudnn4& x) { return {x[0], x[1], x[3], x[2]}; }

template <class Args>
Cudnn4 query_strides(const Args* a) {
  return {a->q_strides[0], a->q_strides[2], a->q_strides[1], 1};
}
Cudnn4 key_strides(const int64_t* strides) { return {strides[0], strides[1], strides[2], 1}; }

template <class Args, class Plan>
void add_inputs(Builder& b, const Args* a, Plan* p, bool turn_v) {
  const Shape& s = b.s;
  const Cudnn4 v_dims = {s.batch, s.kv_heads, s.keys, s.v_dim}, v_strides = key_strides(a->v_strides);
  p->q = b.g.tensor(s.dtype, s.q_dims(), query_strides(a));
  p->k = b.g.tensor(s.dtype, {s.batch, s.kv_heads, s.dim, s.keys}, turn(key_strides(a->k_strides)));
  p->v = turn_v ? b.g.tensor(s.dtype, turn(v_dims), turn(v_strides)) : b.g.tensor(s.dtype, v_dims, v_strides);
  p->out = b.g.tensor(s.dtype, s.o_dims(), s.o_strides());
  p->scale = b.g.scalar();
}

std::unique_ptr<Forward> make_forward(const Cudnn& cudnn, const ao_sdpa_args* a, const Shape& s, bool stats) {
  auto p = std::make_unique<Forward>(cudnn);
  Builder b{p->graph, s};
  add_inputs(b, a, p.get(), false);
  const int scores = b.masked(b.scaled_scores(p->q, p->k, p->scale), &p->hidden);
  const int most = b.total(kCudnnMax, scores, b.row());
  const int weights = b.apply(kCudnnExp, b.apply(kCudnnSub, scores, most, b.score()), -1, b.score());
  const int sum = b.total(kCudnnSum, weights, b.row());
  // the library knows no attention without them; where they are not wanted they stay virtual
  const int row_stats = stats ? p->graph.tensor(kCudnnF32, s.row_dims(), s.row_strides()) : b.row();
  b.apply(kCudnnAdd, most, b.apply(kCudnnLog, sum, -1, b.row()), row_stats);
  if (stats) p->stats = row_stats;
  const int shares = b.apply(kCudnnDiv, weights, sum, b.score(s.dtype));
  p->graph.matmul(shares, p->v, p->out);
  if (!p->graph.finish()) return nullptr;
  return p;
}

std::unique_ptr<Backward> make_backward(const Cudnn& cudnn, const ao_sdpa_backward_args* a, const Shape& s) {
  auto p = std::make_unique<Backward>(cudnn);
  Builder b{p->graph, s};
  CudnnGraph& g = p->graph;
  add_inputs(b, a, p.get(), true);
  const auto keys_like = [&](int64_t width) {
    return g.tensor(s.dtype, {s.batch, s.kv_heads, s.keys, width},
                    {s.kv_heads * s.keys * width, s.keys * width, width, 1});
  };
  p->g = g.tensor(s.dtype, s.o_dims(), s.o_strides());
  p->stats = g.tensor(kCudnnF32, s.row_dims(), s.row_strides());
  p->delta = g.tensor(kCudnnF32, s.row_dims(), s.row_strides());
  p->sums = g.tensor(kCudnnF32, s.q_dims(), {s.heads * s.tokens * s.dim, s.tokens * s.dim, s.dim, 1});
  p->dq = g.tensor(s.dtype, s.q_dims(), {s.tokens * s.heads * s.dim, s.dim, s.heads * s.dim, 1});
  p->dk = keys_like(s.dim), p->dv = keys_like(s.v_dim), p->one = g.scalar();
  const int both =
      g.inner(kCudnnF32, s.o_dims(), {s.heads * s.tokens * s.v_dim, s.tokens * s.v_dim, s.heads * s.v_dim, 1});
  b.apply(kCudnnMul, p->g, p->out, both);
  b.apply(kCudnnMul, b.total(kCudnnSum, both, b.row()), p->one, p->delta);
  const int scores = b.scaled_scores(p->q, p->k, p->scale);
  const int shares =
      b.apply(kCudnnExp, b.masked(b.apply(kCudnnSub, scores, p->stats, b.score()), &p->hidden), -1, b.score());
  b.to_keys(b.turned(shares), p->g, s.v_dim, p->dv);
  const int of_shares = b.score();
  g.matmul(p->g, p->v, of_shares);
  int ds = b.apply(kCudnnSub, of_shares, p->delta, b.score());
  ds = b.apply(kCudnnMul, ds, shares, b.score());
  ds = b.apply(kCudnnMul, ds, p->scale, b.score());
  b.to_keys(b.turned(ds), p->q, s.dim, p->dk);
  const int k = g.inner(s.dtype, {s.batch, s.kv_heads, s.keys, s.dim}, key_strides(a->k_strides));
  g.reshape(p->k, k);
  g.matmul(ds, k, p->sums);
  b.apply(kCudnnIdentity, p->sums, -1, p->dq);
  if (!g.finish()) return nullptr;
  return p;
}

template <class Args>
std::vector<int64_t> key_of(const Args* a, int pass) {
  std::vector<int64_t> key = {pass,   a->batch, a->tokens, a->q_heads, a->kv_heads,
                              a->dim, a->v_dim, a->keys,   a->causal,  a->dtype};
  for (int i = 0; i < 3; i++) key.insert(key.end(), {a->q_strides[i], a->k_strides[i], a->v_strides[i]});
  return key;
}

} // namespace

struct CudnnPlans {
  Cudnn cudnn;
  std::map<std::vector<int64_t>, std::unique_ptr<Forward>> forward; // null: the library has none
  std::map<std::vector<int64_t>, std::unique_ptr<Backward>> backward;
};

void close_cudnn(CudnnPlans* plans) {
  if (!plans) return;
  plans->forward.clear(), plans->backward.clear();
  if (plans->cudnn.handle) plans->cudnn.destroy(plans->cudnn.handle);
  delete plans; // the library stays open: its threads may outlive us
}

namespace {

// Whether the library may take it: plain attention of 16-bit floats whose rows lie as it wants them.
template <class Args>
bool fits(const Args* a, std::initializer_list<const void*> addresses) {
  if (a->dtype == AO_F32 || a->mask || a->pos || a->window > 0 || a->softcap > 0) return false;
  if (a->tokens < kFewestRows || a->keys < kFewestRows || a->dim % 8 || a->v_dim % 8 || a->dim > 128 || a->v_dim > 128)
    return false;
  if (a->causal && (a->past != 0 || a->tokens != a->keys)) return false;
  for (const void* p : addresses)
    if (reinterpret_cast<uintptr_t>(p) % 16) return false;
  for (int i = 0; i < 3; i++)
    for (int64_t stride : {a->q_strides[i], a->k_strides[i], a->v_strides[i]})
      if (stride % 8 || stride <= 0) return false;
  return true;
}

const Cudnn* library_of(ao_ctx* ctx) {
#if defined(AO_EMULATE)
  return nullptr;
#else
  if (!ctx->cudnn) ctx->cudnn = new CudnnPlans;
  return open_cudnn(&ctx->cudnn->cudnn, ctx->stream) ? &ctx->cudnn->cudnn : nullptr;
#endif
}

template <class Args>
Shape shape_of(const Cudnn& cudnn, const Args* a) {
  const float lowest = cudnn.version < 91000 ? std::numeric_limits<float>::lowest() : -INFINITY;
  return {a->batch,       a->tokens, a->q_heads, a->kv_heads,
          a->dim,         a->v_dim,  a->keys,    a->dtype == AO_F16 ? kCudnnF16 : kCudnnBf16,
          a->causal != 0, lowest};
}

// The plan of a pass, made when it is first met; null where the library has none.
template <class Plan, class Make>
Plan* plan_of(std::map<std::vector<int64_t>, std::unique_ptr<Plan>>& plans, const std::vector<int64_t>& key,
              const Make& make) {
  auto found = plans.find(key);
  if (found == plans.end()) found = plans.emplace(key, make()).first;
  return found->second.get();
}

int run_forward(ao_ctx* ctx, Forward* p, const Shape& s, const ao_sdpa_args* a) {
  void* workspace = scratch_bytes(ctx, p->graph.workspace());
  if (!workspace) return 1;
  const float scale = static_cast<float>(a->scale);
  const int status = p->graph.run({{p->q, a->q},
                                   {p->k, a->k},
                                   {p->v, a->v},
                                   {p->out, a->out},
                                   {p->scale, &scale},
                                   {p->hidden, &s.lowest},
                                   {p->stats, a->lse}},
                                  workspace);
  return status == 0 ? 0 : ao_fail(ctx, "sdpa: cuDNN failed with status %d", status);
}

} // namespace

int cudnn_sdpa(ao_ctx* ctx, const ao_sdpa_args* a, bool* done) {
  *done = false;
  if (a->k_bits || a->v_bits || a->kv_dtype != a->dtype || !fits(a, {a->q, a->k, a->v, a->out})) return 0;
  const Cudnn* cudnn = library_of(ctx);
  if (!cudnn) return 0;
  const Shape s = shape_of(*cudnn, a);
  Forward* p = plan_of(ctx->cudnn->forward, key_of(a, a->lse ? 1 : 0),
                       [&] { return make_forward(*cudnn, a, s, a->lse != nullptr); });
  if (!p) return 0;
  *done = true;
  return run_forward(ctx, p, s, a);
}

int cudnn_sdpa_backward(ao_ctx* ctx, const ao_sdpa_backward_args* a, bool* done) {
  *done = false;
  if (!a->lse || !fits(a, {a->q, a->k, a->v, a->out, a->g, a->dq, a->dk, a->dv})) return 0;
  const Cudnn* cudnn = library_of(ctx);
  if (!cudnn) return 0;
  const Shape s = shape_of(*cudnn, a);
  Backward* p = plan_of(ctx->cudnn->backward, key_of(a, 2), [&] { return make_backward(*cudnn, a, s); });
  if (!p) return 0;
  *done = true;
  const int64_t rows = s.batch * s.heads * s.tokens;
  float *delta = scratch<float>(ctx, rows), *sums = scratch<float>(ctx, rows * s.dim);
  void* workspace = scratch_bytes(ctx, p->graph.workspace());
  if (!delta || !sums || !workspace) return 1;
  const float scale = static_cast<float>(a->scale), one = 1;
  const int status = p->graph.run({{p->q, a->q},
                                   {p->k, a->k},
                                   {p->v, a->v},
                                   {p->out, a->out},
                                   {p->g, a->g},
                                   {p->stats, a->lse},
                                   {p->delta, delta},
                                   {p->sums, sums},
                                   {p->dq, a->dq},
                                   {p->dk, a->dk},
                                   {p->dv, a->dv},
                                   {p->scale, &scale},
                                   {p->one, &one},
                                   {p->hidden, &s.lowest}},
                                  workspace);
  return status == 0 ? 0 : ao_fail(ctx, "sdpa_backward: cuDNN failed with status %d", status);
}

} // namespace ao
