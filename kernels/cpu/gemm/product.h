// The float products of training: out[i, j] = sum over terms t and ascending k of a_t(i, k) b_t(k, j), in float32 or of bfloat16 pairs
// where the ISA multiplies those. Nothing is packed for longer than a task, which is a block of rows times a block of columns: it
// walks k in steps, makes tiles of a and panels of b of a step, and keeps the sums in its room. Each output is one chain over
// ascending k (gemm/kernels.h), so blocks and threads do not matter.
#pragma once
#include "gemm/kernels.h"

namespace ao {

// A matrix of a float dtype as a side of a product: rows i of a, or columns i of b, times k. One of the two runs without gaps:
// element (i, k) lies at i * stride + k, or, where it is turned, at k * stride + i.
struct Side {
  const void* data;
  int32_t dtype;
  int64_t stride;
  bool turned;
};

// One a_t . b_t over k values; b is `weight` [k, columns] where that is not null.
struct Term {
  Side a, b;
  const Packed* weight;
  int64_t k;
};

constexpr int kMostTerms = 4;

// out [m, store.n] of the sum of `count` terms. 0 = done, 1 = error recorded.
int run_product(ao_ctx* ctx, const Term* terms, int count, int64_t m, const Store& store);

} // namespace ao
