// pack_int4, unpack_int4, pack_bits, unpack_bits; kernels/cpu/ops/int4.cc and bits.cc. A thread has eight codes, which make whole bytes.
#include "base/ctx.h"
#include "base/elements.h"

namespace ao {
namespace {

__global__ void pack_int4_kernel(uint8_t* out, const uint8_t* x, int64_t n) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x)
    out[i] = static_cast<uint8_t>((x[2 * i] & 15) | x[2 * i + 1] << 4);
}

__global__ void unpack_int4_kernel(int8_t* out, const uint8_t* x, int64_t n, int flip) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    out[2 * i] = static_cast<int8_t>(((x[i] & 15) ^ flip) - flip);
    out[2 * i + 1] = static_cast<int8_t>(((x[i] >> 4) ^ flip) - flip);
  }
}

__global__ void pack_bits_kernel(uint8_t* out, const uint8_t* x, int64_t rows, int64_t cols, int64_t b) {
  const int64_t pieces = (cols + 7) / 8, row = (cols * b + 7) / 8;
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < rows * pieces;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t r = p / pieces, i = p % pieces * 8, n = cols - i < 8 ? cols - i : 8, bytes = (n * b + 7) / 8;
    uint64_t word = 0;
    for (int64_t j = 0; j < n; j++) word |= static_cast<uint64_t>(x[r * cols + i + j] & ((1 << b) - 1)) << (b * j);
    for (int64_t j = 0; j < bytes; j++) out[r * row + i / 8 * b + j] = static_cast<uint8_t>(word >> (8 * j));
  }
}

__global__ void unpack_bits_kernel(uint8_t* out, const uint8_t* x, int64_t rows, int64_t cols, int64_t b, int flip) {
  const int64_t pieces = (cols + 7) / 8, row = (cols * b + 7) / 8;
  for (int64_t p = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; p < rows * pieces;
       p += int64_t{gridDim.x} * blockDim.x) {
    const int64_t r = p / pieces, i = p % pieces * 8, n = cols - i < 8 ? cols - i : 8, bytes = (n * b + 7) / 8;
    uint64_t word = 0;
    for (int64_t j = 0; j < bytes; j++) word |= static_cast<uint64_t>(x[r * row + i / 8 * b + j]) << (8 * j);
    for (int64_t j = 0; j < n; j++)
      out[r * cols + i + j] =
          static_cast<uint8_t>(((static_cast<int>(word >> (b * j)) & ((1 << b) - 1)) ^ flip) - flip);
  }
}

int need_bits(ao_ctx* ctx, const char* op, int64_t bits) {
  if (bits >= 1 && bits <= 8) return 0;
  return ao_fail(ctx, "%s: codes of %lld bits; they have 1 to 8", op, static_cast<long long>(bits));
}

int need_even(ao_ctx* ctx, const char* op, int64_t n) {
  return n % 2 ? ao_fail(ctx, "%s: %lld codes do not make whole bytes", op, static_cast<long long>(n)) : 0;
}

} // namespace
} // namespace ao

using namespace ao;

extern "C" int ao_cuda_pack_int4(const ao_pack_int4_args* a, ao_ctx* ctx) {
  if (need_even(ctx, "pack_int4", a->n)) return 1;
  if (a->n == 0) return 0;
  return launch(ctx, "pack_int4", pack_int4_kernel, blocks_for(ctx, a->n / 2), kThreads, 0,
                static_cast<uint8_t*>(a->out), static_cast<const uint8_t*>(a->x), a->n / 2);
}

extern "C" int ao_cuda_unpack_int4(const ao_unpack_int4_args* a, ao_ctx* ctx) {
  if (need_even(ctx, "unpack_int4", a->n)) return 1;
  if (a->n == 0) return 0;
  return launch(ctx, "unpack_int4", unpack_int4_kernel, blocks_for(ctx, a->n / 2), kThreads, 0,
                static_cast<int8_t*>(a->out), static_cast<const uint8_t*>(a->x), a->n / 2, a->is_signed ? 8 : 0);
}

extern "C" int ao_cuda_pack_bits(const ao_pack_bits_args* a, ao_ctx* ctx) {
  if (need_bits(ctx, "pack_bits", a->bits)) return 1;
  if (a->rows * a->cols == 0) return 0;
  return launch(ctx, "pack_bits", pack_bits_kernel, blocks_for(ctx, a->rows * ceil_div(a->cols, 8)), kThreads, 0,
                static_cast<uint8_t*>(a->out), static_cast<const uint8_t*>(a->x), a->rows, a->cols, a->bits);
}

extern "C" int ao_cuda_unpack_bits(const ao_unpack_bits_args* a, ao_ctx* ctx) {
  if (need_bits(ctx, "unpack_bits", a->bits)) return 1;
  if (a->rows * a->cols == 0) return 0;
  return launch(ctx, "unpack_bits", unpack_bits_kernel, blocks_for(ctx, a->rows * ceil_div(a->cols, 8)), kThreads, 0,
                static_cast<uint8_t*>(a->out), static_cast<const uint8_t*>(a->x), a->rows, a->cols, a->bits,
                a->is_signed ? 1 << (a->bits - 1) : 0);
}
