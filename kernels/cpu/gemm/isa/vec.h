// The vector of the kernels: 16 lanes, one panel row. VF holds float32, VI int32. One of four builds:
//   portable  GCC vector types, no fused multiply-add;  avx2  two ymm;  avx512  one zmm;  NEON  four q registers
// v_fma(a, b, c) = a b + c, fused where the ISA can. Loads and stores are unaligned.
#pragma once
#if AO_ISA_LEVEL > 0
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif
#include <stdint.h>
#include <string.h>

#include "base/dtype.h"

#define AO_INLINE inline __attribute__((always_inline))
#define AO_ALWAYS __attribute__((always_inline)) // of a lambda

namespace ao {
namespace AO_ISA_NS {
namespace {

// The first and the second four of eight columns.
template <class W>
struct Two {
  W first, second;
};

} // namespace
} // namespace AO_ISA_NS
} // namespace ao

#if AO_ISA_LEVEL == 2
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" // GCC 12's own avx512 headers
#include "gemm/isa/vec_avx512.h"
#elif AO_ISA_LEVEL == 1
#include "gemm/isa/vec_avx2.h"
#elif defined(__ARM_NEON)
#include "gemm/isa/vec_neon.h"
#else
#include "gemm/isa/vec_portable.h"
#endif

namespace ao {
namespace AO_ISA_NS {
namespace {

// Tiles come in these heights only, largest first; a block of rows is cut greedily.
constexpr int shorter_tile(int rows) { return rows > 6 ? 6 : rows > 4 ? 4 : rows - 1; }

// 16 values of a float dtype.
inline VF v_load_as(int32_t dtype, const void* p) {
  return dtype == AO_F32 ? v_load((const float*)p) : dtype == AO_BF16 ? v_load_bf16(p) : v_load_f16(p);
}

inline void v_store_as(int32_t dtype, void* p, VF v) {
  if (dtype == AO_F32)
    v_store((float*)p, v);
  else if (dtype == AO_BF16)
    v_store_bf16(p, v);
  else
    v_store_f16(p, v);
}

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
