// The C ABI of the cuda kernels: the rows of kernels/cpu/exports.inc under the names ao_cuda_<name>, on device memory. A kernel
// only enqueues work on the context's stream. What a kernel finds wrong in its data (an index outside its table) it writes to
// a report, which is read after the stream has come that far.
#pragma once
#include "ao/ao.h"

#ifdef __cplusplus
extern "C" {
#endif

// A failure of a kernel: `plan` and `index` name the command (ao_ctx_at), text says what is wrong.
typedef struct ao_cuda_failure {
  uint32_t plan, index;
  char text[256];
} ao_cuda_failure;

// What command the next kernels belong to: 0 and a sequence number, or a plan and the place in it.
void ao_cuda_at(ao_ctx* ctx, uint32_t plan, uint32_t index);
// Failures reported since the last call, at most `most`. The stream has to be idle.
int ao_cuda_failures(ao_ctx* ctx, ao_cuda_failure* out, int most);

// Runs the first of `count` commands that follow each other in a plan together where one kernel does them; *taken is how many, 0 where
// none go together.
int ao_cuda_fused(const char* const* names, const double* const* records, int count, ao_ctx* ctx, int* taken);

// The reason why CUDA cannot be used here, empty where it can. Writes version numbers as CUDA has them (13020 is 13.2), 0 where
// they are not known: of the driver that is installed, and of the runtime that was built in.
void ao_cuda_probe(char* reason, int size, int* driver, int* runtime, int* devices);
// {"name": ..., "capability": ..., "memory": ..., "multiprocessors": ...} of a device; 0 = done.
int ao_cuda_describe(int device, char* json, int size);

int64_t ao_cuda_weight_packed_size(int64_t code, int64_t n, int64_t k, int64_t group_size, int64_t zero_domain,
                                   int64_t scale_dtype, int64_t zero_dtype, int64_t bits, int64_t activation);

#ifdef __cplusplus
}
#endif
