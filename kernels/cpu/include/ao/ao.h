// The C ABI of the cpu kernels. Each row of exports.inc becomes a POD argument struct, a prototype
//   int ao_cpu_<name>(const ao_<name>_args*, ao_ctx*)     0 = ok; else the reason is in ao_ctx_error
// and an entry of AO_ROW(entries)(), whose `run` takes the same arguments as a record of doubles (pointers below
// 2^48 and integers below 2^53 are exact), so that eager calls, captured plans and replays share one record.
#pragma once
#include "ao/kernel.h"
#include "ao/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

// Instruction sets a build carries; the best one the machine has is chosen when a context is made.
typedef enum ao_isa {
  AO_ISA_PORTABLE = 0,
  AO_ISA_AVX2 = 1,
  AO_ISA_AVX512 = 2,
  AO_ISA_NEON = 3,
  AO_ISA_DOTPROD = 4,
  AO_ISA_I8MM = 5
} ao_isa;

// threads 0 = min(affinity, cgroup quota, cores); isa NULL or "" = the best of this machine. On failure returns NULL and
// writes the reason to err.
ao_ctx* ao_ctx_create(int threads, const char* isa, char* err, size_t err_size);
void ao_ctx_destroy(ao_ctx* ctx);
int ao_ctx_threads(const ao_ctx* ctx);
ao_isa ao_ctx_isa(const ao_ctx* ctx);
const char* ao_isa_name(ao_isa isa);

// Runs fn(arg, begin, end, thread) over [0, n) in chunks of at most `chunk`, taken from one atomic counter; the caller is
// thread 0. Runs inline where n <= chunk. fn must not fail or call ao_parallel_for.
void ao_parallel_for(ao_ctx* ctx, int64_t n, int64_t chunk, ao_range_fn fn, void* arg);

// 64-byte aligned memory that lives until ao_ctx_reset; several calls give separate blocks; NULL where there is none
// left.
// For the stream's own thread, not inside ao_parallel_for.
void* ao_scratch(ao_ctx* ctx, size_t bytes);

// Records a printf-style reason and returns 1, so that kernels write `return ao_fail(ctx, ...)`.
int ao_fail(ao_ctx* ctx, const char* format, ...) __attribute__((format(printf, 2, 3)));
const char* ao_ctx_error(const ao_ctx* ctx);
// Frees the scratch and the error of the last command; the stream calls it between commands.
void ao_ctx_reset(ao_ctx* ctx);

// --- argument structs, from the rows ---
#define IN(n) const void* n;
#define OUT(n) void* n;
#define INOUT(n) void* n;
#define I(n) int64_t n;
#define F(n) double n;
#define V(n, count) int64_t n[count];
#define AO_FN(name, fields)                                                                                            \
  typedef struct ao_##name##_args {                                                                                    \
    fields                                                                                                             \
  } ao_##name##_args;                                                                                                  \
  int AO_ROW(name)(const ao_##name##_args* a, ao_ctx* ctx);
#include "../../exports.inc"
#undef AO_FN
#undef IN
#undef OUT
#undef INOUT
#undef I
#undef F
#undef V

// --- the table behind the binding ---
const ao_entry* AO_ROW(entries)(int* count);
// FNV-1a (64 bit) as 16 hex digits over the text "AO_FN(<name>, <fields>)\n" of all rows in order, white space between
// tokens as one space; the TypeScript side was generated from rows with the same hash.
const char* AO_ROW(abi_hash)(void);

#ifdef __cplusplus
}
#endif
