// The ways of sdpa: each says whether it takes a call, the general one (sdpa.cu) takes all.
#pragma once
#include "ops/attention.h"

namespace ao {

bool takes_decode(const Attention& p);
int run_decode(ao_ctx* ctx, void* out, const Attention& p);

bool takes_flash(const Attention& p);
// lse: null, or room for log(sum(exp(scores))) [batch, q_heads, tokens].
int run_flash(ao_ctx* ctx, void* out, float* lse, const Attention& p);

} // namespace ao
