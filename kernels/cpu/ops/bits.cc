// pack_bits: codes of b bits side by side, lowest bits first; code i of a row takes bits [b i, b i + b) of its
//   ceil(cols b / 8) bytes, and what is left of the last one is 0. x int8 or uint8 [rows, cols].
// unpack_bits: the inverse, as two's complement where is_signed, else unsigned.
// Eight codes make b whole bytes, so they move through one 64-bit word.
#include <string.h>

#include "ops/check.h"

namespace {

// Codes of a chunk of rows.
constexpr int64_t kCodes = 1 << 16;

int64_t rows_of(int64_t cols) { return cols < kCodes ? kCodes / (cols < 1 ? 1 : cols) : 1; }

int need_bits(ao_ctx* ctx, const char* op, int64_t bits) {
  return bits < 1 || bits > 8
             ? ao_fail(ctx, "%s: codes of %lld bits; they have 1 to 8", op, static_cast<long long>(bits))
             : 0;
}

} // namespace

extern "C" int ao_cpu_pack_bits(const ao_pack_bits_args* a, ao_ctx* ctx) {
  if (need_bits(ctx, "pack_bits", a->bits)) return 1;
  const int64_t b = a->bits, row = (a->cols * b + 7) / 8;
  const uint8_t mask = static_cast<uint8_t>((1 << b) - 1);
  ao::parallel_for(ctx, a->rows, rows_of(a->cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const uint8_t* x = static_cast<const uint8_t*>(a->x) + r * a->cols;
      uint8_t* out = static_cast<uint8_t*>(a->out) + r * row;
      for (int64_t i = 0; i < a->cols; i += 8) {
        const int64_t n = a->cols - i < 8 ? a->cols - i : 8;
        uint64_t word = 0;
        for (int64_t j = 0; j < n; j++) word |= static_cast<uint64_t>(x[i + j] & mask) << (b * j);
        const int64_t bytes = (n * b + 7) / 8;
        for (int64_t j = 0; j < bytes; j++) out[i / 8 * b + j] = static_cast<uint8_t>(word >> (8 * j));
      }
    }
  });
  return 0;
}

extern "C" int ao_cpu_unpack_bits(const ao_unpack_bits_args* a, ao_ctx* ctx) {
  if (need_bits(ctx, "unpack_bits", a->bits)) return 1;
  const int64_t b = a->bits, row = (a->cols * b + 7) / 8;
  const int mask = (1 << b) - 1, flip = a->is_signed ? 1 << (b - 1) : 0; // (code ^ flip) - flip extends the sign
  ao::parallel_for(ctx, a->rows, rows_of(a->cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const uint8_t* x = static_cast<const uint8_t*>(a->x) + r * row;
      uint8_t* out = static_cast<uint8_t*>(a->out) + r * a->cols;
      for (int64_t i = 0; i < a->cols; i += 8) {
        const int64_t n = a->cols - i < 8 ? a->cols - i : 8, bytes = (n * b + 7) / 8;
        uint64_t word = 0;
        for (int64_t j = 0; j < bytes; j++) word |= static_cast<uint64_t>(x[i / 8 * b + j]) << (8 * j);
        for (int64_t j = 0; j < n; j++)
          out[i + j] = static_cast<uint8_t>(((static_cast<int>(word >> (b * j)) & mask) ^ flip) - flip);
      }
    }
  });
  return 0;
}
