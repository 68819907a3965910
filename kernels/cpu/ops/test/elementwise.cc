// unary, clamp, binary, where, fill, silu_mul and the counter: every size around the vector width, every dtype,
// strides and numbers.
#include "ops/elementwise.h"

#include "testing/check.h"

using namespace ao_test;

static const int64_t kSizes[] = {0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 257, 1000};
static const int64_t kFloats[] = {AO_F32, AO_BF16, AO_F16};

static Buffer<unsigned char> values(Random& random, int64_t dtype, int64_t n) {
  Buffer<unsigned char> b(n * ao_dtype_size(dtype));
  for (int64_t i = 0; i < n; i++)
    encode(dtype, b.data(), i,
           dtype == AO_BOOL ? (double)random.below(2)
           : dtype >= AO_I8 ? (double)(random.below(dtype == AO_U8 ? 9 : 19) - (dtype == AO_U8 ? 0 : 9))
                            : random.normal() * 3);
  return b;
}

TEST(a_tail_computes_what_the_body_does) {
  Context ctx(2);
  Random random(seed());
  for (int64_t dtype : kFloats)
    for (int op = 0; op < ao::UNARY_OPS; op++)
      for (int64_t n : kSizes) {
        const Buffer<unsigned char> x = values(random, dtype, n);
        const int64_t size = ao_dtype_size(dtype);
        Buffer<unsigned char> whole(n * size), one(size);
        const ao_unary_args args{whole.data(), x.data(), n, dtype, op};
        CHECK_EQ(ao_cpu_unary(&args, ctx), 0);
        CHECK(whole.ok());
        for (int64_t i = 0; i < n; i++) {
          const ao_unary_args single{one.data(), x.data() + i * size, 1, dtype, op};
          CHECK_EQ(ao_cpu_unary(&single, ctx), 0);
          CHECK(memcmp(one.data(), whole.data() + i * size, size) == 0);
        }
        // and 16-bit floats are the float32 result rounded once
        Buffer<float> wide(n), result(n);
        for (int64_t i = 0; i < n; i++) wide[i] = (float)decode(dtype, x.data(), i);
        const ao_unary_args reference{result.data(), wide.data(), n, AO_F32, op};
        CHECK_EQ(ao_cpu_unary(&reference, ctx), 0);
        for (int64_t i = 0; i < n; i++) {
          Buffer<unsigned char> rounded(4);
          encode(dtype, rounded.data(), 0, result[i]);
          CHECK_NEAR(decode(dtype, whole.data(), i), decode(dtype, rounded.data(), 0), 0);
        }
      }
}

TEST(unary_on_integers) {
  Context ctx(1);
  const int32_t x[5] = {-7, 0, 3, INT32_MIN, INT32_MAX};
  int32_t out[5];
  const struct {
    int op;
    int32_t expected[5];
  } cases[] = {{ao::NEG, {7, 0, -3, INT32_MIN, -INT32_MAX}},
               {ao::ABS, {7, 0, 3, INT32_MIN, INT32_MAX}},
               {ao::RELU, {0, 0, 3, 0, INT32_MAX}},
               {ao::SIGN, {-1, 0, 1, -1, 1}},
               {ao::FLOOR, {-7, 0, 3, INT32_MIN, INT32_MAX}}};
  for (const auto& c : cases) {
    const ao_unary_args args{out, x, 5, AO_I32, c.op};
    CHECK_EQ(ao_cpu_unary(&args, ctx), 0);
    CHECK(memcmp(out, c.expected, sizeof out) == 0);
  }
  for (const ao_unary_args& bad : {ao_unary_args{out, x, 5, AO_I32, ao::EXP}, ao_unary_args{out, x, 5, AO_F32, 99},
                                   ao_unary_args{out, x, 5, AO_F8E4M3, ao::EXP}})
    CHECK(ao_cpu_unary(&bad, ctx) == 1 && *ao_ctx_error(ctx));
}

TEST(clamp_keeps_nan) {
  Context ctx(1);
  const float x[6] = {-5, -1, 0.5f, 7, NAN, INFINITY}, expected[6] = {-1, -1, 0.5f, 2, NAN, 2};
  float out[6];
  const ao_clamp_args args{out, x, 6, AO_F32, -1, 2};
  CHECK_EQ(ao_cpu_clamp(&args, ctx), 0);
  for (int i = 0; i < 6; i++) CHECK_NEAR(out[i], expected[i], 0);
  const int8_t codes[4] = {-128, -3, 5, 127}, clamped[4] = {-2, -2, 5, 127};
  int8_t result[4];
  const ao_clamp_args integers{result, codes, 4, AO_I8, -2.5, INFINITY};
  CHECK_EQ(ao_cpu_clamp(&integers, ctx), 0);
  CHECK(memcmp(result, clamped, 4) == 0);
}

static double reference(int op, double a, double b) {
  switch (op) {
  case ao::ADD:
    return a + b;
  case ao::SUB:
    return a - b;
  case ao::MUL:
    return a * b;
  case ao::DIV:
    return a / b;
  case ao::MAXIMUM:
    return isnan(a) || isnan(b) ? NAN : fmax(a, b);
  case ao::MINIMUM:
    return isnan(a) || isnan(b) ? NAN : fmin(a, b);
  case ao::POW:
    return pow(a, b);
  case ao::EQ:
    return a == b;
  case ao::NE:
    return a != b;
  case ao::LT:
    return a < b;
  case ao::LE:
    return a <= b;
  case ao::GT:
    return a > b;
  case ao::GE:
    return a >= b;
  case ao::LOGICAL_AND:
    return a != 0 && b != 0;
  default:
    return a != 0 || b != 0;
  }
}

// a [3, n] with strides of a, b broadcast or transposed; sides that are numbers.
TEST(binary_broadcasts_and_takes_numbers) {
  Context ctx(2);
  Random random(seed() + 1);
  const int64_t dtypes[] = {AO_F32, AO_BF16, AO_F16, AO_I32, AO_I8, AO_U8, AO_I64, AO_BOOL};
  for (int64_t dtype : dtypes)
    for (int op = 0; op < ao::BINARY_OPS; op++)
      for (int64_t n : {1, 5, 16, 35})
        for (int layout = 0; layout < 6; layout++) {
          const bool integer = dtype >= AO_I8;
          if (integer && (op == ao::DIV || op == ao::POW)) continue;
          if (dtype == AO_BOOL && op < ao::EQ) continue;
          const int64_t strides[6][2][2] = {{{n, 1}, {n, 1}}, {{n, 1}, {0, 1}}, {{1, 0}, {0, 1}},
                                            {{1, 3}, {n, 1}}, {{n, 1}, {0, 0}}, {{n * 2, 2}, {1, 3}}};
          const Buffer<unsigned char> a = values(random, dtype, 6 * n + 3), b = values(random, dtype, 6 * n + 3);
          const int64_t out_dtype = op >= ao::EQ ? int64_t{AO_BOOL} : dtype;
          for (int numbers = 0; numbers < 3; numbers++) {
            Buffer<unsigned char> out(3 * n * ao_dtype_size(out_dtype));
            ao_binary_args args{out.data(),
                                numbers == 1 ? nullptr : a.data(),
                                numbers == 2 ? nullptr : b.data(),
                                3,
                                {3, 1, n},
                                {},
                                {},
                                dtype,
                                op,
                                2,
                                3};
            for (int d : {0, 1})
              args.a_strides[2 * d] = strides[layout][0][d], args.b_strides[2 * d] = strides[layout][1][d];
            CHECK_EQ(ao_cpu_binary(&args, ctx), 0);
            CHECK(out.ok());
            for (int64_t i = 0; i < 3 * n; i++) {
              const auto at = [&](int s) { return i / n * strides[layout][s][0] + i % n * strides[layout][s][1]; };
              const double x = numbers == 1 ? 2 : decode(dtype, a.data(), at(0)),
                           y = numbers == 2 ? 3 : decode(dtype, b.data(), at(1));
              const double exact = reference(op, x, y), got = decode(out_dtype, out.data(), i);
              if (!integer && op == ao::POW) {
                const bool overflows = dtype == AO_F16 ? fabs(exact) > 65500 : fabs(exact) > 3.38e38;
                if (!overflows)
                  CHECK_NEAR(got, exact, fabs(exact) * (1e-6 + half_step(dtype)) + (dtype == AO_F16 ? 0x1p-25 : 1e-45));
                continue;
              }
              Buffer<unsigned char> rounded(8);
              if (dtype == AO_U8 && op < ao::EQ)
                rounded[0] = (uint8_t)(int64_t)exact;
              else
                encode(out_dtype, rounded.data(), 0, integer ? exact : (double)(float)exact);
              CHECK_NEAR(got, decode(out_dtype, rounded.data(), 0), 0);
            }
          }
        }
}

TEST(binary_specials) {
  Context ctx(1);
  const float a[4] = {NAN, 1, -0.0f, INFINITY}, b[4] = {1, NAN, 0.0f, INFINITY};
  float out[4];
  for (int op : {ao::MAXIMUM, ao::MINIMUM}) {
    const ao_binary_args args{out, a, b, 1, {4}, {1}, {1}, AO_F32, op, 0, 0};
    CHECK_EQ(ao_cpu_binary(&args, ctx), 0);
    CHECK(isnan(out[0]) && isnan(out[1]) && out[3] == INFINITY);
  }
  const int32_t x[4] = {2, -1, 0, 5}, y[4] = {10, -3, 0, -1}, expected[4] = {1024, -1, 1, 0};
  int32_t powers[4];
  const ao_binary_args power{powers, x, y, 1, {4}, {1}, {1}, AO_I32, ao::POW, 0, 0};
  CHECK_EQ(ao_cpu_binary(&power, ctx), 0);
  CHECK(memcmp(powers, expected, sizeof powers) == 0);
  ao_binary_args bad = power;
  bad.op = ao::DIV;
  CHECK(ao_cpu_binary(&bad, ctx) == 1 && strstr(ao_ctx_error(ctx), "cast to float32 first"));
}

TEST(where_chooses_bits) {
  Context ctx(2);
  Random random(seed() + 2);
  for (int64_t dtype : {AO_F32, AO_BF16, AO_F8E4M3, AO_I32, AO_I64, AO_BOOL})
    for (int numbers = 0; numbers < 3; numbers++) {
      const int64_t n = 37, size = ao_dtype_size(dtype);
      const Buffer<unsigned char> a = values(random, dtype, n), b = values(random, dtype, 4 * n);
      Buffer<uint8_t> cond(4);
      for (int i = 0; i < 4; i++) cond[i] = i % 2 ? 7 : 0;
      Buffer<unsigned char> out(4 * n * size);
      const ao_where_args args{out.data(),
                               cond.data(),
                               numbers == 1 ? nullptr : a.data(),
                               numbers == 2 ? nullptr : b.data(),
                               2,
                               {4, n},
                               {1, 0},
                               {0, 1},
                               {n, 1},
                               dtype,
                               1,
                               -0.0};
      CHECK_EQ(ao_cpu_where(&args, ctx), 0);
      CHECK(out.ok());
      for (int64_t i = 0; i < 4 * n; i++) {
        const double expected = i / n % 2 ? (numbers == 1 ? 1 : decode(dtype, a.data(), i % n))
                                          : (numbers == 2 ? 0 : decode(dtype, b.data(), i));
        CHECK_NEAR(decode(dtype, out.data(), i), expected, 0);
      }
    }
}

TEST(fill_and_counter) {
  Context ctx(2);
  for (int64_t dtype = 0; dtype <= AO_BOOL; dtype++)
    for (int64_t n : {0, 1, 63, 64, 65, 300000}) {
      Buffer<unsigned char> out(n * ao_dtype_size(dtype));
      const ao_fill_args args{out.data(), n, dtype, -3.0};
      CHECK_EQ(ao_cpu_fill(&args, ctx), 0);
      CHECK(out.ok());
      int wrong = 0;
      for (int64_t i = 0; i < n; i++)
        wrong += decode(dtype, out.data(), i) != (dtype == AO_U8 ? 253 : dtype == AO_BOOL ? 1 : -3);
      CHECK_EQ(wrong, 0);
    }
  int32_t counters[3] = {1, -4, INT32_MAX};
  const ao_add_scalar_i32_args args{counters, 3, 2};
  CHECK_EQ(ao_cpu_add_scalar_i32(&args, ctx), 0);
  CHECK(counters[0] == 3 && counters[1] == -2 && counters[2] == INT32_MIN + 1);
}

TEST(silu_mul_of_strided_rows) {
  Context ctx(2);
  Random random(seed() + 3);
  for (int64_t dtype : kFloats)
    for (int64_t n : {1, 8, 19, 2100}) {
      const int64_t rows = 3, stride = 2 * n, size = ao_dtype_size(dtype);
      const Buffer<unsigned char> x = values(random, dtype, rows * stride);
      Buffer<unsigned char> out(rows * n * size);
      const ao_silu_mul_args args{out.data(), x.data(), x.data() + n * size, rows, n, stride, stride, dtype};
      CHECK_EQ(ao_cpu_silu_mul(&args, ctx), 0);
      CHECK(out.ok());
      for (int64_t i = 0; i < rows * n; i++) {
        const double gate = decode(dtype, x.data(), i / n * stride + i % n),
                     up = decode(dtype, x.data(), i / n * stride + n + i % n);
        const double exact = gate / (1 + exp(-gate)) * up;
        CHECK_NEAR(decode(dtype, out.data(), i), exact, fabs(exact) * (2.1 * half_step(dtype) + 4e-7) + 1e-7);
      }
    }
}

AO_TEST_MAIN()
