// Marks what CUDA kernels share with the host: scalar code is written once (kernels/cuda includes it), so equal bits follow.
#pragma once

#if defined(__CUDACC__)
#define AO_HD __host__ __device__
#else
#define AO_HD
#endif
