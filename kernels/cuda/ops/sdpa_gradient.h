// The gradient of sdpa on the tensor cores: whether it takes a call, and the pieces that stand in files of their own.
#pragma once
#include "ops/attention.h"

namespace ao {

struct Gradient {
  Attention p;
  const void *g, *out;
  void *dq, *dk, *dv;
  float *m, *l, *delta; // of query rows [batch, tokens, q_heads]
};

bool takes_flash_gradient(const Gradient& s);
int run_flash_gradient(ao_ctx* ctx, const Gradient& s);

// log2 of the sum of 2^score over the keys of each query row, bfloat16 heads of at most 128 values; INFINITY where a row sees none.
int run_row_sums(ao_ctx* ctx, float* row_sums, const Attention& p);

} // namespace ao
