// The gradient of sdpa on the tensor cores: whether it takes a call, and the pieces that stand in files of their own.
#pragma once
#include "ops/attention.h"

namespace ao {

struct Gradient {
  Attention p;
  const void *g, *out;
  void *dq, *dk, *dv;
  float *m, *l, *delta; // of query rows [batch, tokens, q_heads]; null on the tensor cores
  const float* lse;     // [batch, q_heads, tokens], or null
};

bool takes_flash_gradient(const Gradient& s);
int run_flash_gradient(ao_ctx* ctx, const Gradient& s);

// lse of bfloat16 heads of at most 128 values, where the forward pass did not keep it.
int run_flash_lse(ao_ctx* ctx, float* lse, const Attention& p);

} // namespace ao
