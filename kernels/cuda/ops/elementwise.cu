// Elementwise rows; the formulas open kernels/cpu/ops/unary.cc, binary.cc, where.cc, fill.cc, silu_mul.cc and activation_backward.cc.
#include "ops/elementwise.h"

#include "base/ctx.h"
#include "base/elements.h"
#include "ops/functions.h"
#include "ops/map.h"
#include "ops/strides.h"

namespace ao {
namespace {

struct UnaryFn {
  int op;
  __device__ float operator()(float v) const { return unary_float(op, v); }
};
struct ClampFn {
  float low, high;
  __device__ float operator()(float v) const {
    const float raised = v < low ? low : v;
    return raised > high ? high : raised;
  }
};
struct BinaryFn {
  int op;
  __device__ float operator()(float a, float b) const { return binary_float(op, a, b); }
};
// The two that training lives on, without the code of the others.
struct AddFn {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct MulFn {
  __device__ float operator()(float a, float b) const { return a * b; }
};
// A number in the place of one operand.
struct BinaryNumberFn {
  int op;
  bool first; // the number is a
  float number;
  __device__ float operator()(float v) const {
    return first ? binary_float(op, number, v) : binary_float(op, v, number);
  }
};
template <int d>
struct SiluMulFn {
  __device__ float operator()(float gate, float up) const {
    return rounded<d>(d == AO_F32 ? silu(gate) : near_silu(gate)) * up;
  }
};
struct ActivationBackwardFn {
  int op;
  __device__ float operator()(float g, float x) const { return g * activation_slope(op, x); }
};

__global__ void fill_kernel(void* out, int64_t n, int size, uint64_t bits) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    if (size == 1)
      static_cast<uint8_t*>(out)[i] = static_cast<uint8_t>(bits);
    else if (size == 2)
      static_cast<uint16_t*>(out)[i] = static_cast<uint16_t>(bits);
    else if (size == 4)
      static_cast<uint32_t*>(out)[i] = static_cast<uint32_t>(bits);
    else
      static_cast<uint64_t*>(out)[i] = bits;
  }
}

__global__ void unary_integer_kernel(void* out, const void* x, int64_t n, int64_t dtype, int op) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    store_integer(dtype, out, i, unary_integer(op, load_integer(dtype, x, i)));
}

__global__ void clamp_integer_kernel(void* out, const void* x, int64_t n, int64_t dtype, double low, double high) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t v = load_integer(dtype, x, i);
    const int64_t raised = static_cast<double>(v) < low ? truncate(low) : v;
    store_integer(dtype, out, i, static_cast<double>(raised) > high ? truncate(high) : raised);
  }
}

struct BinarySide {
  const void* data; // null: the number
  double number;
};

__global__ void binary_kernel(void* out, BinarySide a, BinarySide b, Walk<3> walk, int64_t n, int64_t dtype, int op) {
  const bool floats = is_float_dtype(dtype);
  const int64_t out_dtype = op >= EQ ? int64_t{AO_BOOL} : dtype, inner = walk.inner();
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const auto at = walk.offsets(i / inner);
    const int64_t j = i % inner, x = at.at[0] + j * walk.inner_stride(0), y = at.at[1] + j * walk.inner_stride(1),
                  z = at.at[2] + j * walk.inner_stride(2);
    if (floats) {
      const float v = binary_float(op, a.data ? load_float(dtype, a.data, x) : static_cast<float>(a.number),
                                   b.data ? load_float(dtype, b.data, y) : static_cast<float>(b.number));
      if (op >= EQ)
        static_cast<uint8_t*>(out)[z] = v != 0;
      else
        store_float(dtype, out, z, v);
    } else {
      store_integer(out_dtype, out, z,
                    binary_integer(op, a.data ? load_integer(dtype, a.data, x) : truncate(a.number),
                                   b.data ? load_integer(dtype, b.data, y) : truncate(b.number)));
    }
  }
}

__device__ void move(void* out, int64_t to, const void* from, int64_t at, int size) {
  if (size == 1)
    static_cast<uint8_t*>(out)[to] = static_cast<const uint8_t*>(from)[at];
  else if (size == 2)
    static_cast<uint16_t*>(out)[to] = static_cast<const uint16_t*>(from)[at];
  else if (size == 4)
    static_cast<uint32_t*>(out)[to] = static_cast<const uint32_t*>(from)[at];
  else
    static_cast<uint64_t*>(out)[to] = static_cast<const uint64_t*>(from)[at];
}

struct Choice {
  const void* data; // null: the number
  uint64_t number;
};

__global__ void where_kernel(void* out, const uint8_t* cond, Choice a, Choice b, Walk<4> walk, int64_t n, int size) {
  const int64_t inner = walk.inner();
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const auto at = walk.offsets(i / inner);
    const int64_t j = i % inner;
    const bool first = cond[at.at[0] + j * walk.inner_stride(0)] != 0;
    const Choice& c = first ? a : b;
    const int side = first ? 1 : 2;
    const int64_t to = at.at[3] + j * walk.inner_stride(3);
    if (c.data)
      move(out, to, c.data, at.at[side] + j * walk.inner_stride(side), size);
    else
      move(out, to, &c.number, 0, size);
  }
}

template <int d>
__global__ void silu_mul_rows_kernel(void* out, const void* gate, const void* up, int64_t rows, int64_t n,
                                     int64_t gate_stride, int64_t up_stride) {
  const SiluMulFn<d> fn;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < rows * n; i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t r = i / n, c = i % n;
    store<d>(out, i, fn(load<d>(gate, r * gate_stride + c), load<d>(up, r * up_stride + c)));
  }
}

template <int d>
__global__ void silu_mul_backward_kernel(void* dgate, void* dup, const void* g, const void* gate, const void* up,
                                         int64_t n, bool wide) {
  const auto slopes = [](float gi, float x, float u, float* to_gate, float* to_up) {
    const float s = d == AO_F32 ? sigmoid(x) : near_sigmoid(x);
    *to_gate = gi * u * silu_slope(x, s);
    *to_up = gi * (x < -88.0f ? -88.0f * s : x * s);
  };
  const int64_t first = blockIdx.x * int64_t{blockDim.x} + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  constexpr int count = Piece<d>::count;
  const int64_t pieces = wide ? n / count : 0;
  for (int64_t i = first; i < pieces; i += step) {
    Piece<d> gs, xs, us;
    gs.load(g, i), xs.load(gate, i), us.load(up, i);
    for (int k = 0; k < count; k++) slopes(gs.v[k], xs.v[k], us.v[k], &xs.v[k], &us.v[k]);
    xs.store(dgate, i), us.store(dup, i);
  }
  for (int64_t i = pieces * count + first; i < n; i += step) {
    float to_gate, to_up;
    slopes(load<d>(g, i), load<d>(gate, i), load<d>(up, i), &to_gate, &to_up);
    store<d>(dgate, i, to_gate), store<d>(dup, i, to_up);
  }
}

__global__ void add_scalar_kernel(int32_t* x, int64_t n, int64_t value) {
  let_next_start();
  await_previous();
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    x[i] = static_cast<int32_t>(static_cast<uint32_t>(x[i]) + static_cast<uint32_t>(value));
}

__global__ void scale_kernel(void* x, const float* factor, int64_t n, int64_t dtype, float value, bool clip) {
  float f = factor ? *factor : value;
  if (clip) {
    const float wanted = value / (f + 1e-6f);
    f = wanted > 1 ? 1 : wanted;
  }
  if (f == 1) return;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    store_float(dtype, x, i, load_float(dtype, x, i) * f);
}

bool in_order(int64_t ndim, const int64_t* shape, const int64_t* strides) {
  int64_t step = 1;
  for (int64_t d = ndim - 1; d >= 0; d--) {
    if (shape[d] != 1 && strides[d] != step) return false;
    step *= shape[d];
  }
  return true;
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_fill(const ao_fill_args* a, ao_ctx* ctx) {
  if (need_known(ctx, "fill", a->dtype)) return 1;
  uint64_t bits = 0;
  store_scalar(a->dtype, &bits, 0, a->value);
  if (a->n == 0) return 0;
  return launch(ctx, "fill", fill_kernel, blocks_for(ctx, a->n), kThreads, 0, a->out, a->n, ao_dtype_size(a->dtype),
                bits);
}

extern "C" int ao_cuda_unary(const ao_unary_args* a, ao_ctx* ctx) {
  if (a->op < 0 || a->op >= UNARY_OPS)
    return ao_fail(ctx, "unary: code %lld is not known", static_cast<long long>(a->op));
  if (need_known(ctx, "unary", a->dtype)) return 1;
  const int op = static_cast<int>(a->op);
  if (a->n == 0) return 0;
  if (!is_float_dtype(a->dtype)) {
    const bool keeps = op == NEG || op == ABS || op == RELU || (op >= ROUND && op <= SIGN);
    if (!keeps || a->dtype == AO_BOOL)
      return ao_fail(ctx, "unary: code %d on %s; cast to float32 first", op, ao_dtype_name(a->dtype));
    return launch(ctx, "unary", unary_integer_kernel, blocks_for(ctx, a->n), kThreads, 0, a->out, a->x, a->n, a->dtype,
                  op);
  }
  if (need_float(ctx, "unary", a->dtype)) return 1;
  return map_floats(ctx, "unary", a->dtype, a->out, UnaryFn{op}, a->n, a->x);
}

extern "C" int ao_cuda_clamp(const ao_clamp_args* a, ao_ctx* ctx) {
  if (need_known(ctx, "clamp", a->dtype)) return 1;
  if (a->n == 0) return 0;
  if (!is_float_dtype(a->dtype))
    return launch(ctx, "clamp", clamp_integer_kernel, blocks_for(ctx, a->n), kThreads, 0, a->out, a->x, a->n, a->dtype,
                  ceil(a->min), floor(a->max));
  if (need_float(ctx, "clamp", a->dtype)) return 1;
  return map_floats(ctx, "clamp", a->dtype, a->out, ClampFn{static_cast<float>(a->min), static_cast<float>(a->max)},
                    a->n, a->x);
}

extern "C" int ao_cuda_binary(const ao_binary_args* a, ao_ctx* ctx) {
  const int op = static_cast<int>(a->op);
  const bool floats = is_float_dtype(a->dtype);
  if (a->op < 0 || a->op >= BINARY_OPS)
    return ao_fail(ctx, "binary: code %lld is not known", static_cast<long long>(a->op));
  if (need_ndim(ctx, "binary", a->ndim) || need_known(ctx, "binary", a->dtype)) return 1;
  if (floats && need_float(ctx, "binary", a->dtype)) return 1;
  if (!floats && op == DIV) return ao_fail(ctx, "binary: div of %s; cast to float32 first", ao_dtype_name(a->dtype));
  int64_t out_strides[6], n = 1;
  for (int64_t d = a->ndim - 1; d >= 0; d--) out_strides[d] = n, n *= a->shape[d];
  if (n == 0) return 0;
  const bool plain_a = !a->a || in_order(a->ndim, a->shape, a->a_strides),
             plain_b = !a->b || in_order(a->ndim, a->shape, a->b_strides);
  if (floats && op < EQ && plain_a && plain_b && (a->a || a->b)) {
    if (a->a && a->b) {
      if (op == ADD) return map_floats(ctx, "binary", a->dtype, a->out, AddFn(), n, a->a, a->b);
      if (op == MUL) return map_floats(ctx, "binary", a->dtype, a->out, MulFn(), n, a->a, a->b);
      return map_floats(ctx, "binary", a->dtype, a->out, BinaryFn{op}, n, a->a, a->b);
    }
    const BinaryNumberFn fn{op, !a->a, static_cast<float>(a->a ? a->b_scalar : a->a_scalar)};
    return map_floats(ctx, "binary", a->dtype, a->out, fn, n, a->a ? a->a : a->b);
  }
  const int64_t* strides[3] = {a->a_strides, a->b_strides, out_strides};
  return launch(ctx, "binary", binary_kernel, blocks_for(ctx, n), kThreads, 0, a->out, BinarySide{a->a, a->a_scalar},
                BinarySide{a->b, a->b_scalar}, merge_dims<3>(a->ndim, a->shape, strides), n, a->dtype, op);
}

extern "C" int ao_cuda_where(const ao_where_args* a, ao_ctx* ctx) {
  if (need_ndim(ctx, "where", a->ndim) || need_known(ctx, "where", a->dtype)) return 1;
  int64_t out_strides[6], zeros[6] = {}, n = 1;
  for (int64_t d = a->ndim - 1; d >= 0; d--) out_strides[d] = n, n *= a->shape[d];
  if (n == 0) return 0;
  Choice x{a->a, 0}, y{a->b, 0};
  store_scalar(a->dtype, &x.number, 0, a->a_scalar);
  store_scalar(a->dtype, &y.number, 0, a->b_scalar);
  const int64_t* strides[4] = {a->cond_strides, a->a ? a->a_strides : zeros, a->b ? a->b_strides : zeros, out_strides};
  return launch(ctx, "where", where_kernel, blocks_for(ctx, n), kThreads, 0, a->out,
                static_cast<const uint8_t*>(a->cond), x, y, merge_dims<4>(a->ndim, a->shape, strides), n,
                ao_dtype_size(a->dtype));
}

extern "C" int ao_cuda_add_scalar_i32(const ao_add_scalar_i32_args* a, ao_ctx* ctx) {
  if (a->n == 0) return 0;
  return launch_early(ctx, "add_scalar_i32", add_scalar_kernel, blocks_for(ctx, a->n), kThreads, 0,
                      static_cast<int32_t*>(a->x), a->n, a->value);
}

extern "C" int ao_cuda_silu_mul(const ao_silu_mul_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "silu_mul", a->dtype)) return 1;
  const int64_t n = a->rows * a->n;
  if (n == 0) return 0;
  return by_dtype(a->dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    if (a->rows == 1 || (a->gate_stride == a->n && a->up_stride == a->n))
      return map_as<d>(ctx, "silu_mul", a->out, SiluMulFn<d>(), n, a->gate, a->up);
    return launch(ctx, "silu_mul", silu_mul_rows_kernel<d>, blocks_for(ctx, n), kThreads, 0, a->out, a->gate, a->up,
                  a->rows, a->n, a->gate_stride, a->up_stride);
  });
}

extern "C" int ao_cuda_activation_backward(const ao_activation_backward_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "activation_backward", a->dtype)) return 1;
  if (a->op < 0 || a->op > 2)
    return ao_fail(ctx, "activation_backward: code %lld is not known", static_cast<long long>(a->op));
  if (a->n == 0) return 0;
  return map_floats(ctx, "activation_backward", a->dtype, a->dx, ActivationBackwardFn{static_cast<int>(a->op)}, a->n,
                    a->g, a->x);
}

extern "C" int ao_cuda_silu_mul_backward(const ao_silu_mul_backward_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "silu_mul_backward", a->dtype)) return 1;
  if (a->n == 0) return 0;
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const bool wide = aligned(a->dgate) && aligned(a->dup) && aligned(a->g) && aligned(a->gate) && aligned(a->up);
  return by_dtype(a->dtype, [&](auto tag) {
    return launch(ctx, "silu_mul_backward", silu_mul_backward_kernel<decltype(tag)::dtype>,
                  blocks_for(ctx, wide ? ceil_div(a->n, Piece<decltype(tag)::dtype>::count) : a->n), kThreads, 0,
                  a->dgate, a->dup, a->g, a->gate, a->up, a->n, wide);
  });
}

extern "C" int ao_cuda_scale(const ao_scale_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "scale", a->dtype)) return 1;
  if (a->n == 0) return 0;
  return launch(ctx, "scale", scale_kernel, blocks_for(ctx, a->n), kThreads, 0, a->x,
                static_cast<const float*>(a->factor), a->n, a->dtype, static_cast<float>(a->value), a->clip != 0);
}
