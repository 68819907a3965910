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

#include <type_traits>

#include "base/dtype.h"

#ifdef __SANITIZE_ADDRESS__ // the same checks wherever code is inlined, and a build of half the time
#define AO_INLINE inline
#define AO_ALWAYS
#else
#define AO_INLINE inline __attribute__((always_inline))
#define AO_ALWAYS __attribute__((always_inline)) // of a lambda
#endif

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

#include "gemm/isa/lut_avx512.h"
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

// Magnitudes of floats of fewer exponent bits, these and the mantissa where float32 has them: `up` lifts the exponents to float32's,
// `least` is the least normal value. Multiplied by a power of two instead, the subnormals would be float32's too, which Intel
// processors multiply 100 times slower. Lifted, a subnormal reads x = (least + value) / 2, so that value = 2 x - least, less than x,
// while 2 x - least >= x for the others; all of it is exact.
inline VF v_from_small(VI magnitude, VI up, VF least) {
  if (kQuickSubnormals) return v_mul(v_bits(magnitude), v_bits(vi_add(up, vi_set1(127 << 23))));
  const VF x = v_bits(vi_add(magnitude, up));
  return v_min(x, v_sub(v_add(x, x), least));
}

// 16 scales: of a float dtype, or a byte each. A power of two is the product of two halves of its exponent, which reaches the
// subnormal 2^-127; 255 becomes infinity there, and the sum NaN.
inline VF v_load_scale(int32_t dtype, const void* p) {
  if (dtype == AO_F8E8M0) {
    const VI code = vi_from_u8(p), half = vi_shr(code, 1);
    const VF v = v_mul(v_bits(vi_shl(vi_add(half, vi_set1(64)), 23)),
                       v_bits(vi_shl(vi_add(vi_sub(code, half), vi_set1(63)), 23)));
    return v_add(v, v_sub(v, v));
  }
  if (dtype == AO_F8E4M3) {
    const VI code = vi_from_u8(p), magnitude = vi_and(code, vi_set1(127));
    const VI nan = vi_mul(vi_and(vi_add(magnitude, vi_set1(1)), vi_set1(128)), vi_set1(0xff8000));
    const VI sign = vi_shl(vi_sub(code, magnitude), 24);
    const VF v = v_from_small(vi_shl(magnitude, 20), vi_set1(120 << 23), v_set1(0x1p-6f));
    return v_bits(vi_or(vi_or(sign, nan), vi_bits(v)));
  }
  return v_load_as(dtype, p);
}

// 16 zero points.
inline VF v_load_zero(int32_t dtype, const void* p) {
  if (dtype == AO_I8) return v_cvt(vi_from_i8(p));
  if (dtype == AO_U8) return v_cvt(vi_from_u8(p));
  return v_load_as(dtype, p);
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
