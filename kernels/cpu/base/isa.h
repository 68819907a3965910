// Choosing code by instruction set. A function defined in an <dir>/isa/*.cc file lives in namespace ao::AO_ISA_NS, so
// each build has its own symbol; a header declares all of them at once and a caller picks one by the context:
//   AO_ISA_DECLARE(void, exp_row, (float* out, const float* x, int64_t n))
//   AO_ISA_PICK(ctx, exp_row)(out, x, n);
#pragma once
#include "ao/ao.h"

#if defined(AO_HAVE_AVX2) || defined(AO_ISA_LEVEL)
#define AO_ISA_DECLARE(result, name, params)                                                                           \
  namespace ao {                                                                                                       \
  namespace portable {                                                                                                 \
  result name params;                                                                                                  \
  }                                                                                                                    \
  }                                                                                                                    \
  namespace ao {                                                                                                       \
  namespace avx2 {                                                                                                     \
  result name params;                                                                                                  \
  }                                                                                                                    \
  }                                                                                                                    \
  namespace ao {                                                                                                       \
  namespace avx512 {                                                                                                   \
  result name params;                                                                                                  \
  }                                                                                                                    \
  }
#define AO_ISA_PICK(ctx, name)                                                                                         \
  (ao_ctx_isa(ctx) == AO_ISA_AVX512 ? ao::avx512::name                                                                 \
   : ao_ctx_isa(ctx) == AO_ISA_AVX2 ? ao::avx2::name                                                                   \
                                    : ao::portable::name)
#else
#define AO_ISA_DECLARE(result, name, params)                                                                           \
  namespace ao {                                                                                                       \
  namespace portable {                                                                                                 \
  result name params;                                                                                                  \
  }                                                                                                                    \
  }
#define AO_ISA_PICK(ctx, name) ((void)(ctx), ao::portable::name)
#endif

namespace ao {
// The best set of this machine and build, or the one `name` asks for; false with the reason in err.
bool choose_isa(const char* name, ao_isa* isa, char* err, size_t err_size);
bool isa_supported(ao_isa isa);
} // namespace ao
