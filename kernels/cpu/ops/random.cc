// random_uniform: out[i] = low + u (high - low), u = (word 0 of Philox at element i >> 8) 2^-24 in [0, 1), float32
// math, one rounding to the dtype. state is int32 {seed, call}; call goes up by one.
// sample: one int32 token from each row of logits [rows, vocab]; row r has state r of [rows, {seed, call}]. temperature 0: the first of the largest (NaN wins). Else, with z =
// logits / temperature in float32 and candidates in order of z descending (lower index first among equals):
//   top_k > 0 keeps the first k;  p = e^(z - max) in double, normalised over what is kept;
//   top_p < 1 keeps candidates until their sum reaches top_p (the one that reaches it stays);  min_p drops p < min_p *
//   max p; the token is the first whose running sum of p exceeds u * (sum of kept), u = (word 0 at element 0) 2^-32.
// Each call, greedy ones too, raises the call counter by one, so that a seed and a counter name a token.
#include <math.h>

#include <algorithm>

#include "ops/argmax.h"
#include "ops/check.h"
#include "ops/convert.h"
#include "ops/philox.h"

namespace {

struct Candidate {
  float z;
  int32_t index;
};

bool later(const Candidate& a, const Candidate& b) { return a.z != b.z ? a.z < b.z : a.index > b.index; }

// The candidates are popped from a heap, so that only those in front are ever sorted.
int32_t draw(Candidate* heap, int64_t n, double* weights, double top_p, double min_p, double u) {
  std::make_heap(heap, heap + n, later);
  const float top = heap[0].z;
  double total = 0;
  for (int64_t i = 0; i < n; i++) total += exp(static_cast<double>(heap[i].z) - top);
  Candidate* end = heap + n; // popped ones lie behind it, the first at the very end
  int64_t popped = 0;
  double kept = 0;
  const auto pop = [&] {
    std::pop_heap(heap, end--, later);
    weights[popped] = exp(static_cast<double>(end->z) - top);
    return weights[popped++];
  };
  double sum_kept = total;
  if (top_p < 1 || min_p > 0) {
    while (popped < n && (popped == 0 || kept < top_p * total)) {
      const double w = pop();
      if (popped > 1 && w < min_p) { // the largest weight is 1
        popped--, end++;
        std::push_heap(heap, end, later);
        break;
      }
      kept += w;
    }
    sum_kept = kept;
  }
  const int64_t limit = top_p < 1 || min_p > 0 ? popped : n;
  const double target = u * sum_kept;
  double running = 0;
  for (int64_t i = 0; i < limit; i++) {
    running += i < popped ? weights[i] : pop();
    if (running > target) return heap[n - 1 - i].index;
  }
  return heap[n - limit].index; // rounding left the running sum just short
}

int draw_rows(const ao_sample_args* a, int32_t* token, const uint32_t* state, ao_ctx* ctx) {
  const int64_t n = a->vocab, threads = ao_ctx_threads(ctx);
  float* values = ao::scratch<float>(ctx, n * threads);
  Candidate* heaps = ao::scratch<Candidate>(ctx, n * threads);
  double* weights = ao::scratch<double>(ctx, n * threads);
  if (!values || !heaps || !weights) return 1;
  const int64_t k = a->top_k > 0 && a->top_k < n ? a->top_k : n;
  const auto before = [](const Candidate& x, const Candidate& y) { return later(y, x); };
  ao::parallel_for(ctx, a->rows, 1, [&](int64_t begin, int64_t end, int thread) {
    float* z = values + thread * n;
    Candidate* candidates = heaps + thread * n;
    for (int64_t r = begin; r < end; r++) {
      ao::load_floats(a->dtype, ao::element(a->logits, a->dtype, r * n), 1, z, n);
      token[r] = -1; // until the row is known to have no NaN
      int64_t i = 0;
      for (; i < n && !isnan(z[i]); i++)
        candidates[i] = {z[i] / static_cast<float>(a->temperature), static_cast<int32_t>(i)};
      if (i < n) continue;
      if (k < n) std::nth_element(candidates, candidates + k - 1, candidates + n, before);
      // nth_element leaves an order of its own; the sum of weights must not depend on it
      if (k < n) std::sort(candidates, candidates + k, before);
      const double u = ao::philox(state[2 * r], 0, state[2 * r + 1]).word[0] * 0x1p-32;
      token[r] = draw(candidates, k, weights + thread * n, a->top_p, a->min_p, u);
    }
  });
  for (int64_t r = 0; r < a->rows; r++) {
    if (token[r] < 0) return ao_fail(ctx, "sample: a logit of row %lld is NaN", static_cast<long long>(r));
  }
  return 0;
}

} // namespace

extern "C" int ao_cpu_random_uniform(const ao_random_uniform_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "random_uniform", a->dtype)) return 1;
  uint32_t* state = static_cast<uint32_t*>(a->state);
  const uint32_t seed = state[0], call = state[1];
  const float low = static_cast<float>(a->low), span = static_cast<float>(a->high) - low;
  ao::parallel_for(ctx, a->n, 4096, [&](int64_t begin, int64_t end, int) {
    float block[256];
    for (int64_t at = begin; at < end; at += 256) {
      const int64_t count = end - at < 256 ? end - at : 256;
      for (int64_t i = 0; i < count; i++)
        block[i] = low + static_cast<float>(ao::philox(seed, static_cast<uint64_t>(at + i), call).word[0] >> 8) *
                             0x1p-24f * span;
      ao::store_floats(a->dtype, ao::element(a->out, a->dtype, at), 1, block, count);
    }
  });
  state[1] = call + 1;
  return 0;
}

extern "C" int ao_cpu_sample(const ao_sample_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "sample", a->dtype)) return 1;
  if (a->vocab < 1 || a->vocab > INT32_MAX)
    return ao_fail(ctx, "sample: %lld logits", static_cast<long long>(a->vocab));
  if (!(a->temperature >= 0) || a->top_k < 0 || !(a->top_p > 0 && a->top_p <= 1) || !(a->min_p >= 0 && a->min_p <= 1))
    return ao_fail(ctx,
                   "sample: temperature %g, top_k %lld, top_p %g, min_p %g; temperature >= 0, top_k >= 0, top_p in (0, "
                   "1], min_p in [0, 1]",
                   a->temperature, static_cast<long long>(a->top_k), a->top_p, a->min_p);
  const int64_t n = a->vocab;
  int32_t* token = static_cast<int32_t*>(a->token);
  uint32_t* state = static_cast<uint32_t*>(a->state);
  if (a->temperature == 0) {
    ao::parallel_for(ctx, a->rows, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; r++)
        token[r] =
            static_cast<int32_t>(ao::first_largest(ctx, a->dtype, ao::element(a->logits, a->dtype, r * n), n, false));
    });
  } else {
    if (!state) return ao_fail(ctx, "sample: drawing needs a state tensor {seed, call}");
    if (draw_rows(a, token, state, ctx)) return 1;
  }
  for (int64_t r = 0; state && r < a->rows; r++) state[2 * r + 1]++;
  return 0;
}
