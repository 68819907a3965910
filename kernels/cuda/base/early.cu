#include "base/early.h"

#include <stdlib.h>
#include <string.h>

namespace ao {
#if !defined(AO_EMULATE)

// AO_CUDA_EARLY=0 leaves it. All kernels are built for the same architectures, so the first that is asked for answers for all.
bool starts_early(ao_ctx* ctx, const void* kernel) {
  if (ctx->early < 0) {
    cudaFuncAttributes attributes{};
    const char* wanted = getenv("AO_CUDA_EARLY");
    const bool known =
        !(wanted && strcmp(wanted, "0") == 0) && cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess;
    ctx->early = known && attributes.ptxVersion >= 90 && attributes.binaryVersion >= 90;
    if (!known) cudaGetLastError();
  }
  return ctx->early == 1;
}

#endif
} // namespace ao
