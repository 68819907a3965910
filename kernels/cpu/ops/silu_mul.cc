// silu_mul: out[r, i] = gate[r, i] / (1 + exp(-gate[r, i])) * up[r, i], r < rows, i < n. Rows of gate and up are gate_stride and
// up_stride elements apart (so both may lie in one fused projection); out is contiguous. float32 math, one rounding on store.
#include <math.h>

#include "base/ctx.h"
#include "ops/convert.h"

extern "C" int ao_cpu_silu_mul(const ao_silu_mul_args* a, ao_ctx* ctx) {
  if (a->dtype > AO_BF16 || a->dtype < 0) return ao_fail(ctx, "silu_mul: dtype %s; it takes float32, float16 or bfloat16", ao_dtype_name(a->dtype));
  const int64_t size = ao_dtype_size(a->dtype), n = a->n;
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(n), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      for (int64_t at = 0; at < n; at += 256) {
        const int64_t count = n - at < 256 ? n - at : 256;
        float gate[256], up[256];
        ao::load_floats(a->dtype, static_cast<const char*>(a->gate) + (r * a->gate_stride + at) * size, 1, gate, count);
        ao::load_floats(a->dtype, static_cast<const char*>(a->up) + (r * a->up_stride + at) * size, 1, up, count);
        for (int64_t i = 0; i < count; i++) gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
        ao::store_floats(a->dtype, static_cast<char*>(a->out) + (r * n + at) * size, 1, gate, count);
      }
    }
  });
  return 0;
}
