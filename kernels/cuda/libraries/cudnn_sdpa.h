// Attention of 16-bit floats on cuDNN, where it is found and takes the shapes: its flash kernels use all that a GPU has.
#pragma once
#include "base/ctx.h"

namespace ao {

struct CudnnPlans;
void close_cudnn(CudnnPlans* plans);

// *done tells whether the library did it; 1 with the error recorded where it failed underway. AO_CUDA_DNN=0 leaves all to own kernels.
int cudnn_sdpa(ao_ctx* ctx, const ao_sdpa_args* a, bool* done);
int cudnn_sdpa_backward(ao_ctx* ctx, const ao_sdpa_backward_args* a, bool* done);

} // namespace ao
