// How a step of Adam finds its moments: floats, or codes with a scale for each block.
#pragma once
#include "base/ctx.h"

namespace ao {

enum MomentForm { MOMENT_FLOATS, MOMENT_MAP_256, MOMENT_MAP_16, MOMENT_FLOAT8 };

// 0 with the form of a's state, or 1 with the reason recorded.
inline int moment_form(const ao_fused_adam_args* a, ao_ctx* ctx, int64_t* form) {
  if (a->state_dtype == a->dtype && !a->exp_avg_scale)
    *form = MOMENT_FLOATS;
  else if (a->state_dtype == AO_F8E4M3 && a->exp_avg_scale)
    *form = MOMENT_FLOAT8;
  else if (a->state_dtype == AO_U8 && a->exp_avg_scale && a->signed_map && a->unsigned_map &&
           (a->map_size == 256 || a->map_size == 16))
    *form = a->map_size == 256 ? MOMENT_MAP_256 : MOMENT_MAP_16;
  else
    return ao_fail(ctx, "fused_adam: a state of %s with maps of %lld values is not known",
                   ao_dtype_name(a->state_dtype), static_cast<long long>(a->map_size));
  if (*form != MOMENT_FLOATS && (a->block_size < 1 || a->n % a->block_size != 0))
    return ao_fail(ctx, "fused_adam: %lld elements are no whole number of blocks of %lld", static_cast<long long>(a->n),
                   static_cast<long long>(a->block_size));
  if (*form == MOMENT_MAP_16 && a->block_size % 2 != 0)
    return ao_fail(ctx, "fused_adam: blocks of %lld codes do not fill bytes", static_cast<long long>(a->block_size));
  return 0;
}

} // namespace ao
