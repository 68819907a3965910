// copy_strided: out[...] = x[...] over up to 6 dims, cast as kernels/cpu/ops/convert.h says; both may be strided.
#include "base/ctx.h"
#include "base/elements.h"
#include "ops/map.h"
#include "ops/strides.h"

namespace ao {
namespace {

__device__ void convert(int64_t out_dtype, void* out, int64_t to, int64_t x_dtype, const void* x, int64_t from) {
  if (is_float_dtype(x_dtype))
    store_float(out_dtype, out, to, load_float(x_dtype, x, from));
  else if (is_float_dtype(out_dtype))
    store_float(out_dtype, out, to, load_float(x_dtype, x, from));
  else
    store_integer(out_dtype, out, to, load_integer(x_dtype, x, from));
}

__global__ void convert_kernel(void* out, const void* x, Walk<2> walk, int64_t n, int64_t out_dtype, int64_t x_dtype) {
  const int64_t inner = walk.inner();
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const auto at = walk.offsets(i / inner);
    const int64_t j = i % inner;
    convert(out_dtype, out, at.at[0] + j * walk.inner_stride(0), x_dtype, x, at.at[1] + j * walk.inner_stride(1));
  }
}

template <class T>
__global__ void move_kernel(T* out, const T* x, Walk<2> walk, int64_t n) {
  const int64_t inner = walk.inner();
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const auto at = walk.offsets(i / inner);
    const int64_t j = i % inner;
    out[at.at[0] + j * walk.inner_stride(0)] = x[at.at[1] + j * walk.inner_stride(1)];
  }
}

// x [rows, columns] with its columns side by side in memory becomes out with its rows so: tiles through shared memory.
template <class T>
__global__ void transpose_kernel(T* out, const T* x, int64_t rows, int64_t columns, int64_t out_stride,
                                 int64_t x_stride, int64_t out_batch, int64_t x_batch) {
  __shared__ T tile[32][33];
  out += blockIdx.z * out_batch;
  x += blockIdx.z * x_batch;
  // x[r + c * x_stride] -> out[r * out_stride + c]
  const int64_t r0 = int64_t{blockIdx.x} * 32, c0 = int64_t{blockIdx.y} * 32;
  const int tx = threadIdx.x % 32, ty = threadIdx.x / 32;
  for (int i = ty; i < 32; i += 8)
    if (r0 + tx < rows && c0 + i < columns) tile[i][tx] = x[r0 + tx + (c0 + i) * x_stride];
  __syncthreads();
  for (int i = ty; i < 32; i += 8)
    if (r0 + i < rows && c0 + tx < columns) out[(r0 + i) * out_stride + c0 + tx] = tile[tx][i];
}

// One value all over.
template <class T>
__global__ void spread_kernel(T* out, const T* x, int64_t n, bool aligned) {
  constexpr int count = 16 / static_cast<int>(sizeof(T));
  const int64_t first = blockIdx.x * int64_t{blockDim.x} + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  const int64_t pieces = aligned ? n / count : 0;
  union {
    T values[count];
    uint4 all;
  } piece;
  for (T& v : piece.values) v = *x;
  for (int64_t i = first; i < pieces; i += step) reinterpret_cast<uint4*>(out)[i] = piece.all;
  for (int64_t i = pieces * count + first; i < n; i += step) out[i] = *x;
}

// The walk in units of 16 bytes, where both sides allow it.
template <class T>
bool in_pieces(const void* out, const void* x, Walk<2>* walk) {
  constexpr int64_t count = 16 / static_cast<int64_t>(sizeof(T));
  const int last = walk->ndim - 1;
  bool fits = walk->shape[last] % count == 0 && reinterpret_cast<uintptr_t>(out) % 16 == 0 &&
              reinterpret_cast<uintptr_t>(x) % 16 == 0;
  for (auto& strides : walk->strides) {
    fits = fits && strides[last] == 1;
    for (int d = 0; d < last; d++) fits = fits && strides[d] % count == 0;
  }
  if (!fits) return false;
  walk->shape[last] /= count;
  for (auto& strides : walk->strides)
    for (int d = 0; d < last; d++) strides[d] /= count;
  return true;
}

template <class T>
int move_as(ao_ctx* ctx, const ao_copy_strided_args* a, const Walk<2>& walk, int64_t n) {
  T* out = static_cast<T*>(a->out);
  const T* x = static_cast<const T*>(a->x);
  if (walk.ndim == 1 && walk.strides[0][0] == 1 && walk.strides[1][0] == 1)
    return copy(ctx, out, x, static_cast<size_t>(n) * sizeof(T));
  const int last = walk.ndim - 1;
  if (walk.ndim >= 2 && walk.ndim <= 3 && walk.strides[0][last] == 1 && walk.strides[1][last - 1] == 1 &&
      walk.shape[last] >= 16 && walk.shape[last - 1] >= 16 && ceil_div(walk.shape[last], 32) <= 65535 &&
      (walk.ndim == 2 || walk.shape[0] <= 65535)) {
    const int64_t rows = walk.shape[last - 1], columns = walk.shape[last];
    const dim3 grid(static_cast<unsigned>(ceil_div(rows, 32)), static_cast<unsigned>(ceil_div(columns, 32)),
                    static_cast<unsigned>(walk.ndim == 3 ? walk.shape[0] : 1));
    return launch(ctx, "copy_strided", transpose_kernel<T>, grid, 256, 0, out, x, rows, columns,
                  walk.strides[0][last - 1], walk.strides[1][last], walk.ndim == 3 ? walk.strides[0][0] : 0,
                  walk.ndim == 3 ? walk.strides[1][0] : 0);
  }
  if (walk.ndim == 1 && walk.strides[0][0] == 1 && walk.strides[1][0] == 0)
    return launch(ctx, "copy_strided", spread_kernel<T>, blocks_for(ctx, ceil_div(n, 16)), kThreads, 0, out, x, n,
                  reinterpret_cast<uintptr_t>(out) % 16 == 0);
  Walk<2> pieces = walk;
  const int64_t count = 16 / static_cast<int64_t>(sizeof(T));
  if (walk.ndim > 0 && in_pieces<T>(out, x, &pieces))
    return launch(ctx, "copy_strided", move_kernel<uint4>, blocks_for(ctx, n / count), kThreads, 0,
                  reinterpret_cast<uint4*>(out), reinterpret_cast<const uint4*>(x), pieces, n / count);
  return launch(ctx, "copy_strided", move_kernel<T>, blocks_for(ctx, n), kThreads, 0, out, x, walk, n);
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_copy_strided(const ao_copy_strided_args* a, ao_ctx* ctx) {
  const int size = ao_dtype_size(a->out_dtype);
  if (!size || !ao_dtype_size(a->x_dtype) || a->ndim < 0 || a->ndim > 6)
    return ao_fail(ctx, "copy_strided: dtype codes %lld and %lld, %lld dims (0 to 6)",
                   static_cast<long long>(a->out_dtype), static_cast<long long>(a->x_dtype),
                   static_cast<long long>(a->ndim));
  int64_t n = 1;
  for (int64_t d = 0; d < a->ndim; d++) n *= a->shape[d];
  if (n == 0) return 0;
  const int64_t* strides[2] = {a->out_strides, a->x_strides};
  const Walk<2> walk = merge_dims<2>(a->ndim, a->shape, strides);
  if (a->out_dtype != a->x_dtype)
    return launch(ctx, "copy_strided", convert_kernel, blocks_for(ctx, n), kThreads, 0, a->out, a->x, walk, n,
                  a->out_dtype, a->x_dtype);
  return size == 1   ? move_as<uint8_t>(ctx, a, walk, n)
         : size == 2 ? move_as<uint16_t>(ctx, a, walk, n)
         : size == 4 ? move_as<uint32_t>(ctx, a, walk, n)
                     : move_as<uint64_t>(ctx, a, walk, n);
}
