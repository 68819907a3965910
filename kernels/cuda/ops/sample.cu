// sample and process_logits; kernels/cpu/ops/random.cc and process_logits.cc. A block draws a row: candidates are sorted by (logit
// descending, index ascending) with a merge sort, then taken in order.
#include "base/block.h"
#include "base/early.h"
#include "base/elements.h"
#include "ops/philox.h"

namespace ao {
namespace {

struct Candidate {
  float z;
  int32_t index;
};

__device__ bool before(const Candidate& a, const Candidate& b) { return a.z != b.z ? a.z > b.z : a.index < b.index; }

// A logit and its place: the first NaN, else the first of the largest. No place is below 0.
struct Best {
  float value;
  int32_t place;
};
struct Better {
  __device__ Best operator()(const Best& a, const Best& b) const {
    if (a.place < 0 || b.place < 0) return a.place < 0 ? b : a;
    const bool an = a.value != a.value, bn = b.value != b.value;
    if (an != bn) return an ? a : b;
    if (!an && a.value != b.value) return a.value > b.value ? a : b;
    return a.place < b.place ? a : b;
  }
};

__device__ Best best_of_block(Best best) {
  __shared__ Best parts[kWarp];
  const Better better;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const auto of_warp = [&](Best v) {
    for (int d = kWarp / 2; d > 0; d /= 2)
      v = better(v, {__shfl_xor_sync(kAllLanes, v.value, d), __shfl_xor_sync(kAllLanes, v.place, d)});
    return v;
  };
  best = of_warp(best);
  __syncthreads();
  if (lane == 0) parts[warp] = best;
  __syncthreads();
  return of_warp(lane < static_cast<int>(blockDim.x / kWarp) ? parts[lane] : Best{0, -1});
}

// blockIdx.y is the row; its blocks leave their best in parts, the last of them chooses and counts the draw.
__global__ void greedy_kernel(int32_t* token, uint32_t* state, const void* logits, Best* parts, unsigned* arrivals,
                              int64_t vocab, int64_t dtype) {
  __shared__ bool last;
  const int64_t row = blockIdx.y, base = row * vocab;
  const Better better;
  let_next_start();
  await_previous();
  Best best{0, -1};
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < vocab; i += int64_t{gridDim.x} * blockDim.x)
    best = better(best, {load_float(dtype, logits, base + i), static_cast<int32_t>(i)});
  best = best_of_block(best);
  if (gridDim.x > 1) {
    if (threadIdx.x == 0) {
      parts[row * gridDim.x + blockIdx.x] = best;
      __threadfence();
      last = atomicAdd(&arrivals[row], 1u) == gridDim.x - 1;
      if (last) arrivals[row] = 0;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    best = best_of_block(threadIdx.x < gridDim.x ? parts[row * gridDim.x + threadIdx.x] : Best{0, -1});
  }
  if (threadIdx.x != 0) return;
  token[row] = best.place;
  if (state) state[2 * row + 1]++;
}

// Sorts `count` candidates of a row by a block; `other` is room for as many. Returns where the result lies.
__device__ Candidate* sort_row(Candidate* from, Candidate* to, int64_t count) {
  for (int64_t width = 1; width < count; width *= 2) {
    // each thread merges pieces of pairs of runs: the element's place in the other run is found by halving
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
      const int64_t run = i / width, pair = run / 2 * 2 * width, own = run * width;
      const bool left = run % 2 == 0;
      int64_t low = left ? own + width : pair, high = left ? low + width : own;
      low = low < count ? low : count, high = high < count ? high : count;
      const int64_t begin = low;
      while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (before(from[mid], from[i]))
          low = mid + 1;
        else
          high = mid;
      }
      to[pair + (i - own) + (low - begin)] = from[i];
    }
    __syncthreads();
    Candidate* swap = from;
    from = to, to = swap;
  }
  return from;
}

struct Draw {
  int64_t vocab, dtype, top_k;
  float temperature;
  double top_p, min_p;
};

__global__ void draw_kernel(int32_t* token, const uint32_t* state, const void* logits, Candidate* room, Draw a,
                            Site site) {
  __shared__ int bad;
  const int64_t r = blockIdx.x, base = r * a.vocab;
  Candidate *first = room + 2 * base, *second = first + a.vocab;
  if (threadIdx.x == 0) bad = 0;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < a.vocab; i += blockDim.x) {
    const float z = load_float(a.dtype, logits, base + i);
    if (z != z) bad = 1;
    first[i] = {z / a.temperature, static_cast<int32_t>(i)};
  }
  __syncthreads();
  if (bad) {
    if (threadIdx.x == 0) {
      report(site, kLogitNan, r);
      token[r] = 0;
    }
    return;
  }
  const Candidate* sorted = sort_row(first, second, a.vocab);
  const int64_t n = a.top_k > 0 && a.top_k < a.vocab ? a.top_k : a.vocab;
  const double top = sorted[0].z;
  double total = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) total += exp(sorted[i].z - top);
  total = sum_block(total);
  if (threadIdx.x != 0) return;
  const double u = philox(state[2 * r], 0, state[2 * r + 1]).word[0] * 0x1p-32;
  int64_t limit = n;
  double kept = total;
  if (a.top_p < 1 || a.min_p > 0) {
    kept = 0;
    for (limit = 0; limit < n && (limit == 0 || kept < a.top_p * total); limit++) {
      const double w = exp(sorted[limit].z - top);
      if (limit > 0 && w < a.min_p) break; // the largest weight is 1
      kept += w;
    }
  }
  double running = 0;
  int64_t chosen = limit - 1; // where rounding leaves the running sum just short
  for (int64_t i = 0; i < limit; i++) {
    running += exp(sorted[i].z - top);
    if (running > u * kept) {
      chosen = i;
      break;
    }
  }
  token[r] = sorted[chosen].index;
}

__global__ void advance_rows_kernel(uint32_t* state, int64_t rows) {
  for (int64_t r = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; r < rows; r += int64_t{gridDim.x} * blockDim.x)
    state[2 * r + 1]++;
}

// --- process_logits: a block a row ---

struct Process {
  float* logits;
  int32_t *history, *lengths;
  const int32_t* token;
  const float* bias;
  const int32_t* ends;
  const uint32_t* mask;
  int32_t* counts;
  int64_t vocab, capacity, end_count, min_new, ngram;
  float repetition, frequency, presence;
  bool penalties;
};

__global__ void process_logits_kernel(Process a, Site site) {
  __shared__ int wrong;
  const int64_t r = blockIdx.x, V = a.vocab, words = (V + 31) / 32;
  float* x = a.logits + r * V;
  int32_t* ids = a.history ? a.history + r * a.capacity : nullptr;
  if (threadIdx.x == 0) {
    wrong = 0;
    if (ids) {
      int32_t& all = a.lengths[2 * r + 1];
      if (a.token && all >= a.capacity) {
        report(site, kHistoryFull, r, a.capacity);
        wrong = 1;
      } else {
        if (a.token) ids[all++] = a.token[r];
        if (a.lengths[2 * r] < 0 || a.lengths[2 * r] > all || all > a.capacity) {
          report(site, kHistoryWrong, r, a.lengths[2 * r], all);
          wrong = 1;
        }
      }
    }
  }
  __syncthreads();
  const int64_t prompt = ids && !wrong ? a.lengths[2 * r] : 0, all = ids && !wrong ? a.lengths[2 * r + 1] : 0;
  for (int64_t i = threadIdx.x; i < all; i += blockDim.x)
    if (ids[i] < 0 || ids[i] >= V) {
      report(site, kIdOutside, ids[i], r, V);
      wrong = 1;
    }
  __syncthreads();
  if (wrong) return;
  for (int64_t i = threadIdx.x; a.bias && i < V; i += blockDim.x) x[i] += a.bias[i];
  if (a.penalties) {
    int32_t* counts = a.counts + r * V;
    for (int64_t i = threadIdx.x; i < all; i += blockDim.x) counts[ids[i]] = 0;
    __syncthreads();
    for (int64_t i = prompt + threadIdx.x; i < all; i += blockDim.x) atomicAdd(&counts[ids[i]], 1);
    __syncthreads();
    // the first place of an id changes its logit
    for (int64_t i = threadIdx.x; i < all; i += blockDim.x) {
      int64_t j = 0;
      while (ids[j] != ids[i]) j++;
      if (j != i) continue;
      const int32_t count = counts[ids[i]];
      float v = x[ids[i]];
      v = v < 0 ? v * a.repetition : v / a.repetition;
      if (count > 0) {
        v -= a.frequency * static_cast<float>(count);
        v -= a.presence;
      }
      x[ids[i]] = v;
    }
  }
  __syncthreads();
  if (a.ngram > 0) {
    const int64_t start = all - a.ngram + 1; // of the ids that a repeated n-gram would begin with
    for (int64_t i = threadIdx.x; i < start; i += blockDim.x) {
      int64_t j = 0;
      while (j < a.ngram - 1 && ids[i + j] == ids[start + j]) j++;
      if (j == a.ngram - 1) x[ids[i + j]] = -INFINITY;
    }
  }
  __syncthreads();
  if (ids && a.ends && all - prompt < a.min_new)
    for (int64_t e = threadIdx.x; e < a.end_count; e += blockDim.x)
      if (a.ends[e] >= 0 && a.ends[e] < V) x[a.ends[e]] = -INFINITY;
  __syncthreads();
  for (int64_t i = threadIdx.x; a.mask && i < V; i += blockDim.x)
    if (!(a.mask[r * words + i / 32] >> (i % 32) & 1)) x[i] = -INFINITY;
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_sample(const ao_sample_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "sample", a->dtype)) return 1;
  if (a->vocab < 1 || a->vocab > INT32_MAX)
    return ao_fail(ctx, "sample: %lld logits", static_cast<long long>(a->vocab));
  if (!(a->temperature >= 0) || a->top_k < 0 || !(a->top_p > 0 && a->top_p <= 1) || !(a->min_p >= 0 && a->min_p <= 1))
    return ao_fail(ctx,
                   "sample: temperature %g, top_k %lld, top_p %g, min_p %g; temperature >= 0, top_k >= 0, top_p in (0, "
                   "1], min_p in [0, 1]",
                   a->temperature, static_cast<long long>(a->top_k), a->top_p, a->min_p);
  if (a->rows == 0) return 0;
  int32_t* token = static_cast<int32_t*>(a->token);
  uint32_t* state = static_cast<uint32_t*>(a->state);
  const unsigned rows = static_cast<unsigned>(a->rows);
  if (a->temperature == 0) {
    if (a->rows > 65535) return ao_fail(ctx, "sample: %lld rows; the GPU takes 65535", static_cast<long long>(a->rows));
    const bool many = a->rows <= kArrivals; // blocks of a row
    const int64_t wanted = many ? ceil_div(ctx->multiprocessors, a->rows) : 1, most = ceil_div(a->vocab, 4 * kThreads);
    int64_t blocks = wanted < most ? wanted : most;
    if (blocks > kThreads) blocks = kThreads;
    Best* parts = scratch<Best>(ctx, a->rows * blocks);
    if (!parts) return 1;
    return launch_early(ctx, "sample", greedy_kernel, dim3(static_cast<unsigned>(blocks), rows), kThreads, 0, token,
                        state, a->logits, parts, ctx->arrivals, a->vocab, a->dtype);
  }
  if (!state) return ao_fail(ctx, "sample: drawing needs a state tensor {seed, call}");
  Candidate* room = scratch<Candidate>(ctx, 2 * a->rows * a->vocab);
  if (!room) return 1;
  const Draw draw{a->vocab, a->dtype, a->top_k, static_cast<float>(a->temperature), a->top_p, a->min_p};
  if (launch(ctx, "sample", draw_kernel, rows, a->vocab > 4096 ? 1024 : kThreads, 0, token, state, a->logits, room,
             draw, ctx->site))
    return 1;
  return launch(ctx, "sample", advance_rows_kernel, blocks_for(ctx, a->rows), kThreads, 0, state, a->rows);
}

extern "C" int ao_cuda_process_logits(const ao_process_logits_args* a, ao_ctx* ctx) {
  const bool penalties = a->repetition != 1 || a->frequency != 0 || a->presence != 0;
  if (!a->history != !a->lengths || (!a->history && (penalties || a->ngram > 0 || a->min_new_tokens > 0)))
    return ao_fail(ctx, "process_logits: penalties need history and lengths");
  if (a->rows == 0 || a->vocab == 0) return 0;
  Process p{static_cast<float*>(a->logits),
            static_cast<int32_t*>(a->history),
            static_cast<int32_t*>(a->lengths),
            static_cast<const int32_t*>(a->token),
            static_cast<const float*>(a->bias),
            static_cast<const int32_t*>(a->ends),
            static_cast<const uint32_t*>(a->mask),
            nullptr,
            a->vocab,
            a->capacity,
            a->end_count,
            a->min_new_tokens,
            a->ngram,
            static_cast<float>(a->repetition),
            static_cast<float>(a->frequency),
            static_cast<float>(a->presence),
            penalties};
  if (penalties && !(p.counts = scratch<int32_t>(ctx, a->rows * a->vocab))) return 1;
  return launch(ctx, "process_logits", process_logits_kernel, static_cast<unsigned>(a->rows), kThreads, 0, p,
                ctx->site);
}
