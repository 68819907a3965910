// What a kernel sees, in this project or in a library of its own (plugin.h): dtype codes, its context, and the description of
// its arguments. A record is an array of doubles: pointers (below 2^48) and integers (below 2^53) are exact in them.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Codes from 64 on are free for dtypes of other libraries, which this project's kernels move but do not convert.
typedef enum ao_dtype {
  AO_F32 = 0,
  AO_F16 = 1,
  AO_BF16 = 2,
  AO_F8E4M3 = 3,
  AO_F8E5M2 = 4,
  AO_I8 = 5,
  AO_U8 = 6,
  AO_I32 = 7,
  AO_I64 = 8,
  AO_BOOL = 9,
  AO_F8E8M0 = 128, // scales of weights only
} ao_dtype;

// What a kernel may use while it runs: threads, scratch memory, the chosen ISA, and a place for its error.
typedef struct ao_ctx ao_ctx;

// A part [begin, end) of a parallel loop, on thread `thread` (0 = the caller).
typedef void (*ao_range_fn)(void* arg, int64_t begin, int64_t end, int thread);

// One field of a record: kind 'i' IN, 'o' OUT, 'b' INOUT, 'n' int64, 'f' double, 'v' int64 array of `count` values.
typedef struct ao_field {
  const char* name;
  char kind;
  int count;
} ao_field;

typedef struct ao_entry {
  const char* name;
  const ao_field* fields;
  int field_count;
  int record_length; // doubles in a record
  int (*run)(const double* record, ao_ctx* ctx);
} ao_entry;

#ifdef __cplusplus
}
#endif
