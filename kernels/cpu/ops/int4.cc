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

extern "C" int ao_cpu_quantize_int4(const ao_quantize_int4_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "quantize_int4", a->dtype) || ao::need_float(ctx, "quantize_int4", a->scale_dtype)) return 1;
  const int64_t g = a->group_size;
  if (g < 2 || g % 2 || a->cols % g)
    return ao_fail(
        ctx, "quantize_int4: groups of %lld do not divide %lld columns evenly; group_size is even and divides them",
        static_cast<long long>(g), static_cast<long long>(a->cols));
  const auto min_max = AO_ISA_PICK(ctx, min_max_block);
  const auto codes = AO_ISA_PICK(ctx, int4_block);
  const int64_t groups = a->cols / g;
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->cols), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      for (int64_t k = 0; k < groups; k++) {
        const void* x = ao::element(a->x, a->dtype, r * a->cols + k * g);
        float lo, hi;
        min_max(a->dtype, x, g, &lo, &hi);
        const float scale = (hi - lo < 1e-6f ? 1e-6f : hi - lo) / 15.0f;
        codes(a->dtype, x, lo, scale, static_cast<int8_t*>(a->qdata) + (r * a->cols + k * g) / 2, g);
        ao::store_scalar(a->scale_dtype, a->scale, k * a->rows + r, scale);
        ao::store_scalar(a->scale_dtype, a->zero_point, k * a->rows + r, lo + scale * 8.0f);
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
