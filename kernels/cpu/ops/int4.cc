// quantize_int4: Int4Tensor's codes of x [rows, cols] in groups of group_size columns, in float32 with true division:
//   scale = max(hi - lo, 1e-6) / 15    zero_point = lo + 8 scale    q = clamp(round((x - lo) / scale), 0, 15) - 8    w
//   ~ q scale + zero_point qdata int8 [rows, cols / 2]: even column in the low nibble; scale and zero_point [cols /
//   group_size, rows] as scale_dtype.
// pack_int4:   out[i] = x[2i] & 15 | x[2i + 1] << 4, x int8 or uint8 [n], n even.
// unpack_int4: out[2i], out[2i + 1] = low, high nibble of x[i]; n codes, as two's complement where is_signed, else
// 0..15.
#include <math.h>

#include "ops/check.h"
#include "ops/convert.h"
#include "ops/quantize.h"

namespace {

// Rows and groups whose scales are found before they are stored, since those of one group lie side by side.
constexpr int64_t kRows = 16, kGroups = 64;

} // namespace

extern "C" int ao_cpu_quantize_int4(const ao_quantize_int4_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "quantize_int4", a->dtype) || ao::need_float(ctx, "quantize_int4", a->scale_dtype)) return 1;
  const int64_t g = a->group_size;
  if (g < 2 || g % 2 || a->cols % g)
    return ao_fail(
        ctx, "quantize_int4: groups of %lld do not divide %lld columns evenly; group_size is even and divides them",
        static_cast<long long>(g), static_cast<long long>(a->cols));
  const auto run = AO_ISA_PICK(ctx, int4_groups);
  const int64_t groups = a->cols / g, blocks = (a->rows + kRows - 1) / kRows;
  ao::parallel_for(ctx, blocks, ao::rows_per_chunk(a->cols * kRows), [&](int64_t begin, int64_t end, int) {
    float scale[kGroups * kRows], zero[kGroups * kRows]; // [group][row]
    for (int64_t b = begin; b < end; b++) {
      const int64_t first = b * kRows, rows = a->rows - first < kRows ? a->rows - first : kRows;
      for (int64_t k = 0; k < groups; k += kGroups) {
        const int64_t count = groups - k < kGroups ? groups - k : kGroups;
        for (int64_t r = 0; r < rows; r++) {
          const int64_t at = (first + r) * a->cols + k * g;
          run(a->dtype, ao::element(a->x, a->dtype, at), count, g, static_cast<int8_t*>(a->qdata) + at / 2, scale + r,
              zero + r, kRows);
        }
        for (int64_t i = 0; i < count; i++) {
          const int64_t at = (k + i) * a->rows + first;
          ao::store_floats(a->scale_dtype, ao::element(a->scale, a->scale_dtype, at), 1, scale + i * kRows, rows);
          ao::store_floats(a->scale_dtype, ao::element(a->zero_point, a->scale_dtype, at), 1, zero + i * kRows, rows);
        }
      }
    }
  });
  return 0;
}

extern "C" int ao_cpu_pack_int4(const ao_pack_int4_args* a, ao_ctx* ctx) {
  if (a->n % 2) return ao_fail(ctx, "pack_int4: %lld codes do not make whole bytes", static_cast<long long>(a->n));
  const uint8_t* x = static_cast<const uint8_t*>(a->x);
  uint8_t* out = static_cast<uint8_t*>(a->out);
  ao::parallel_for(ctx, a->n / 2, 1 << 15, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) out[i] = static_cast<uint8_t>((x[2 * i] & 15) | (x[2 * i + 1] << 4));
  });
  return 0;
}

extern "C" int ao_cpu_unpack_int4(const ao_unpack_int4_args* a, ao_ctx* ctx) {
  if (a->n % 2)
    return ao_fail(ctx, "unpack_int4: %lld codes do not come from whole bytes", static_cast<long long>(a->n));
  const uint8_t* x = static_cast<const uint8_t*>(a->x);
  int8_t* out = static_cast<int8_t*>(a->out);
  const int flip = a->is_signed ? 8 : 0; // (code ^ 8) - 8 extends the sign
  ao::parallel_for(ctx, a->n / 2, 1 << 15, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      out[2 * i] = static_cast<int8_t>(((x[i] & 15) ^ flip) - flip);
      out[2 * i + 1] = static_cast<int8_t>(((x[i] >> 4) ^ flip) - flip);
    }
  });
  return 0;
}
