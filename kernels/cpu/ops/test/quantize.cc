// Quantization against torch's formulas written out step by step, each step rounded as torch rounds it; codes are
// equal bit for bit.
#include "ops/quantize.h"

#include "testing/check.h"

using namespace ao_test;

static float round_to(int64_t dtype, float v) {
  return dtype == AO_BF16 ? ao_from_bf16(ao_to_bf16(v)) : dtype == AO_F16 ? ao_from_f16(ao_to_f16(v)) : v;
}

struct Range {
  double qmin, qmax;
};

static void reference_qparams(int64_t dtype, const std::vector<float>& x, int mapping, bool zero, Range q, float eps,
                              float* scale, float* zp) {
  const auto r = [dtype](double v) { return round_to(dtype, (float)v); };
  float lo = INFINITY, hi = -INFINITY;
  for (float v : x) lo = fminf(lo, v), hi = fmaxf(hi, v);
  if (zero && mapping != ao::TINYGEMM) lo = fminf(lo, 0), hi = fmaxf(hi, 0);
  const float width = (float)(q.qmax - q.qmin), mid = (float)((q.qmax + q.qmin + 1) / 2);
  if (mapping == ao::SYMMETRIC) {
    *scale = fmaxf(r(fmaxf(-lo, hi) / (width / 2)), r(eps)), *zp = truncf(mid);
  } else if (mapping == ao::SYMMETRIC_NO_CLIPPING_ERR) {
    *scale = fmaxf(fmaxf(r(lo / (float)q.qmin), r(hi / (float)q.qmax)), r(eps)), *zp = truncf(mid);
  } else {
    *scale = fmaxf(r(r(hi - lo) / width), r(eps));
    if (mapping == ao::TINYGEMM)
      *zp = r(lo + r(*scale * mid));
    else
      *zp = fminf(fmaxf(r((float)q.qmin - nearbyintf(r(lo / *scale))), (float)q.qmin), (float)q.qmax);
  }
}

TEST(affine_equals_torchao_step_by_step) {
  Context ctx(2);
  Random random(seed());
  for (int64_t dtype : {AO_F32, AO_BF16, AO_F16})
    for (int mapping = 0; mapping < 4; mapping++)
      for (int64_t n : {1, 3, 8, 17, 32, 100}) {
        for (Range q : {Range{-128, 127}, Range{0, 255}, Range{-8, 7}, Range{0, 15}}) {
          if (mapping == ao::SYMMETRIC_NO_CLIPPING_ERR && q.qmin == 0) continue;
          const int64_t blocks = 7, q_dtype = q.qmin < 0 ? int64_t{AO_I8} : int64_t{AO_U8};
          Buffer<unsigned char> x(blocks * n * ao_dtype_size(dtype)), out(blocks * n * ao_dtype_size(dtype));
          for (int64_t i = 0; i < blocks * n; i++)
            encode(dtype, x.data(), i, i / n == 3 ? 0 : random.normal() + (i / n == 4 ? 5 : 0));
          for (int64_t scale_dtype : {(int64_t)AO_F32, dtype}) {
            Buffer<unsigned char> scale(blocks * ao_dtype_size(scale_dtype)), zero(blocks * 4);
            const int64_t zero_dtype = mapping == ao::TINYGEMM ? scale_dtype : int64_t{AO_I32},
                          domain = mapping == ao::TINYGEMM ? 2 : 1;
            const float eps = 1.1920928955078125e-07f;
            const ao_choose_qparams_affine_args choose{scale.data(), zero.data(), x.data(),   blocks,  n,
                                                       dtype,        scale_dtype, zero_dtype, mapping, 1,
                                                       q.qmin,       q.qmax,      eps};
            CHECK_EQ(ao_cpu_choose_qparams_affine(&choose, ctx), 0);
            Buffer<uint8_t> codes(blocks * n);
            const ao_quantize_affine_args quantize{codes.data(), x.data(),    scale.data(), zero.data(), blocks, n,
                                                   dtype,        scale_dtype, zero_dtype,   q_dtype,     domain, q.qmin,
                                                   q.qmax};
            CHECK_EQ(ao_cpu_quantize_affine(&quantize, ctx), 0);
            const ao_dequantize_affine_args dequantize{out.data(), codes.data(), scale.data(), zero.data(), blocks,
                                                       n,          dtype,        scale_dtype,  zero_dtype,  q_dtype,
                                                       domain,     q.qmin,       q.qmax};
            CHECK_EQ(ao_cpu_dequantize_affine(&dequantize, ctx), 0);
            CHECK(codes.ok() && out.ok() && scale.ok() && zero.ok());
            const int64_t p = scale_dtype == dtype ? dtype : int64_t{AO_F32};
            const float mid = (float)((q.qmax + q.qmin + 1) / 2);
            for (int64_t b = 0; b < blocks; b++) {
              std::vector<float> row(n);
              for (int64_t i = 0; i < n; i++) row[i] = (float)decode(dtype, x.data(), b * n + i);
              float s, z;
              reference_qparams(dtype, row, mapping, true, q, eps, &s, &z);
              CHECK_EQ((float)decode(scale_dtype, scale.data(), b), s);
              CHECK_EQ((float)decode(zero_dtype, zero.data(), b), z);
              for (int64_t i = 0; i < n; i++) {
                float v;
                if (domain == 2) {
                  const float low = round_to(scale_dtype, z - round_to(scale_dtype, s * mid));
                  v = nearbyintf(round_to(p, round_to(p, row[i] - low) / s));
                } else {
                  v = round_to(p, nearbyintf(round_to(p, row[i] * round_to(scale_dtype, 1 / s))) + z);
                }
                const int code =
                    isnan(v) ? 0
                             : (int)fminf(fmaxf(v, (float)q.qmin), (float)q.qmax); // x86 makes NaN 0, as under torch
                CHECK_EQ((int)decode(q_dtype, codes.data(), b * n + i), code);
                const float back = domain == 2
                                       ? round_to(dtype, round_to(dtype, round_to(dtype, (float)code - mid) * s) + z)
                                       : round_to(dtype, round_to(dtype, (float)code - z) * s);
                CHECK_EQ((float)decode(dtype, out.data(), b * n + i), back);
              }
            }
          }
        }
      }
}

TEST(without_zero_point_and_with_int32_codes) {
  Context ctx(1);
  const float x[5] = {-2.6f, -0.5f, 0.5f, 1.5f, 300.0f}, scale = 1;
  int32_t codes[5];
  const ao_quantize_affine_args args{codes, x, &scale, nullptr, 1, 5, AO_F32, AO_F32, 0, AO_I32, 0, -100, 200};
  CHECK_EQ(ao_cpu_quantize_affine(&args, ctx), 0);
  const int32_t expected[5] = {-3, 0, 0, 2, 200};
  CHECK(memcmp(codes, expected, sizeof codes) == 0);
  ao_quantize_affine_args bad = args;
  bad.q_dtype = AO_F16;
  CHECK_EQ(ao_cpu_quantize_affine(&bad, ctx), 1);
  bad = args, bad.zero_domain = 3;
  CHECK_EQ(ao_cpu_quantize_affine(&bad, ctx), 1);
}

TEST(bits_side_by_side) {
  Context ctx(2);
  Random random(seed() + 2);
  for (int64_t bits = 1; bits <= 8; bits++)
    for (int64_t cols : {1, 7, 8, 29, 64})
      for (int64_t is_signed : {0, 1}) {
        const int64_t rows = 9, row = (cols * bits + 7) / 8, low = is_signed ? -(1 << (bits - 1)) : 0;
        Buffer<uint8_t> codes(rows * cols), packed(rows * row), back(rows * cols);
        for (int64_t i = 0; i < rows * cols; i++) codes[i] = static_cast<uint8_t>(low + random.below(1 << bits));
        const ao_pack_bits_args pack{packed.data(), codes.data(), rows, cols, bits};
        CHECK_EQ(ao_cpu_pack_bits(&pack, ctx), 0);
        for (int64_t r = 0; r < rows; r++)
          for (int64_t b = 0; b < 8 * row; b++) {
            const int bit = packed[r * row + b / 8] >> (b % 8) & 1;
            CHECK_EQ(bit, b < cols * bits ? codes[r * cols + b / bits] >> (b % bits) & 1 : 0);
          }
        const ao_unpack_bits_args unpack{back.data(), packed.data(), rows, cols, bits, is_signed};
        CHECK_EQ(ao_cpu_unpack_bits(&unpack, ctx), 0);
        CHECK(codes.ok() && packed.ok() && back.ok() && memcmp(back.data(), codes.data(), rows * cols) == 0);
      }
  uint8_t byte = 0;
  const ao_pack_bits_args bad{&byte, &byte, 1, 1, 9};
  CHECK_EQ(ao_cpu_pack_bits(&bad, ctx), 1);
}

TEST(int4_groups) {
  Context ctx(2);
  Random random(seed() + 1);
  for (int64_t dtype : {AO_F32, AO_BF16})
    for (int64_t g : {2, 6, 32, 34}) {
      const int64_t rows = 5, groups = 3, cols = groups * g;
      Buffer<unsigned char> x(rows * cols * ao_dtype_size(dtype)), scale(rows * groups * ao_dtype_size(dtype)),
          zero(rows * groups * ao_dtype_size(dtype));
      for (int64_t i = 0; i < rows * cols; i++) encode(dtype, x.data(), i, i / g == 2 ? 0.25 : random.normal());
      Buffer<int8_t> qdata(rows * cols / 2), codes(rows * cols), packed(rows * cols / 2), unsigned_codes(rows * cols);
      const ao_quantize_int4_args args{qdata.data(), scale.data(), zero.data(), x.data(), rows, cols, g, dtype, dtype};
      CHECK_EQ(ao_cpu_quantize_int4(&args, ctx), 0);
      const ao_unpack_int4_args unpack{codes.data(), qdata.data(), rows * cols, 1},
          unpack_unsigned{unsigned_codes.data(), qdata.data(), rows * cols, 0};
      CHECK_EQ(ao_cpu_unpack_int4(&unpack, ctx), 0);
      CHECK_EQ(ao_cpu_unpack_int4(&unpack_unsigned, ctx), 0);
      const ao_pack_int4_args pack{packed.data(), codes.data(), rows * cols};
      CHECK_EQ(ao_cpu_pack_int4(&pack, ctx), 0);
      CHECK(qdata.ok() && codes.ok() && packed.ok() && memcmp(packed.data(), qdata.data(), rows * cols / 2) == 0);
      for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < groups; k++) {
          float lo = INFINITY, hi = -INFINITY;
          const auto at = [&](int64_t i) { return (float)decode(dtype, x.data(), r * cols + k * g + i); };
          for (int64_t i = 0; i < g; i++) lo = fminf(lo, at(i)), hi = fmaxf(hi, at(i));
          const float s = fmaxf(hi - lo, 1e-6f) / 15;
          CHECK_EQ((float)decode(dtype, scale.data(), k * rows + r), round_to(dtype, s));
          CHECK_EQ((float)decode(dtype, zero.data(), k * rows + r), round_to(dtype, lo + s * 8));
          for (int64_t i = 0; i < g; i++) {
            const int code = (int)fminf(fmaxf(nearbyintf((at(i) - lo) / s), 0), 15) - 8;
            CHECK_EQ((int)codes[r * cols + k * g + i], code);
            CHECK_EQ((int)unsigned_codes[r * cols + k * g + i], code & 15);
          }
        }
      ao_quantize_int4_args bad = args;
      bad.group_size = g + 2;
      CHECK_EQ(ao_cpu_quantize_int4(&bad, ctx), g + 2 == cols ? 0 : 1);
    }
}

AO_TEST_MAIN()
