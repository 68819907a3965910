// Refusals that every op shares; each returns 0, or 1 with the reason recorded.
#pragma once
#include "base/ctx.h"
#include "base/dtype.h"

namespace ao {

inline bool is_float(int64_t dtype) { return dtype == AO_F32 || dtype == AO_F16 || dtype == AO_BF16; }

inline int need_float(ao_ctx* ctx, const char* op, int64_t dtype) {
  if (is_float(dtype)) return 0;
  return ao_fail(ctx, "%s: dtype is %s; it takes float32, float16 or bfloat16, so cast first", op,
                 ao_dtype_name(dtype));
}

inline int need_known(ao_ctx* ctx, const char* op, int64_t dtype) {
  if (ao_dtype_size(dtype)) return 0;
  return ao_fail(ctx, "%s: dtype code %lld is not known", op, static_cast<long long>(dtype));
}

inline int need_ndim(ao_ctx* ctx, const char* op, int64_t ndim) {
  if (ndim >= 0 && ndim <= 6) return 0;
  return ao_fail(ctx, "%s: %lld dims; it takes at most 6", op, static_cast<long long>(ndim));
}

// Element `at` of a buffer.
AO_HD inline const void* element(const void* base, int64_t dtype, int64_t at) {
  return static_cast<const char*>(base) + at * ao_dtype_size(dtype);
}
AO_HD inline void* element(void* base, int64_t dtype, int64_t at) {
  return static_cast<char*>(base) + at * ao_dtype_size(dtype);
}

} // namespace ao
