// Kernels in a library of their own, which the cpu stream runs like its own: in order, recorded in plans, poisoned on failure.
// A kernel takes a record as its fields describe it, in order; V fields take `count` doubles, all others one:
//
//   static int softcap(const double* record, ao_ctx* ctx) { ...; return 0; }       nonzero after ao_plugin_fail(ctx, "why")
//   static const ao_field softcap_fields[] = {{"out", 'o', 1}, {"x", 'i', 1}, {"n", 'n', 1}, {"cap", 'f', 1}};
//   static const ao_entry entries[] = {{"softcap", softcap_fields, 4, 4, softcap}};
//   AO_PLUGIN(entries)
//
// Build it as a shared library and call it from TypeScript by nativeKernel(path, 'softcap') of @ao/kernels-cpu. It must not throw.
#pragma once
#include "ao/kernel.h"

// What the stream lends a library: `ao_plugin_host->scratch(ctx, bytes)`.
typedef struct ao_host {
  size_t size; // of this struct, so that it may grow
  int (*threads)(const ao_ctx* ctx);
  // fn(arg, begin, end, thread) over [0, n) in chunks of at most `chunk`, on this thread (0) and others (below threads(ctx));
  // returns when all is done. fn must not fail or use the context.
  void (*parallel_for)(ao_ctx* ctx, int64_t n, int64_t chunk, ao_range_fn fn, void* arg);
  // 64-byte aligned memory until the kernel returns, null where memory is out. Each call gives another block.
  void* (*scratch)(ao_ctx* ctx, size_t bytes);
  void (*fail)(ao_ctx* ctx, const char* reason);
} ao_host;

// The one function that the stream looks up; 1 is the version of this header.
typedef const ao_entry* (*ao_plugin_open_fn)(const ao_host* host, int* count);
#define AO_PLUGIN_OPEN "ao_plugin_open_1"

#ifdef __cplusplus
#define AO_PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define AO_PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

static const ao_host* ao_plugin_host;

#define AO_PLUGIN(table)                                                                                               \
  AO_PLUGIN_EXPORT const ao_entry* ao_plugin_open_1(const ao_host* host, int* count) {                                 \
    ao_plugin_host = host;                                                                                             \
    *count = (int)(sizeof table / sizeof table[0]);                                                                    \
    return table;                                                                                                      \
  }

static inline int ao_plugin_fail(ao_ctx* ctx, const char* reason) {
  ao_plugin_host->fail(ctx, reason);
  return 1;
}
