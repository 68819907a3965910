// to_float8 and from_float8; kernels/cpu/ops/float8.cc. Amaxes are the largest bits of magnitudes, which are in their order with NaN above
// all, so atomics give the same in any order.
#include "base/block.h"
#include "base/elements.h"

namespace ao {
namespace {

enum Axis { ALL, ROWS, COLUMNS };

struct LargerBits {
  __device__ int operator()(int a, int b) const { return a > b ? a : b; }
};

__device__ int magnitude(int64_t dtype, const void* x, int64_t i) {
  return static_cast<int>(ao_bits(load_float(dtype, x, i)) & 0x7fffffffu);
}

// A block has a piece of a row, or of all, where `cols` is all of it.
__global__ void peak_kernel(int* most, const void* x, int64_t cols, int64_t piece, int64_t dtype) {
  const int64_t from = int64_t{blockIdx.y} * piece, to = from + piece < cols ? from + piece : cols;
  int m = 0;
  for (int64_t i = from + threadIdx.x; i < to; i += blockDim.x) {
    const int v = magnitude(dtype, x, int64_t{blockIdx.x} * cols + i);
    m = v > m ? v : m;
  }
  m = reduce_block(m, 0, LargerBits());
  if (threadIdx.x == 0) atomicMax(&most[blockIdx.x], m);
}

__global__ void column_peak_kernel(int* most, const void* x, int64_t rows, int64_t cols, int64_t piece, int64_t dtype) {
  const int64_t c = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (c >= cols) return;
  const int64_t from = int64_t{blockIdx.y} * piece, to = from + piece < rows ? from + piece : rows;
  int m = 0;
  for (int64_t r = from; r < to; r++) {
    const int v = magnitude(dtype, x, r * cols + c);
    m = v > m ? v : m;
  }
  atomicMax(&most[c], m);
}

__global__ void scale_of_kernel(float* scale, const int* most, int64_t n, int64_t f8, bool pow2) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const double amax = ao_float(static_cast<uint32_t>(most[i])), largest = f8 == AO_F8E4M3 ? 448 : 57344;
    const float s = static_cast<float>(largest / (amax < 1e-12 ? 1e-12 : amax));
    scale[i] = pow2 && s == s ? ao_float(ao_bits(s) & 0x7f800000u) : s;
  }
}

__device__ float scale_at(const float* scale, int64_t i, int64_t cols, int64_t axis) {
  return scale[axis == ALL ? 0 : axis == ROWS ? i / cols : i % cols];
}

__global__ void encode_kernel(uint8_t* q, const float* scale, const void* x, int64_t n, int64_t cols, int64_t axis,
                              int64_t dtype, int64_t f8) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const float v = load_float(dtype, x, i) * scale_at(scale, i, cols, axis), a = fabsf(v);
    const float most = f8 == AO_F8E4M3 ? 448.0f : 57344.0f, bounded = a > most ? most : a; // NaN stays
    const uint8_t code = f8 == AO_F8E4M3 ? ao_to_f8e4m3(bounded) : ao_to_f8e5m2(bounded);
    q[i] = static_cast<uint8_t>((code & 0x7f) | (ao_bits(v) >> 24 & 0x80));
  }
}

__global__ void decode_kernel(float* out, const uint8_t* q, const float* scale, int64_t n, int64_t cols, int64_t axis,
                              int64_t f8) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    out[i] = (f8 == AO_F8E4M3 ? ao_from_f8e4m3(q[i]) : ao_from_f8e5m2(q[i])) / scale_at(scale, i, cols, axis);
}

int check(ao_ctx* ctx, const char* op, int64_t f8, int64_t axis) {
  if (f8 != AO_F8E4M3 && f8 != AO_F8E5M2)
    return ao_fail(ctx, "%s: codes are %s; they are float8_e4m3fn or float8_e5m2", op, ao_dtype_name(f8));
  if (axis < ALL || axis > COLUMNS)
    return ao_fail(ctx, "%s: axis %lld; it is 0, 1 or 2", op, static_cast<long long>(axis));
  return 0;
}

int find_scales(const ao_to_float8_args* a, ao_ctx* ctx) {
  const char* op = "to_float8";
  const int64_t count = a->axis == ALL ? 1 : a->axis == ROWS ? a->rows : a->cols;
  int* most = scratch<int>(ctx, count);
  if (!most || clear(ctx, most, static_cast<size_t>(count) * sizeof *most)) return 1;
  if (a->axis == COLUMNS) {
    const int64_t piece = a->rows > 64 * 65535 ? ceil_div(a->rows, 65535) : 64;
    const dim3 grid(static_cast<unsigned>(ceil_div(a->cols, kThreads)),
                    static_cast<unsigned>(ceil_div(a->rows, piece)));
    if (launch(ctx, op, column_peak_kernel, grid, kThreads, 0, most, a->x, a->rows, a->cols, piece, a->dtype)) return 1;
  } else {
    const int64_t n = a->axis == ALL ? a->rows * a->cols : a->cols;
    int64_t piece = 1 << 14;
    if (ceil_div(n, piece) > 65535) piece = ceil_div(n, 65535);
    const dim3 grid(static_cast<unsigned>(count), static_cast<unsigned>(ceil_div(n, piece)));
    if (launch(ctx, op, peak_kernel, grid, threads_for(n < piece ? n : piece), 0, most, a->x, n, piece, a->dtype))
      return 1;
  }
  return launch(ctx, op, scale_of_kernel, blocks_for(ctx, count), kThreads, 0, static_cast<float*>(a->scale), most,
                count, a->f8, a->pow2 != 0);
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_to_float8(const ao_to_float8_args* a, ao_ctx* ctx) {
  if (check(ctx, "to_float8", a->f8, a->axis) || need_float(ctx, "to_float8", a->dtype)) return 1;
  const int64_t n = a->rows * a->cols;
  if (n == 0) return 0;
  if (!a->given && find_scales(a, ctx)) return 1;
  return launch(ctx, "to_float8", encode_kernel, blocks_for(ctx, n), kThreads, 0, static_cast<uint8_t*>(a->q),
                static_cast<const float*>(a->scale), a->x, n, a->cols, a->axis, a->dtype, a->f8);
}

extern "C" int ao_cuda_from_float8(const ao_from_float8_args* a, ao_ctx* ctx) {
  if (check(ctx, "from_float8", a->f8, a->axis)) return 1;
  const int64_t n = a->rows * a->cols;
  if (n == 0) return 0;
  return launch(ctx, "from_float8", decode_kernel, blocks_for(ctx, n), kThreads, 0, static_cast<float*>(a->out),
                static_cast<const uint8_t*>(a->q), static_cast<const float*>(a->scale), n, a->cols, a->axis, a->f8);
}
