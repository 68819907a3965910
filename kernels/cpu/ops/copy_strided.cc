// copy_strided: out[i0, i1, ...] = cast(x[i0, i1, ...]) over `shape` (up to 6 dims), strides in elements and of any
// sign, zero strides of x broadcast. The cast is torch's (ops/convert.h); equal dtypes copy bits. out and x do not
// overlap.
// Adjacent dims that both sides step through evenly are merged, so contiguous tensors are one run.
#include <string.h>

#include "base/ctx.h"
#include "ops/convert.h"
#include "ops/elementwise.h"
#include "ops/strides.h"

namespace {

constexpr int64_t kPiece = 4096; // elements of one run handled at once
constexpr int64_t kBlock = 512;  // elements converted through the stack

template <class T>
void copy_bits(char* out, int64_t out_stride, const char* x, int64_t x_stride, int64_t n) {
  T* o = reinterpret_cast<T*>(out);
  const T* p = reinterpret_cast<const T*>(x);
  if (out_stride == 1 && x_stride == 1) {
    memcpy(o, p, static_cast<size_t>(n) * sizeof(T));
  } else if (out_stride == 1 && x_stride == 0) {
    const T value = *p;
    for (int64_t i = 0; i < n; i++) o[i] = value;
  } else {
    for (int64_t i = 0; i < n; i++) o[i * out_stride] = p[i * x_stride];
  }
}

struct Side {
  char* data;
  int64_t dtype, size;
};

void copy_run(Side out, int64_t out_stride, Side x, int64_t x_stride, int64_t n) {
  if (out.dtype == x.dtype) {
    switch (out.size) {
    case 1:
      return copy_bits<uint8_t>(out.data, out_stride, x.data, x_stride, n);
    case 2:
      return copy_bits<uint16_t>(out.data, out_stride, x.data, x_stride, n);
    case 4:
      return copy_bits<uint32_t>(out.data, out_stride, x.data, x_stride, n);
    default:
      return copy_bits<uint64_t>(out.data, out_stride, x.data, x_stride, n);
    }
  }
  const bool integers = !ao::is_float_dtype(out.dtype) && !ao::is_float_dtype(x.dtype);
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t count = n - at < kBlock ? n - at : kBlock;
    const char* from = x.data + at * x_stride * x.size;
    char* to = out.data + at * out_stride * out.size;
    if (integers) {
      int64_t block[kBlock];
      ao::load_integers(x.dtype, from, x_stride, block, count);
      ao::store_integers(out.dtype, to, out_stride, block, count);
    } else if (out.dtype == AO_F32 && out_stride == 1) {
      ao::load_floats(x.dtype, from, x_stride, reinterpret_cast<float*>(to), count);
    } else {
      float block[kBlock];
      ao::load_floats(x.dtype, from, x_stride, block, count);
      ao::store_floats(out.dtype, to, out_stride, block, count);
    }
  }
}

// Where out runs along one dim and x along another (a transpose), tiles of kTile x kTile keep both in the nearest cache.
constexpr int64_t kTile = 32;

template <class T>
void copy_tile(char* out, int64_t out_stride, const char* x, int64_t x_stride, int64_t rows, int64_t columns) {
  T* o = reinterpret_cast<T*>(out);
  const T* p = reinterpret_cast<const T*>(x);
  for (int64_t c = 0; c < columns; c++) {
    for (int64_t r = 0; r < rows; r++) o[r * out_stride + c] = p[c * x_stride + r];
  }
}

// The outer dim along which x is contiguous, or -1 where tiles would not help.
int transposed_dim(const ao::Walk<2>& walk) {
  if (walk.inner_stride(0) != 1 || walk.inner_stride(1) == 1 || walk.inner() < kTile) return -1;
  for (int d = 0; d + 1 < walk.ndim; d++) {
    if (walk.strides[1][d] == 1 && walk.shape[d] >= 8) return d;
  }
  return -1;
}

void copy_transposed(ao_ctx* ctx, Side out, Side x, ao::Walk<2> walk, int dim) {
  const int64_t across = walk.shape[dim], columns = walk.inner(), out_stride = walk.strides[0][dim];
  const int64_t bands = (across + kTile - 1) / kTile;
  walk.shape[dim] = 1; // the bands take its place
  const auto run = out.size == 1   ? copy_tile<uint8_t>
                   : out.size == 2 ? copy_tile<uint16_t>
                   : out.size == 4 ? copy_tile<uint32_t>
                                   : copy_tile<uint64_t>;
  const int64_t chunk = ao::rows_per_chunk(columns * kTile, 1 << 16);
  ao::parallel_for(ctx, walk.rows() * bands, chunk, [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; n++) {
      const auto at = walk.offsets(n / bands);
      const int64_t r = n % bands * kTile, rows = across - r < kTile ? across - r : kTile;
      for (int64_t c = 0; c < columns; c += kTile) {
        run(out.data + (at.at[0] + r * out_stride + c) * out.size, out_stride,
            x.data + (at.at[1] + r + c * walk.inner_stride(1)) * x.size, walk.inner_stride(1), rows,
            columns - c < kTile ? columns - c : kTile);
      }
    }
  });
}

} // namespace

extern "C" int ao_cpu_copy_strided(const ao_copy_strided_args* a, ao_ctx* ctx) {
  const Side out{static_cast<char*>(a->out), a->out_dtype, ao_dtype_size(a->out_dtype)};
  const Side x{static_cast<char*>(const_cast<void*>(a->x)), a->x_dtype, ao_dtype_size(a->x_dtype)};
  if (!out.size || !x.size || a->ndim < 0 || a->ndim > 6)
    return ao_fail(ctx, "copy_strided: dtype codes %lld and %lld, %lld dims (0 to 6)",
                   static_cast<long long>(a->out_dtype), static_cast<long long>(a->x_dtype),
                   static_cast<long long>(a->ndim));
  const int64_t* strides[2] = {a->out_strides, a->x_strides};
  const ao::Walk<2> walk = ao::merge_dims<2>(a->ndim, a->shape, strides);
  if (const int dim = transposed_dim(walk); dim >= 0 && out.dtype == x.dtype && walk.rows() > 0) {
    copy_transposed(ctx, out, x, walk, dim);
    return 0;
  }
  const auto is_half = [](int64_t dtype) { return dtype == AO_F16 || dtype == AO_BF16; };
  const bool even = walk.inner_stride(0) == 1 && walk.inner_stride(1) == 1;
  const bool narrows = even && x.dtype == AO_F32 && is_half(out.dtype),
             widens = even && out.dtype == AO_F32 && is_half(x.dtype);
  const auto narrow = AO_ISA_PICK(ctx, store_run);
  const auto widen = AO_ISA_PICK(ctx, load_run);
  const int64_t pieces = (walk.inner() + kPiece - 1) / kPiece;
  const int64_t chunk = ao::rows_per_chunk(walk.inner() < kPiece ? walk.inner() : kPiece, 1 << 16);
  ao::parallel_for(ctx, walk.rows() * pieces, chunk, [&](int64_t begin, int64_t end, int) {
    for (int64_t piece = begin; piece < end; piece++) {
      const auto offset = walk.offsets(piece / pieces);
      const int64_t from = piece % pieces * kPiece;
      const int64_t n = walk.inner() - from < kPiece ? walk.inner() - from : kPiece;
      const Side to{out.data + (offset.at[0] + from * walk.inner_stride(0)) * out.size, out.dtype, out.size};
      const Side of{x.data + (offset.at[1] + from * walk.inner_stride(1)) * x.size, x.dtype, x.size};
      if (narrows)
        narrow(out.dtype, to.data, reinterpret_cast<const float*>(of.data), n);
      else if (widens)
        widen(x.dtype, of.data, reinterpret_cast<float*>(to.data), n);
      else
        copy_run(to, walk.inner_stride(0), of, walk.inner_stride(1), n);
    }
  });
  return 0;
}
