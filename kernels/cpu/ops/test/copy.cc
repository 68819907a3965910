// copy_strided and the storage dtypes: each cast over each pair of dtypes, float8 over all codes and midpoints,
// strides of any kind.
#include "ops/convert.h"

#include "testing/check.h"

using namespace ao_test;

static int copy(ao_ctx* ctx, void* out, int64_t out_dtype, const void* x, int64_t x_dtype, int64_t n) {
  const ao_copy_strided_args args{out, x, out_dtype, x_dtype, 1, {n}, {1}, {1}};
  return ao_cpu_copy_strided(&args, ctx);
}

// The nearest of a format's values by search, ties to the even code: independent of how the codec rounds.
template <class Decode>
static int nearest(double x, int finite_codes, Decode decode_code) {
  int best = 0;
  for (int c = 0; c < finite_codes; c++) {
    const double d = fabs(decode_code(c) - x), e = fabs(decode_code(best) - x);
    if (d < e || (d == e && c % 2 == 0)) best = c;
  }
  return best;
}

TEST(float8_rounds_to_nearest_even_and_overflows_as_torch) {
  const auto e4m3 = [](int c) { return (double)ao_from_f8e4m3((uint8_t)c); };
  const auto e5m2 = [](int c) { return (double)ao_from_f8e5m2((uint8_t)c); };
  CHECK_EQ(e4m3(0x7e), 448.0);
  CHECK_EQ(e4m3(1), 0.001953125);
  CHECK_EQ(e5m2(0x7b), 57344.0);
  CHECK(isnan(e4m3(0x7f)) && isnan(e4m3(0xff)) && isinf(e5m2(0x7c)) && isnan(e5m2(0x7d)));
  std::vector<float> points;
  for (int c = 0; c < 0x7e; c++)
    for (double f : {0.0, 0.25, 0.5, 0.75}) points.push_back((float)(e4m3(c) + f * (e4m3(c + 1) - e4m3(c))));
  for (int c = 0; c < 0x7b; c++)
    for (double f : {0.0, 0.3, 0.5, 0.7}) points.push_back((float)(e5m2(c) + f * (e5m2(c + 1) - e5m2(c))));
  const size_t count = points.size();
  for (size_t i = 0; i < count; i++)
    points.push_back(nextafterf(points[i], INFINITY)), points.push_back(nextafterf(points[i], 0));
  for (float x : points)
    for (float signed_x : {x, -x}) {
      const int sign = signbit(signed_x) ? 0x80 : 0;
      if (x <= 464) CHECK_EQ((int)ao_to_f8e4m3(signed_x), nearest(x, 0x7f, e4m3) | sign);
      if (x < 61440) CHECK_EQ((int)ao_to_f8e5m2(signed_x), nearest(x, 0x7c, e5m2) | sign);
    }
  CHECK_EQ((int)ao_to_f8e4m3(464.0f), 0x7e);
  CHECK_EQ((int)ao_to_f8e4m3(464.1f), 0x7f);
  CHECK_EQ((int)ao_to_f8e4m3(-1e30f), 0xff);
  CHECK_EQ((int)ao_to_f8e5m2(61440.0f), 0x7c);
  CHECK_EQ((int)ao_to_f8e5m2(-INFINITY), 0xfc);
  CHECK_EQ((int)ao_to_f8e5m2(NAN) & 0x7f, 0x7f);
}

TEST(sixteen_bit_floats) {
  Context ctx(1);
  int wrong = 0;
  for (int c = 0; c < 65536; c++) {
    const float h = ao_from_f16((uint16_t)c), b = ao_from_bf16((uint16_t)c);
    wrong += isnan(h) ? !isnan(ao_from_f16(ao_to_f16(h))) : ao_to_f16(h) != c;
    wrong += isnan(b) ? !isnan(ao_from_bf16(ao_to_bf16(b))) : ao_to_bf16(b) != c;
    if (isnan(h) || isnan(b) || (c & 0x7fff) >= 0x7bff) continue;
    const float up = ao_from_f16((uint16_t)(c + 1)), middle = (h + up) / 2; // exact
    wrong += ao_to_f16(middle) != (c % 2 ? c + 1 : c);
    wrong += ao_to_f16(nextafterf(middle, h)) != c || ao_to_f16(nextafterf(middle, up)) != c + 1;
  }
  CHECK_EQ(wrong, 0);
  CHECK_EQ((int)ao_to_f16(65519.9f), 0x7bff);
  CHECK_EQ((int)ao_to_f16(65520.0f), 0x7c00);
  // the vector paths round as the scalar codec
  Random random(seed());
  constexpr int64_t n = 100003;
  Buffer<float> x(n), back(n);
  Buffer<uint16_t> out(n);
  for (int64_t i = 0; i < n; i++) x[i] = ao_float((uint32_t)random.next());
  for (int64_t dtype : {AO_F16, AO_BF16}) {
    CHECK_EQ(copy(ctx, out.data(), dtype, x.data(), AO_F32, n), 0);
    CHECK_EQ(copy(ctx, back.data(), AO_F32, out.data(), dtype, n), 0);
    CHECK(out.ok() && back.ok());
    wrong = 0;
    for (int64_t i = 0; i < n; i++) {
      const uint16_t code = dtype == AO_F16 ? ao_to_f16(x[i]) : ao_to_bf16(x[i]);
      const float value = (float)decode(dtype, out.data(), i);
      wrong += isnan(x[i]) ? !isnan(value) : out[i] != code;
      wrong += isnan(value) ? !isnan(back[i]) : ao_bits(back[i]) != ao_bits(value);
    }
    CHECK_EQ(wrong, 0);
  }
}

static double cast_reference(int64_t to, int64_t from, double x) {
  const bool to_float = to <= AO_F8E5M2;
  if (to == AO_BOOL) return x != 0;
  if (to_float) {
    Buffer<unsigned char> b(8);
    encode(to, b.data(), 0, from >= AO_I8 ? (double)(float)(int64_t)x : x);
    return decode(to, b.data(), 0);
  }
  const int64_t v = from >= AO_I8 ? (int64_t)x : ao::truncate(x);
  switch (to) {
  case AO_I8:
    return (int8_t)v;
  case AO_U8:
    return (uint8_t)v;
  case AO_I32:
    return (int32_t)v;
  default:
    return (double)v;
  }
}

TEST(every_cast) {
  Context ctx(1);
  const double points[] = {0,    1,   -1,  2.5,      -2.5, 0.4,  100, -100,     127,       200,  255, 300,
                           -129, 449, 500, 16777217, 3e9,  -3e9, NAN, INFINITY, -INFINITY, 1e20, 7e4};
  for (int64_t from = 0; from <= AO_BOOL; from++)
    for (int64_t to = 0; to <= AO_BOOL; to++) {
      constexpr int64_t n = sizeof points / sizeof *points;
      Buffer<unsigned char> x(n * ao_dtype_size(from)), out(n * ao_dtype_size(to));
      for (int64_t i = 0; i < n; i++) {
        const double p = points[i];
        const double limit = from == AO_I8 ? 127 : from == AO_U8 ? 255 : from == AO_I32 ? 2147483647.0 : 9e18;
        if (from == AO_BOOL)
          encode(from, x.data(), i, i % 2);
        else if (from >= AO_I8)
          encode(from, x.data(), i, isnan(p) ? 5 : fmin(fmax(p, from == AO_U8 ? 0 : -limit), limit));
        else
          encode(from, x.data(), i, p);
      }
      CHECK_EQ(copy(ctx, out.data(), to, x.data(), from, n), 0);
      CHECK(out.ok());
      for (int64_t i = 0; i < n; i++) {
        const double v = decode(from, x.data(), i), got = decode(to, out.data(), i),
                     expected = cast_reference(to, from, v);
        CHECK_MSG(got == expected || (isnan(got) && isnan(expected)), "%s -> %s of %.9g: %.9g, not %.9g",
                  ao_dtype_name(from), ao_dtype_name(to), v, got, expected);
      }
    }
}

TEST(strides_of_any_kind) {
  Context ctx(2);
  Random random(seed() + 1);
  for (int round = 0; round < 300; round++) {
    const int64_t ndim = random.below(7), from = random.below(10), to = random.below(3) ? from : random.below(10);
    ao_copy_strided_args a{};
    a.ndim = ndim, a.x_dtype = from, a.out_dtype = to;
    int64_t total = 1, order[6] = {0, 1, 2, 3, 4, 5}, x_step = 1, out_step = 1;
    for (int64_t d = 0; d < ndim; d++)
      a.shape[d] = random.below(20) == 0 ? 0 : 1 + random.below(d == ndim - 1 ? 40 : 4), total *= a.shape[d];
    for (int64_t d = ndim - 1; d > 0; d--) {
      const int64_t e = random.below(d + 1), t = order[d];
      order[d] = order[e], order[e] = t;
    }
    for (int64_t d = ndim - 1; d >= 0;
         d--) { // x: a permuted layout with gaps, some dims broadcast; out: contiguous or with gaps
      a.x_strides[order[d]] = random.below(6) == 0 ? 0 : x_step;
      x_step *= a.shape[order[d]] + random.below(2);
      a.out_strides[d] = out_step;
      out_step *= a.shape[d] + random.below(2);
    }
    Buffer<unsigned char> x((x_step + 1) * ao_dtype_size(from)), out((out_step + 1) * ao_dtype_size(to));
    for (int64_t i = 0; i < x_step; i++)
      encode(from, x.data(), i, (double)random.below(2) + (from == AO_BOOL ? 0 : (double)random.below(100)));
    Buffer<unsigned char> expected((out_step + 1) * ao_dtype_size(to));
    a.out = out.data(), a.x = x.data();
    CHECK_EQ(ao_cpu_copy_strided(&a, ctx), 0);
    for (int64_t i = 0; i < total; i++) {
      int64_t rest = i, xi = 0, oi = 0;
      for (int64_t d = ndim - 1; d >= 0; d--)
        xi += rest % a.shape[d] * a.x_strides[d], oi += rest % a.shape[d] * a.out_strides[d], rest /= a.shape[d];
      encode(to, expected.data(), oi, cast_reference(to, from, decode(from, x.data(), xi)));
    }
    CHECK_MSG(memcmp(out.data(), expected.data(), out.size()) == 0 && out.ok(), "round %d, %lld dims, %s -> %s", round,
              (long long)ndim, ao_dtype_name(from), ao_dtype_name(to));
  }
  // backwards
  const int32_t x[4] = {1, 2, 3, 4}, reversed[4] = {4, 3, 2, 1};
  int32_t out[4];
  const ao_copy_strided_args args{out, x + 3, AO_I32, AO_I32, 1, {4}, {1}, {-1}};
  CHECK_EQ(ao_cpu_copy_strided(&args, ctx), 0);
  CHECK(memcmp(out, reversed, sizeof out) == 0);
}

TEST(transposes_in_tiles) {
  Context ctx(2);
  for (int64_t dtype : {AO_F32, AO_BF16, AO_I8, AO_I64}) {
    for (int64_t rows : {8, 31, 33, 100}) {
      for (int64_t columns : {32, 65, 200}) {
        const int64_t batch = 3, size = ao_dtype_size(dtype), total = batch * rows * columns;
        Buffer<unsigned char> x(total * size), out(total * size);
        for (int64_t i = 0; i < total * size; i++) x[i] = (unsigned char)(i * 31 + i / 255);
        const ao_copy_strided_args args{out.data(),
                                        x.data(),
                                        dtype,
                                        dtype,
                                        3,
                                        {rows, batch, columns},
                                        {batch * columns, columns, 1},
                                        {1, rows * columns, rows}};
        CHECK_EQ(ao_cpu_copy_strided(&args, ctx), 0);
        CHECK(out.ok());
        int64_t wrong = 0;
        for (int64_t i = 0; i < total; i++) {
          const int64_t r = i / (batch * columns), b = i / columns % batch, c = i % columns;
          wrong += memcmp(out.data() + i * size, x.data() + (r + b * rows * columns + c * rows) * size, size) != 0;
        }
        CHECK_EQ(wrong, 0);
      }
    }
  }
}

AO_TEST_MAIN()
