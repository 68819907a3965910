// The fast step of Adam on moments of codes; ops/adam_warp.cu.
#pragma once
#include "ops/adam.h"

namespace ao {

// Whether warps take such a step: bfloat16 or float32, no amsgrad, aligned, blocks of 64, 128 or 256.
bool warps_take(const Adam& a, int64_t form);
int adam_by_warps(ao_ctx* ctx, const Adam& a, int64_t form);

} // namespace ao
