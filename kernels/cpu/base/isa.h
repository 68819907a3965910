// Choosing code by instruction set. A function defined in an <dir>/isa/*.cc file lives in namespace ao::AO_ISA_NS, so
// each build has its own symbol; a header declares all of them at once and a caller picks one by the context:
//   AO_ISA_DECLARE(void, exp_row, (float* out, const float* x, int64_t n))
//   AO_ISA_PICK(ctx, exp_row)(out, x, n);
#pragma once
#include "ao/ao.h"

// What a build for this architecture holds, each set within the next: X(namespace and name, ao_isa, ...).
#if defined(__x86_64__)
#ifdef AO_WITHOUT_avx2 // by the option of CMakeLists.txt
#define AO_ISA_WITH_avx2(X, ...)
#else
#define AO_ISA_WITH_avx2(X, ...) X(avx2, AO_ISA_AVX2, __VA_ARGS__)
#endif
#ifdef AO_WITHOUT_avx512
#define AO_ISA_WITH_avx512(X, ...)
#else
#define AO_ISA_WITH_avx512(X, ...) X(avx512, AO_ISA_AVX512, __VA_ARGS__)
#endif
#define AO_ISA_EACH(X, ...)                                                                                            \
  X(portable, AO_ISA_PORTABLE, __VA_ARGS__) AO_ISA_WITH_avx2(X, __VA_ARGS__) AO_ISA_WITH_avx512(X, __VA_ARGS__)
#define AO_ISA_BASE portable
#elif defined(__aarch64__)
#define AO_ISA_EACH(X, ...)                                                                                            \
  X(neon, AO_ISA_NEON, __VA_ARGS__) X(dotprod, AO_ISA_DOTPROD, __VA_ARGS__) X(i8mm, AO_ISA_I8MM, __VA_ARGS__)
#define AO_ISA_BASE neon
#else
#define AO_ISA_EACH(X, ...) X(portable, AO_ISA_PORTABLE, __VA_ARGS__)
#define AO_ISA_BASE portable
#endif

#define AO_ISA_DECLARE_IN(space, isa, result, name, params)                                                            \
  namespace ao {                                                                                                       \
  namespace space {                                                                                                    \
  result name params;                                                                                                  \
  }                                                                                                                    \
  }
#define AO_ISA_DECLARE(result, name, params) AO_ISA_EACH(AO_ISA_DECLARE_IN, result, name, params)
#define AO_ISA_PICK_IN(space, isa, ctx, name) ao_ctx_isa(ctx) == isa ? ao::space::name:
#define AO_ISA_PICK(ctx, name) (AO_ISA_EACH(AO_ISA_PICK_IN, ctx, name) ao::AO_ISA_BASE::name)
#define AO_ISA_VALUE(space, isa, ...) isa,

namespace ao {
inline constexpr ao_isa kIsas[] = {AO_ISA_EACH(AO_ISA_VALUE)}; // from the least to the best

// The best set of this machine and build, or the one `name` asks for; false with the reason in err.
bool choose_isa(const char* name, ao_isa* isa, char* err, size_t err_size);
bool isa_supported(ao_isa isa);
} // namespace ao
