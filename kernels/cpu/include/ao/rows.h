// The C name of a row of exports.inc: this backend's, or that of another which has the same rows (kernels/cuda).
#pragma once
#include <stdint.h>

#if defined(AO_CUDA_ROWS)
#define AO_ROW(name) ao_cuda_##name
#else
#define AO_ROW(name) ao_cpu_##name
#endif
