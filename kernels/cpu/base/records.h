// Records of commands as the argument structs of their rows: rope_of(record), kv_append_of(record), ... for every row of exports.inc.
#pragma once
#include <stdint.h>

#include "ao/ao.h"

namespace ao {

inline void* record_pointer(double value) { return reinterpret_cast<void*>(static_cast<uintptr_t>(value)); }

#define IN(n) a.n = record_pointer(*p++);
#define OUT(n) a.n = record_pointer(*p++);
#define INOUT(n) a.n = record_pointer(*p++);
#define I(n) a.n = static_cast<int64_t>(*p++);
#define F(n) a.n = *p++;
#define V(n, count)                                                                                                    \
  for (int i = 0; i < count; i++) a.n[i] = static_cast<int64_t>(*p++);
#define AO_FN(name, fields)                                                                                            \
  inline ao_##name##_args name##_of(const double* p) {                                                                 \
    ao_##name##_args a;                                                                                                \
    fields return a;                                                                                                   \
  }
#include "exports.inc"
#undef IN
#undef OUT
#undef INOUT
#undef I
#undef F
#undef V
#undef AO_FN

} // namespace ao
