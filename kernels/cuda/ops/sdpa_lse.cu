// log(sum(exp(scores))) of each query, [batch, q_heads, tokens], -infinity where it sees no key: sdpa's `lse` where the kernel that made out
// did not leave it. A warp a query, its lanes the keys.
#include "base/block.h"
#include "ops/attention.h"

namespace ao {
namespace {

constexpr int kWarps = 4;

__global__ void sdpa_lse_kernel(float* lse, Attention p) {
  const int lane = threadIdx.x % kWarp;
  const int64_t rows = p.batch * p.q_heads * p.tokens, step = int64_t{gridDim.x} * kWarps;
  for (int64_t row = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarp; row < rows; row += step) {
    const int64_t t = row % p.tokens, h = row / p.tokens % p.q_heads, b = row / p.tokens / p.q_heads;
    const int64_t q = p.q_at(b, t, h), head = h / p.group(), high = p.high(b, t);
    float m = -INFINITY, l = 0;
    for (int64_t j = p.low(b, t) + lane; j < high; j += kWarp) {
      const uint8_t* k = p.k_row(b, head, j);
      float s = 0;
      for (int64_t i = 0; i < p.dim; i++) s = fmaf(load_float(p.dtype, p.q, q + i), p.k_value(k, i), s);
      s = p.capped(s * p.scale) + p.mask_of(b, h, t, j);
      const float next = Larger()(m, s);
      if (next == -INFINITY) continue;
      l = l * (m == -INFINITY ? 0.0f : expf(m - next)) + expf(s - next);
      m = next;
    }
    const float most = reduce_warp(m, Larger());
    const float sum = reduce_warp(m == -INFINITY ? 0.0f : l * expf(m - most), Sum());
    if (lane == 0) lse[row] = most == -INFINITY ? -INFINITY : most + logf(sum);
  }
}

} // namespace

int run_lse(ao_ctx* ctx, float* lse, const Attention& p) {
  const int64_t rows = p.batch * p.q_heads * p.tokens;
  return launch(ctx, "sdpa", sdpa_lse_kernel, blocks_for(ctx, rows, kWarps), kWarps * kWarp, 0, lse, p);
}

} // namespace ao
