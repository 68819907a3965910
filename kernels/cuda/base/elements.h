// Elements of tensors by dtype, known at run time (uniform branches, for kernels that are not bound by memory) or when compiled.
#pragma once
#include <cuda_runtime.h>
#include <math.h>

#include "base/dtype.h"
#include "ops/check.h"
#include "ops/convert.h"

namespace ao {

// float16 by the instruction of the device; the bits are those of ao_to_f16, but for the payload of NaN.
AO_HD inline float from_f16(uint16_t h) {
#if defined(__CUDA_ARCH__)
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
  return x;
#else
  return ao_from_f16(h);
#endif
}
AO_HD inline uint16_t to_f16(float x) {
#if defined(__CUDA_ARCH__)
  if (x != x) return ao_to_f16(x);
  uint16_t h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
  return h;
#else
  return ao_to_f16(x);
#endif
}

template <int dtype>
AO_HD inline float load(const void* p, int64_t i) {
  if constexpr (dtype == AO_F32) return static_cast<const float*>(p)[i];
  const uint16_t h = static_cast<const uint16_t*>(p)[i];
  return dtype == AO_BF16 ? ao_from_bf16(h) : from_f16(h);
}

template <int dtype>
AO_HD inline void store(void* p, int64_t i, float x) {
  if constexpr (dtype == AO_F32)
    static_cast<float*>(p)[i] = x;
  else
    static_cast<uint16_t*>(p)[i] = dtype == AO_BF16 ? ao_to_bf16(x) : to_f16(x);
}

// x as `dtype` stores it.
template <int dtype>
AO_HD inline float rounded(float x) {
  if constexpr (dtype == AO_F32) return x;
  return dtype == AO_BF16 ? ao_from_bf16(ao_to_bf16(x)) : from_f16(to_f16(x));
}

// Any dtype as a float32.
AO_HD inline float load_float(int64_t dtype, const void* p, int64_t i) {
  switch (dtype) {
  case AO_F32:
    return static_cast<const float*>(p)[i];
  case AO_F16:
    return from_f16(static_cast<const uint16_t*>(p)[i]);
  case AO_BF16:
    return ao_from_bf16(static_cast<const uint16_t*>(p)[i]);
  case AO_F8E4M3:
    return ao_from_f8e4m3(static_cast<const uint8_t*>(p)[i]);
  case AO_F8E5M2:
    return ao_from_f8e5m2(static_cast<const uint8_t*>(p)[i]);
  case AO_F8E8M0:
    return ao_from_f8e8m0(static_cast<const uint8_t*>(p)[i]);
  case AO_I8:
    return static_cast<float>(static_cast<const int8_t*>(p)[i]);
  case AO_U8:
    return static_cast<float>(static_cast<const uint8_t*>(p)[i]);
  case AO_I32:
    return static_cast<float>(static_cast<const int32_t*>(p)[i]);
  case AO_I64:
    return static_cast<float>(static_cast<const int64_t*>(p)[i]);
  default:
    return static_cast<const uint8_t*>(p)[i] ? 1.0f : 0.0f;
  }
}

// As a call, so that kernels which seldom need it stay small.
#if defined(AO_EMULATE) || !defined(__CUDACC__)
#define AO_CALLED __device__ inline
#else
#define AO_CALLED static __device__ __noinline__
#endif
AO_CALLED float load_rarely(int dtype, const void* p, int64_t i) { return load_float(dtype, p, i); }

AO_HD inline void store_float(int64_t dtype, void* p, int64_t i, float x) {
  switch (dtype) {
  case AO_F32:
    static_cast<float*>(p)[i] = x;
    break;
  case AO_F16:
    static_cast<uint16_t*>(p)[i] = to_f16(x);
    break;
  case AO_BF16:
    static_cast<uint16_t*>(p)[i] = ao_to_bf16(x);
    break;
  default:
    store_scalar(dtype, p, i, static_cast<double>(x));
  }
}

AO_HD inline int64_t load_integer(int64_t dtype, const void* p, int64_t i) {
  switch (dtype) {
  case AO_I8:
    return static_cast<const int8_t*>(p)[i];
  case AO_U8:
    return static_cast<const uint8_t*>(p)[i];
  case AO_I32:
    return static_cast<const int32_t*>(p)[i];
  case AO_I64:
    return static_cast<const int64_t*>(p)[i];
  default:
    return static_cast<const uint8_t*>(p)[i] != 0;
  }
}

// The low bits; bool tells zero from the rest.
AO_HD inline void store_integer(int64_t dtype, void* p, int64_t i, int64_t v) {
  switch (dtype) {
  case AO_I8:
  case AO_U8:
    static_cast<uint8_t*>(p)[i] = static_cast<uint8_t>(v);
    break;
  case AO_I32:
    static_cast<uint32_t*>(p)[i] = static_cast<uint32_t>(v);
    break;
  case AO_I64:
    static_cast<int64_t*>(p)[i] = v;
    break;
  default:
    static_cast<uint8_t*>(p)[i] = v != 0;
  }
}

AO_HD inline float rounded_to(int64_t dtype, float x) {
  return dtype == AO_BF16 ? rounded<AO_BF16>(x) : dtype == AO_F16 ? rounded<AO_F16>(x) : x;
}

// Calls fn with the dtype as a constant: fn(Tag<AO_BF16>()).
template <int d>
struct Tag {
  static constexpr int dtype = d;
};
template <class Fn>
int by_dtype(int64_t dtype, const Fn& fn) {
  if (dtype == AO_F32) return fn(Tag<AO_F32>());
  return dtype == AO_BF16 ? fn(Tag<AO_BF16>()) : fn(Tag<AO_F16>());
}

// Moves a value of `size` bytes; zeros where `from` is null.
__device__ inline void move(void* out, int64_t to, const void* from, int64_t at, int size) {
  if (size == 1)
    static_cast<uint8_t*>(out)[to] = from ? static_cast<const uint8_t*>(from)[at] : 0;
  else if (size == 2)
    static_cast<uint16_t*>(out)[to] = from ? static_cast<const uint16_t*>(from)[at] : 0;
  else if (size == 4)
    static_cast<uint32_t*>(out)[to] = from ? static_cast<const uint32_t*>(from)[at] : 0;
  else
    static_cast<uint64_t*>(out)[to] = from ? static_cast<const uint64_t*>(from)[at] : 0;
}

} // namespace ao
