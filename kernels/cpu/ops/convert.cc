#include "ops/convert.h"

namespace ao {
namespace {

template <class T, class To, class Fn>
void load_run(const void* x, int64_t stride, To* out, int64_t n, Fn convert) {
  const T* p = static_cast<const T*>(x);
  if (stride == 1) {
    for (int64_t i = 0; i < n; i++) out[i] = convert(p[i]);
  } else {
    for (int64_t i = 0; i < n; i++) out[i] = convert(p[i * stride]);
  }
}

template <class T, class From, class Fn>
void store_run(void* out, int64_t stride, const From* x, int64_t n, Fn convert) {
  T* p = static_cast<T*>(out);
  if (stride == 1) {
    for (int64_t i = 0; i < n; i++) p[i] = static_cast<T>(convert(x[i]));
  } else {
    for (int64_t i = 0; i < n; i++) p[i * stride] = static_cast<T>(convert(x[i]));
  }
}

} // namespace

void load_floats(int64_t dtype, const void* x, int64_t stride, float* out, int64_t n) {
  const auto cast = [](auto v) { return static_cast<float>(v); };
  switch (dtype) {
  case AO_F32:
    return load_run<float>(x, stride, out, n, cast);
  case AO_F16:
    return load_run<uint16_t>(x, stride, out, n, ao_from_f16);
  case AO_BF16:
    return load_run<uint16_t>(x, stride, out, n, ao_from_bf16);
  case AO_F8E4M3:
    return load_run<uint8_t>(x, stride, out, n, ao_from_f8e4m3);
  case AO_F8E5M2:
    return load_run<uint8_t>(x, stride, out, n, ao_from_f8e5m2);
  case AO_I8:
    return load_run<int8_t>(x, stride, out, n, cast);
  case AO_U8:
    return load_run<uint8_t>(x, stride, out, n, cast);
  case AO_I32:
    return load_run<int32_t>(x, stride, out, n, cast);
  case AO_I64:
    return load_run<int64_t>(x, stride, out, n, cast);
  default:
    return load_run<uint8_t>(x, stride, out, n, [](uint8_t v) { return v ? 1.0f : 0.0f; });
  }
}

void store_floats(int64_t dtype, void* out, int64_t stride, const float* x, int64_t n) {
  const auto integer = [](float v) { return static_cast<uint64_t>(truncate(v)); };
  switch (dtype) {
  case AO_F32:
    return store_run<float>(out, stride, x, n, [](float v) { return v; });
  case AO_F16:
    return store_run<uint16_t>(out, stride, x, n, ao_to_f16);
  case AO_BF16:
    return store_run<uint16_t>(out, stride, x, n, ao_to_bf16);
  case AO_F8E4M3:
    return store_run<uint8_t>(out, stride, x, n, ao_to_f8e4m3);
  case AO_F8E5M2:
    return store_run<uint8_t>(out, stride, x, n, ao_to_f8e5m2);
  case AO_I8:
  case AO_U8:
    return store_run<uint8_t>(out, stride, x, n, integer);
  case AO_I32:
    return store_run<uint32_t>(out, stride, x, n, integer);
  case AO_I64:
    return store_run<uint64_t>(out, stride, x, n, integer);
  default:
    return store_run<uint8_t>(out, stride, x, n, [](float v) { return v != 0; });
  }
}

void load_integers(int64_t dtype, const void* x, int64_t stride, int64_t* out, int64_t n) {
  const auto cast = [](auto v) { return static_cast<int64_t>(v); };
  switch (dtype) {
  case AO_I8:
    return load_run<int8_t>(x, stride, out, n, cast);
  case AO_U8:
    return load_run<uint8_t>(x, stride, out, n, cast);
  case AO_I32:
    return load_run<int32_t>(x, stride, out, n, cast);
  case AO_I64:
    return load_run<int64_t>(x, stride, out, n, cast);
  default:
    return load_run<uint8_t>(x, stride, out, n, [](uint8_t v) { return static_cast<int64_t>(v != 0); });
  }
}

void store_integers(int64_t dtype, void* out, int64_t stride, const int64_t* x, int64_t n) {
  const auto low = [](int64_t v) { return static_cast<uint64_t>(v); };
  switch (dtype) {
  case AO_I8:
  case AO_U8:
    return store_run<uint8_t>(out, stride, x, n, low);
  case AO_I32:
    return store_run<uint32_t>(out, stride, x, n, low);
  case AO_I64:
    return store_run<uint64_t>(out, stride, x, n, low);
  default:
    return store_run<uint8_t>(out, stride, x, n, [](int64_t v) { return v != 0; });
  }
}

} // namespace ao
