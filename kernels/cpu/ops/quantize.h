// Vector loops of affine quantization over one block of n stored values of float32, float16 or bfloat16. `p` is the
// dtype whose rounding torch applies after each step: AO_F32 rounds nothing away.
#pragma once
#include "base/isa.h"

namespace ao {

enum Mapping { SYMMETRIC, SYMMETRIC_NO_CLIPPING_ERR, ASYMMETRIC, TINYGEMM };
enum ZeroDomain { ZERO_NONE, ZERO_INT, ZERO_FLOAT };

struct QuantizeBlock {
  float inverse; // 1 / scale, or scale itself in the float domain, which divides
  float shift;   // zero point, or the float that code 0 stands for in the float domain
  float low, high;
  int64_t dtype, p, add_p, q_dtype; // x, product, sum with the zero point, codes
  bool divides;
};

struct DequantizeBlock {
  float scale, shift; // (q - shift) scale, or (q - mid) scale + zero in the float domain
  float mid;
  int64_t dtype, q_dtype, zero_domain;
};

} // namespace ao

AO_ISA_DECLARE(void, min_max_block, (int64_t dtype, const void* x, int64_t n, float* low, float* high))
AO_ISA_DECLARE(void, quantize_block, (const ao::QuantizeBlock& b, const void* x, void* q, int64_t n))
AO_ISA_DECLARE(void, dequantize_block, (const ao::DequantizeBlock& b, const void* q, void* out, int64_t n))
// (clamp(q) - shift) scale, q as quantize_block finds it; with a grad, grad where q is within low..high and 0 elsewhere.
AO_ISA_DECLARE(void, fake_quantize_block,
               (const ao::QuantizeBlock& b, float scale, const void* x, const void* grad, void* out, int64_t n))
// Values of one int4 group of least lo and greatest hi, with s = max(hi - lo, 1e-6) / 15, t = (x - lo) / s and c = clamp(round(t), 0, 15):
//   (c - 8) s + (lo + 8 s); with a grad g, whose rounding passes gradients on, g + S / 15 shared by the greatest and - S / 15 by the least,
//   S = sum g (c - t), 0 where hi - lo <= 1e-6
AO_ISA_DECLARE(void, fake_int4_block,
               (int64_t dtype, float lo, float hi, const void* x, const void* grad, void* out, int64_t n))
// int4 of `groups` runs of g values (g even), in float32 with true division; of run k, with lo and hi its least and greatest:
//   scale[k step] = max(hi - lo, 1e-6) / 15    zero[k step] = lo + 8 scale    q = clamp(round((x - lo) / scale), 0, 15) - 8
// Codes are two a byte, the even one in the low nibble.
AO_ISA_DECLARE(void, int4_groups,
               (int64_t dtype, const void* x, int64_t groups, int64_t g, int8_t* q, float* scale, float* zero,
                int64_t step))
