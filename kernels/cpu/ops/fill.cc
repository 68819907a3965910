// fill: out[i] = value for i < n, the value converted once to `dtype` as copy_strided converts a float64.
#include <string.h>

#include "base/ctx.h"
#include "ops/convert.h"

extern "C" int ao_cpu_fill(const ao_fill_args* a, ao_ctx* ctx) {
  const int size = ao_dtype_size(a->dtype);
  if (!size) return ao_fail(ctx, "fill: dtype code %lld is not known", static_cast<long long>(a->dtype));
  unsigned char pattern[64];
  for (int i = 0; i < 64 / size; i++) ao::store_scalar(a->dtype, pattern, i, a->value);
  char* out = static_cast<char*>(a->out);
  const int64_t bytes = a->n * size;
  ao::parallel_for(ctx, bytes, 1 << 18, [&](int64_t begin, int64_t end, int) { // the chunk is a multiple of 64
    int64_t at = begin;
    for (; at + 64 <= end; at += 64) memcpy(out + at, pattern, 64);
    memcpy(out + at, pattern, static_cast<size_t>(end - at));
  });
  return 0;
}
