// Affine quantization of x [blocks, n]: choose_qparams_affine, quantize_affine, dequantize_affine, fake_quantize, int4; the formulas open
// kernels/cpu/ops/choose_qparams.cc, quantize.cc, fake_quantize.cc and int4.cc. Parameters come from the cpu's own scalar code.
#include "ops/choose_qparams.h"

#include "base/block.h"
#include "base/elements.h"

namespace ao {
namespace {

// Least and greatest of each block; NaN wins.
struct Range {
  float lo, hi;
};

__device__ Range range_of(const void* x, int64_t from, int64_t n, int64_t dtype, int64_t first, int64_t step) {
  const Larger larger;
  float high = -INFINITY, low = -INFINITY;
  for (int64_t i = first; i < n; i += step) {
    const float v = load_float(dtype, x, from + i);
    high = larger(high, v), low = larger(low, -v);
  }
  return {low, high}; // lo negated
}

// One warp a part of a block: [blocks][parts].
__global__ void range_kernel(Range* out, const void* x, int64_t blocks, int64_t n, int64_t parts, int64_t part,
                             int64_t dtype) {
  const int lane = threadIdx.x % kWarp;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kWarp);
  for (int64_t p = blockIdx.x * int64_t{blockDim.x / kWarp} + threadIdx.x / kWarp; p < blocks * parts; p += step) {
    const int64_t from = p % parts * part, count = n - from < part ? n - from : part;
    const Range r = range_of(x, p / parts * n + from, count, dtype, lane, kWarp);
    const float low = reduce_warp(r.lo, Larger()), high = reduce_warp(r.hi, Larger());
    if (lane == 0) out[p] = {-low, high};
  }
}

__device__ Range join(const Range* parts, int64_t b, int64_t count) {
  const Larger larger;
  float high = -INFINITY, low = -INFINITY;
  for (int64_t i = 0; i < count; i++)
    high = larger(high, parts[b * count + i].hi), low = larger(low, -parts[b * count + i].lo);
  return {-low, high};
}

struct Choose {
  int64_t dtype, scale_dtype, zero_dtype, mapping;
  bool preserve_zero;
  double qmin, qmax, eps;
};

__global__ void choose_kernel(void* scale, void* zero, const Range* parts, int64_t blocks, int64_t count, Choose a) {
  for (int64_t b = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; b < blocks; b += int64_t{gridDim.x} * blockDim.x) {
    const Range r = join(parts, b, count);
    const QParams p = choose_qparams(a.dtype, a.mapping, a.preserve_zero, a.qmin, a.qmax, a.eps, r.lo, r.hi);
    store_scalar(a.scale_dtype, scale, b, p.scale);
    if (zero) store_scalar(a.zero_dtype, zero, b, p.zero);
  }
}

// As the cpu's conversion: what does not fit, NaN too, is the least.
__device__ int32_t to_int(float v) {
  return v >= -2147483648.0f && v < 2147483648.0f ? static_cast<int32_t>(v) : INT32_MIN;
}

struct Affine {
  int64_t n, dtype, scale_dtype, zero_dtype, q_dtype, domain, p, add_p;
  float low, high, mid;
};

__global__ void quantize_kernel(void* q, const void* x, const void* scales, const void* zeros, int64_t count,
                                Affine a) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t b = i / a.n;
    const float scale = load_float(a.scale_dtype, scales, b), zero = zeros ? load_float(a.zero_dtype, zeros, b) : 0,
                v = load_float(a.dtype, x, i);
    float r;
    if (a.domain == ZERO_FLOAT) {
      const int64_t pz = zeros ? common_dtype(a.scale_dtype, a.zero_dtype) : a.scale_dtype;
      const float shift = round_to(pz, zero - round_to(a.scale_dtype, scale * a.mid));
      const int64_t p = common_dtype(a.dtype, pz);
      r = nearbyintf(round_to(p, round_to(p, v - shift) / scale));
    } else {
      const float inverse = round_to(a.scale_dtype, 1 / scale);
      r = round_to(a.add_p, nearbyintf(round_to(a.p, v * inverse)) + zero);
    }
    r = r < a.low ? a.low : r > a.high ? a.high : r;
    store_integer(a.q_dtype, q, i, to_int(r));
  }
}

__global__ void dequantize_kernel(void* out, const void* q, const void* scales, const void* zeros, int64_t count,
                                  Affine a) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t b = i / a.n;
    const float scale = load_float(a.scale_dtype, scales, b), zero = zeros ? load_float(a.zero_dtype, zeros, b) : 0;
    const int32_t code = static_cast<int32_t>(load_integer(a.q_dtype, q, i));
    if (a.domain == ZERO_FLOAT) {
      const float centred = round_to(a.dtype, static_cast<float>(code) - a.mid);
      store_float(a.dtype, out, i, round_to(a.dtype, centred * scale) + zero);
    } else {
      const int32_t shift = to_int(a.domain == ZERO_INT ? zero : 0.0f);
      store_float(a.dtype, out, i, round_to(a.dtype, static_cast<float>(code - shift)) * scale);
    }
  }
}

struct Fake {
  Choose choose;
  int64_t p;
};

__global__ void fake_quantize_kernel(void* out, const void* x, const void* grad, const Range* parts, int64_t parts_each,
                                     int64_t n, int64_t count, Fake f) {
  const Choose& a = f.choose;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    const Range r = join(parts, i / n, parts_each);
    const QParams chosen = choose_qparams(a.dtype, a.mapping, true, a.qmin, a.qmax, a.eps, r.lo, r.hi);
    const float scale = round_to(a.scale_dtype, chosen.scale), inverse = round_to(a.scale_dtype, 1 / scale);
    const float low = static_cast<float>(a.qmin), high = static_cast<float>(a.qmax);
    const float q = round_to(f.p, nearbyintf(round_to(f.p, load_float(a.dtype, x, i) * inverse)) + chosen.zero);
    if (grad) {
      store_float(a.dtype, out, i, q < low || q > high ? 0.0f : load_float(a.dtype, grad, i));
    } else {
      const float code = q < low ? low : q > high ? high : q;
      store_float(a.dtype, out, i, round_to(a.dtype, code - chosen.zero) * scale);
    }
  }
}

// --- int4: a warp a group ---

struct Int4 {
  float lo, hi, scale, zero;
  __device__ float code(float v) const {
    const float r = nearbyintf((v - lo) / scale);
    return r < 0 ? 0.0f : r > 15 ? 15.0f : r;
  }
};

__device__ Int4 int4_of(const void* x, int64_t at, int64_t n, int64_t dtype) {
  const Range r = range_of(x, at, n, dtype, threadIdx.x % kWarp, kWarp);
  float lo = -reduce_warp(r.lo, Larger()), hi = reduce_warp(r.hi, Larger());
  if (lo != lo || hi != hi) lo = hi = NAN;
  const float scale = (hi - lo < 1e-6f ? 1e-6f : hi - lo) / 15.0f;
  return {lo, hi, scale, lo + scale * 8.0f};
}

__global__ void quantize_int4_kernel(uint8_t* q, void* scales, void* zeros, const void* x, int64_t rows, int64_t cols,
                                     int64_t g, int64_t dtype, int64_t scale_dtype) {
  const int lane = threadIdx.x % kWarp;
  const int64_t groups = cols / g, step = int64_t{gridDim.x} * (blockDim.x / kWarp);
  for (int64_t n = blockIdx.x * int64_t{blockDim.x / kWarp} + threadIdx.x / kWarp; n < rows * groups; n += step) {
    const int64_t r = n / groups, k = n % groups, at = r * cols + k * g;
    const Int4 group = int4_of(x, at, g, dtype);
    if (lane == 0) {
      store_float(scale_dtype, scales, k * rows + r, group.scale);
      store_float(scale_dtype, zeros, k * rows + r, group.zero);
    }
    for (int64_t i = 2 * lane; i < g; i += 2 * kWarp) {
      const int low = to_int(group.code(load_float(dtype, x, at + i))),
                high = to_int(group.code(load_float(dtype, x, at + i + 1)));
      q[(at + i) / 2] = static_cast<uint8_t>(((low & 15) ^ 8) | ((high & 15) ^ 8) << 4);
    }
  }
}

__global__ void fake_int4_kernel(void* out, const void* x, const void* grad, int64_t groups, int64_t n, int64_t dtype) {
  const int lane = threadIdx.x % kWarp;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kWarp);
  for (int64_t k = blockIdx.x * int64_t{blockDim.x / kWarp} + threadIdx.x / kWarp; k < groups; k += step) {
    const int64_t at = k * n;
    const Int4 group = int4_of(x, at, n, dtype);
    const float shift = group.lo + 8 * group.scale;
    if (!grad) {
      for (int64_t i = lane; i < n; i += kWarp)
        store_float(dtype, out, at + i, (group.code(load_float(dtype, x, at + i)) - 8.0f) * group.scale + shift);
      continue;
    }
    float sum = 0, least = 0, greatest = 0;
    for (int64_t i = lane; i < n; i += kWarp) {
      const float v = load_float(dtype, x, at + i), g = load_float(dtype, grad, at + i),
                  t = (v - group.lo) / group.scale;
      sum += g * (group.code(v) - t);
      least += v == group.lo ? 1.0f : 0.0f;
      greatest += v == group.hi ? 1.0f : 0.0f;
    }
    sum = reduce_warp(sum, Sum()), least = reduce_warp(least, Sum()), greatest = reduce_warp(greatest, Sum());
    const float through = group.hi - group.lo > 1e-6f ? sum / 15 : 0;
    const float to_least = through / least, to_greatest = through / greatest;
    for (int64_t i = lane; i < n; i += kWarp) {
      const float v = load_float(dtype, x, at + i), g = load_float(dtype, grad, at + i);
      const float up = g + (v == group.hi ? to_greatest : 0.0f);
      store_float(dtype, out, at + i, up - (v == group.lo ? to_least : 0.0f));
    }
  }
}

// Ranges of the parts of each block; `parts` of them a block.
Range* ranges(ao_ctx* ctx, const char* op, const void* x, int64_t blocks, int64_t n, int64_t dtype, int64_t* parts) {
  constexpr int64_t kPart = 8192;
  *parts = ceil_div(n, kPart);
  Range* room = scratch<Range>(ctx, blocks * *parts);
  if (!room || launch(ctx, op, range_kernel, blocks_for(ctx, blocks * *parts, 8), 8 * kWarp, 0, room, x, blocks, n,
                      *parts, kPart, dtype))
    return nullptr;
  return room;
}

int check(ao_ctx* ctx, const char* op, int64_t dtype, int64_t scale_dtype, const void* zero, int64_t zero_dtype,
          int64_t q_dtype, int64_t domain) {
  if (need_float(ctx, op, dtype) || need_float(ctx, op, scale_dtype)) return 1;
  if (zero && need_known(ctx, op, zero_dtype)) return 1;
  if (q_dtype != AO_I8 && q_dtype != AO_U8 && q_dtype != AO_I32)
    return ao_fail(ctx, "%s: codes are %s; they are int8, uint8 or int32", op, ao_dtype_name(q_dtype));
  if (domain < 0 || domain > 2)
    return ao_fail(ctx, "%s: zero_domain %lld; it is 0, 1 or 2", op, static_cast<long long>(domain));
  return 0;
}

template <class Args>
Affine affine_of(const Args* a, bool shifted) {
  const int64_t p = common_dtype(a->dtype, a->scale_dtype);
  return {a->n,
          a->dtype,
          a->scale_dtype,
          a->zero_dtype,
          a->q_dtype,
          a->zero_domain,
          p,
          shifted ? common_dtype(p, a->zero_dtype) : p,
          static_cast<float>(a->qmin),
          static_cast<float>(a->qmax),
          static_cast<float>((a->qmax + a->qmin + 1) / 2)};
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_choose_qparams_affine(const ao_choose_qparams_affine_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "choose_qparams_affine", a->dtype)) return 1;
  if (a->mapping < 0 || a->mapping > TINYGEMM || !(a->qmin < a->qmax) || a->n < 1 || !ao_dtype_size(a->scale_dtype) ||
      (a->zero_point && !ao_dtype_size(a->zero_dtype)))
    return ao_fail(ctx, "choose_qparams_affine: mapping %lld, range %g..%g, blocks of %lld",
                   static_cast<long long>(a->mapping), a->qmin, a->qmax, static_cast<long long>(a->n));
  if (a->blocks == 0) return 0;
  int64_t parts;
  Range* room = ranges(ctx, "choose_qparams_affine", a->x, a->blocks, a->n, a->dtype, &parts);
  if (!room) return 1;
  const Choose choose{a->dtype, a->scale_dtype, a->zero_dtype, a->mapping, a->preserve_zero != 0,
                      a->qmin,  a->qmax,        a->eps};
  return launch(ctx, "choose_qparams_affine", choose_kernel, blocks_for(ctx, a->blocks), kThreads, 0, a->scale,
                a->zero_point, room, a->blocks, parts, choose);
}

extern "C" int ao_cuda_quantize_affine(const ao_quantize_affine_args* a, ao_ctx* ctx) {
  if (check(ctx, "quantize_affine", a->dtype, a->scale_dtype, a->zero_point, a->zero_dtype, a->q_dtype, a->zero_domain))
    return 1;
  const int64_t n = a->blocks * a->n;
  if (n == 0) return 0;
  const void* zeros = a->zero_domain == ZERO_NONE ? nullptr : a->zero_point;
  return launch(ctx, "quantize_affine", quantize_kernel, blocks_for(ctx, n), kThreads, 0, a->q, a->x, a->scale, zeros,
                n, affine_of(a, zeros != nullptr));
}

extern "C" int ao_cuda_dequantize_affine(const ao_dequantize_affine_args* a, ao_ctx* ctx) {
  if (check(ctx, "dequantize_affine", a->dtype, a->scale_dtype, a->zero_point, a->zero_dtype, a->q_dtype,
            a->zero_domain))
    return 1;
  const int64_t n = a->blocks * a->n;
  if (n == 0) return 0;
  const void* zeros = a->zero_domain == ZERO_NONE ? nullptr : a->zero_point;
  return launch(ctx, "dequantize_affine", dequantize_kernel, blocks_for(ctx, n), kThreads, 0, a->out, a->q, a->scale,
                zeros, n, affine_of(a, zeros != nullptr));
}

extern "C" int ao_cuda_fake_quantize(const ao_fake_quantize_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "fake_quantize", a->dtype) || need_float(ctx, "fake_quantize", a->scale_dtype)) return 1;
  if (a->mapping < 0 || a->mapping > ASYMMETRIC || !(a->qmin < a->qmax) || a->n < 1)
    return ao_fail(ctx, "fake_quantize: mapping %lld, range %g..%g, blocks of %lld", static_cast<long long>(a->mapping),
                   a->qmin, a->qmax, static_cast<long long>(a->n));
  const int64_t n = a->blocks * a->n;
  if (n == 0) return 0;
  int64_t parts;
  Range* room = ranges(ctx, "fake_quantize", a->x, a->blocks, a->n, a->dtype, &parts);
  if (!room) return 1;
  const Fake fake{{a->dtype, a->scale_dtype, 0, a->mapping, true, a->qmin, a->qmax, a->eps},
                  common_dtype(a->dtype, a->scale_dtype)};
  return launch(ctx, "fake_quantize", fake_quantize_kernel, blocks_for(ctx, n), kThreads, 0, a->out, a->x, a->grad,
                room, parts, a->n, n, fake);
}

extern "C" int ao_cuda_fake_quantize_int4(const ao_fake_quantize_int4_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "fake_quantize_int4", a->dtype)) return 1;
  if (a->n < 1) return ao_fail(ctx, "fake_quantize_int4: groups of %lld", static_cast<long long>(a->n));
  if (a->groups == 0) return 0;
  return launch(ctx, "fake_quantize_int4", fake_int4_kernel, blocks_for(ctx, a->groups, 8), 8 * kWarp, 0, a->out, a->x,
                a->grad, a->groups, a->n, a->dtype);
}

extern "C" int ao_cuda_quantize_int4(const ao_quantize_int4_args* a, ao_ctx* ctx) {
  if (need_float(ctx, "quantize_int4", a->dtype) || need_float(ctx, "quantize_int4", a->scale_dtype)) return 1;
  const int64_t g = a->group_size;
  if (g < 2 || g % 2 || a->cols % g)
    return ao_fail(
        ctx, "quantize_int4: groups of %lld do not divide %lld columns evenly; group_size is even and divides them",
        static_cast<long long>(g), static_cast<long long>(a->cols));
  const int64_t groups = a->rows * (a->cols / g);
  if (groups == 0) return 0;
  return launch(ctx, "quantize_int4", quantize_int4_kernel, blocks_for(ctx, groups, 8), 8 * kWarp, 0,
                static_cast<uint8_t*>(a->qdata), a->scale, a->zero_point, a->x, a->rows, a->cols, g, a->dtype,
                a->scale_dtype);
}
