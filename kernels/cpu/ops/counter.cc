// add_scalar_i32: x[i] += value in place, i < n, int32, wrapping. Positions and step counters of captured plans live
// in such tensors.
#include "base/ctx.h"

extern "C" int ao_cpu_add_scalar_i32(const ao_add_scalar_i32_args* a, ao_ctx*) {
  uint32_t* x = static_cast<uint32_t*>(a->x);
  for (int64_t i = 0; i < a->n; i++) x[i] += static_cast<uint32_t>(a->value);
  return 0;
}
