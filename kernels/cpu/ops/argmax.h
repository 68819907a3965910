// The place of the largest value of a contiguous row.
#pragma once
#include "base/ctx.h"

namespace ao {
// The first j of the largest x[j] (least: of the smallest), or of the first NaN; x [n] is float32, float16 or bfloat16.
int64_t first_largest(ao_ctx* ctx, int64_t dtype, const void* x, int64_t n, bool least);
} // namespace ao
