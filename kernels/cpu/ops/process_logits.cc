// process_logits: what may follow a text, as changes of the float32 logits [rows, vocab]. history [rows, capacity] holds
// each row's ids, lengths [rows, {prompt, all}] how many; token [rows] joins it first. Then, each in float32:
//   x += bias;  of every id in the history x = x < 0 ? x repetition : x / repetition;  of every id chosen c > 0 times
//   x = x - frequency c, x = x - presence;  ids that would complete an n-gram the history holds: -inf;
//   `ends` while all - prompt < min_new_tokens: -inf;  ids whose bit in mask [rows, ceil(vocab / 32)] is 0: -inf.
// The history is walked, not the vocabulary: a call without bias and mask costs O(all) a row.
#include <math.h>

#include "base/ctx.h"

namespace {

// counts[id] is only valid for ids of the history: entries are cleared, summed and then spent once each.
void penalize(const ao_process_logits_args* a, float* x, const int32_t* ids, int64_t prompt, int64_t all,
              int32_t* counts) {
  const float repetition = static_cast<float>(a->repetition), frequency = static_cast<float>(a->frequency),
              presence = static_cast<float>(a->presence);
  for (int64_t i = 0; i < all; i++) counts[ids[i]] = 0;
  for (int64_t i = prompt; i < all; i++) counts[ids[i]]++;
  for (int64_t i = 0; i < all; i++) {
    int32_t& count = counts[ids[i]];
    if (count < 0) continue;
    float& v = x[ids[i]];
    v = v < 0 ? v * repetition : v / repetition;
    if (count > 0) {
      v -= frequency * static_cast<float>(count);
      v -= presence;
    }
    count = -1;
  }
}

void forbid_ngrams(float* x, const int32_t* ids, int64_t all, int64_t n) {
  const int64_t start = all - n + 1; // of the ids that a repeated n-gram would begin with
  for (int64_t i = 0; i < start; i++) {
    int64_t j = 0;
    while (j < n - 1 && ids[i + j] == ids[start + j]) j++;
    if (j == n - 1) x[ids[i + j]] = -INFINITY;
  }
}

} // namespace

extern "C" int ao_cpu_process_logits(const ao_process_logits_args* a, ao_ctx* ctx) {
  const int64_t V = a->vocab, words = (V + 31) / 32;
  int32_t* history = static_cast<int32_t*>(a->history);
  int32_t* lengths = static_cast<int32_t*>(a->lengths);
  const int32_t* token = static_cast<const int32_t*>(a->token);
  const bool penalties = a->repetition != 1 || a->frequency != 0 || a->presence != 0;
  if (!history != !lengths || (!history && (penalties || a->ngram > 0 || a->min_new_tokens > 0)))
    return ao_fail(ctx, "process_logits: penalties need history and lengths");
  for (int64_t r = 0; history && r < a->rows; r++) {
    int32_t* ids = history + r * a->capacity;
    int32_t& all = lengths[2 * r + 1];
    if (token && all >= a->capacity)
      return ao_fail(ctx, "process_logits: the history of row %lld is full: %lld ids", static_cast<long long>(r),
                     static_cast<long long>(a->capacity));
    if (token) ids[all++] = token[r];
    if (lengths[2 * r] < 0 || lengths[2 * r] > all || all > a->capacity)
      return ao_fail(ctx, "process_logits: lengths of row %lld are %d and %d; the history holds %lld",
                     static_cast<long long>(r), lengths[2 * r], all, static_cast<long long>(a->capacity));
    for (int32_t i = 0; i < all; i++)
      if (ids[i] < 0 || ids[i] >= V)
        return ao_fail(ctx, "process_logits: id %d of the history is outside 0 .. %lld", ids[i],
                       static_cast<long long>(V - 1));
  }
  const int64_t threads = ao_ctx_threads(ctx);
  int32_t* counts = penalties ? ao::scratch<int32_t>(ctx, V * threads) : nullptr;
  if (penalties && !counts) return 1;
  ao::parallel_for(ctx, a->rows, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t r = begin; r < end; r++) {
      float* x = static_cast<float*>(a->logits) + r * V;
      const float* bias = static_cast<const float*>(a->bias);
      for (int64_t i = 0; bias && i < V; i++) x[i] += bias[i];
      if (history) {
        const int32_t* ids = history + r * a->capacity;
        const int64_t prompt = lengths[2 * r], all = lengths[2 * r + 1];
        if (penalties) penalize(a, x, ids, prompt, all, counts + thread * V);
        if (a->ngram > 0) forbid_ngrams(x, ids, all, a->ngram);
        const int32_t* ends = static_cast<const int32_t*>(a->ends);
        for (int64_t e = 0; ends && all - prompt < a->min_new_tokens && e < a->end_count; e++)
          if (ends[e] >= 0 && ends[e] < V) x[ends[e]] = -INFINITY;
      }
      const uint32_t* mask = static_cast<const uint32_t*>(a->mask);
      for (int64_t i = 0; mask && i < V; i++)
        if (!(mask[r * words + i / 32] >> (i % 32) & 1)) x[i] = -INFINITY;
    }
  });
  return 0;
}
