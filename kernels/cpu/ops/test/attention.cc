// rope, kv_append and sdpa against double precision, and sdpa's promise: one query, a batch, any threads give the same
// bits.
#include "ops/sdpa.h"

#include "testing/check.h"

using namespace ao_test;

static const int64_t kDtypes[] = {AO_F32, AO_BF16, AO_F16};

static Buffer<unsigned char> values(Random& random, int64_t dtype, int64_t n, double scale = 1) {
  Buffer<unsigned char> b(n * ao_dtype_size(dtype));
  for (int64_t i = 0; i < n; i++) encode(dtype, b.data(), i, random.normal() * scale);
  return b;
}

static std::vector<double> decoded(int64_t dtype, const Buffer<unsigned char>& b) {
  std::vector<double> v(b.size() / ao_dtype_size(dtype));
  for (size_t i = 0; i < v.size(); i++) v[i] = decode(dtype, b.data(), (int64_t)i);
  return v;
}

struct Shape {
  int64_t batch, tokens, q_heads, kv_heads, dim, v_dim, keys, first, window;
  bool causal, pos;
  double softcap = 0;
};

struct Attention {
  Shape s;
  int64_t dtype, kv_dtype;
  Buffer<unsigned char> q, k, v;
  Buffer<float> mask;
  std::vector<double> q_values, k_values, v_values; // as they were made
  Attention(Random& random, Shape shape, int64_t type, int64_t kv_type = -1)
      : s(shape), dtype(type), kv_dtype(kv_type < 0 ? type : kv_type),
        q(values(random, type, s.batch * s.tokens * s.q_heads * s.dim)),
        k(values(random, kv_dtype, s.batch * s.kv_heads * s.keys * s.dim)),
        v(values(random, kv_dtype, s.batch * s.kv_heads * s.keys * s.v_dim)), mask(s.tokens * s.keys) {
    for (int64_t i = 0; i < mask.size(); i++) mask[i] = random.below(5) == 0 ? -INFINITY : random.normal();
    q_values = decoded(dtype, q), k_values = decoded(kv_dtype, k), v_values = decoded(kv_dtype, v);
  }
  ao_sdpa_args args(void* out, const int32_t* pos, bool masked) const {
    ao_sdpa_args a{};
    a.out = out, a.q = q.data(), a.k = k.data(), a.v = v.data(), a.mask = masked ? mask.data() : nullptr, a.pos = pos;
    a.batch = s.batch, a.tokens = s.tokens, a.q_heads = s.q_heads, a.kv_heads = s.kv_heads, a.dim = s.dim,
    a.v_dim = s.v_dim, a.pos_count = 1;
    a.keys = s.keys, a.past = s.first, a.causal = s.causal, a.window = s.window, a.scale = 1 / sqrt((double)s.dim),
    a.softcap = s.softcap, a.dtype = dtype, a.kv_dtype = kv_dtype;
    const int64_t qs[3] = {s.tokens * s.q_heads * s.dim, s.q_heads * s.dim, s.dim};
    const int64_t ks[3] = {s.kv_heads * s.keys * s.dim, s.keys * s.dim, s.dim},
                  vs[3] = {s.kv_heads * s.keys * s.v_dim, s.keys * s.v_dim, s.v_dim};
    memcpy(a.q_strides, qs, sizeof qs), memcpy(a.k_strides, ks, sizeof ks), memcpy(a.v_strides, vs, sizeof vs);
    a.mask_strides[2] = s.keys, a.mask_strides[3] = 1;
    return a;
  }
  int64_t out_size() const { return s.batch * s.tokens * s.q_heads * s.v_dim; }
  // The definition, in double; `magnitude` gets sum p |v|, which scales the error.
  void exact(int64_t b, int64_t t, int64_t h, bool masked, std::vector<double>& out,
             std::vector<double>& magnitude) const {
    const int64_t hk = h / (s.q_heads / s.kv_heads), position = s.first + t;
    std::vector<double> p(s.keys, -INFINITY);
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < s.keys; j++) {
      const bool seen =
          (s.causal ? j <= position : !s.pos || j < s.first + s.tokens) && !(s.window > 0 && j <= position - s.window);
      if (!seen) continue;
      const double *query = q_values.data() + ((b * s.tokens + t) * s.q_heads + h) * s.dim,
                   *key = k_values.data() + ((b * s.kv_heads + hk) * s.keys + j) * s.dim;
      double dot = 0;
      for (int64_t d = 0; d < s.dim; d++) dot += query[d] * key[d];
      dot /= sqrt((double)s.dim);
      p[j] = (s.softcap > 0 ? s.softcap * tanh(dot / s.softcap) : dot) + (masked ? mask[t * s.keys + j] : 0);
      top = fmax(top, p[j]);
    }
    out.assign(s.v_dim, 0), magnitude.assign(s.v_dim, 0);
    if (top == -INFINITY) return;
    for (int64_t j = 0; j < s.keys; j++) p[j] = p[j] == -INFINITY ? 0 : exp(p[j] - top), sum += p[j];
    for (int64_t j = 0; j < s.keys; j++) {
      if (p[j] == 0) continue;
      const double *x = v_values.data() + ((b * s.kv_heads + hk) * s.keys + j) * s.v_dim, share = p[j] / sum;
      for (int64_t d = 0; d < s.v_dim; d++) out[d] += share * x[d], magnitude[d] += share * fabs(x[d]);
    }
  }
};

static const Shape kShapes[] = {
    // batch tokens q_heads kv_heads dim v_dim keys first window causal pos
    {1, 1, 1, 1, 1, 1, 1, 0, 0, true, true},
    {2, 3, 4, 2, 16, 16, 9, 2, 0, true, true},
    {1, 5, 6, 2, 64, 64, 300, 251, 0, true, true},
    {1, 1, 9, 3, 64, 64, 700, 600, 0, true, true},
    {2, 17, 3, 3, 33, 20, 520, 500, 0, true, false},
    {1, 40, 4, 1, 24, 8, 64, 0, 0, true, false},
    {1, 7, 2, 2, 128, 96, 530, 0, 0, false, false},
    {1, 7, 2, 2, 32, 32, 530, 100, 0, false, true},
    {1, 20, 4, 2, 32, 32, 800, 700, 130, true, true},
    {1, 20, 4, 2, 32, 32, 60, 10, 3, true, true},
    {2, 9, 4, 2, 24, 16, 300, 280, 40, true, true, 1.5},
};

TEST(sdpa_equals_the_definition) {
  Context ctx(2);
  Random random(seed());
  for (const Shape& s : kShapes) {
    for (int64_t dtype : kDtypes) {
      for (int variant = 0; variant < 3; variant++) {
        const bool masked = variant == 1;
        const Attention x(random, s, variant == 2 ? (int64_t)AO_F32 : dtype,
                          dtype); // 2: float32 queries over this cache
        Buffer<unsigned char> out(x.out_size() * ao_dtype_size(x.dtype));
        const int32_t pos = (int32_t)s.first;
        const ao_sdpa_args args = x.args(out.data(), s.pos ? &pos : nullptr, masked);
        CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
        ao_ctx_reset(ctx);
        CHECK(out.ok());
        std::vector<double> exact, magnitude;
        for (int64_t b = 0; b < s.batch; b++)
          for (int64_t t = 0; t < s.tokens; t++)
            for (int64_t h = 0; h < s.q_heads; h++) {
              x.exact(b, t, h, masked, exact, magnitude);
              for (int64_t d = 0; d < s.v_dim; d++) {
                const double got = decode(x.dtype, out.data(), ((b * s.tokens + t) * s.q_heads + h) * s.v_dim + d);
                // dots of `dim` normals move a weight by about dim * 2^-24 of itself; then one rounding to the dtype
                CHECK_NEAR(got, exact[d], magnitude[d] * 0x1p-18 + fabs(exact[d]) * half_step(x.dtype) + 1e-7);
              }
            }
      }
    }
  }
}

TEST(sdpa_agrees_bit_for_bit_over_batching_and_threads) {
  Random random(seed() + 1);
  Context one(1), three(3);
  for (int64_t dtype : kDtypes) {
    const Shape s{1, 70, 6, 2, 40, 24, 700, 530, 0, true, true};
    const Attention x(random, s, dtype);
    const int64_t row = s.q_heads * s.v_dim * ao_dtype_size(dtype), q_row = s.q_heads * s.dim * ao_dtype_size(dtype);
    Buffer<unsigned char> whole(s.tokens * row), again(s.tokens * row), single(row);
    const int32_t pos = (int32_t)s.first;
    ao_sdpa_args args = x.args(whole.data(), &pos, false);
    CHECK_EQ(ao_cpu_sdpa(&args, one), 0);
    args.out = again.data();
    CHECK_EQ(ao_cpu_sdpa(&args, three), 0);
    CHECK(memcmp(whole.data(), again.data(), s.tokens * row) == 0);
    for (int64_t t = 0; t < s.tokens; t++) {
      const int32_t at = pos + (int32_t)t;
      args.out = single.data(), args.tokens = 1, args.pos = &at, args.q = x.q.data() + t * q_row;
      for (ao_ctx* ctx : {one.ctx, three.ctx}) {
        CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
        CHECK_MSG(memcmp(single.data(), whole.data() + t * row, row) == 0, "%s, token %lld alone differs",
                  ao_dtype_name(dtype), (long long)t);
        ao_ctx_reset(ctx);
      }
    }
  }
}

TEST(sdpa_takes_a_position_per_sequence) {
  Random random(seed() + 6);
  Context one(1), three(3);
  for (int64_t dtype : kDtypes) {
    const Shape s{4, 1, 6, 2, 64, 64, 700, 0, 0, true, true};
    const Attention x(random, s, dtype);
    const int64_t size = ao_dtype_size(dtype), row = s.q_heads * s.v_dim * size;
    const int32_t pos[4] = {699, 0, 300, 255};
    Buffer<unsigned char> batch(s.batch * row), alone(row);
    for (ao_ctx* ctx : {one.ctx, three.ctx}) {
      ao_sdpa_args args = x.args(batch.data(), pos, false);
      args.pos_count = 4;
      CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
      args.batch = 1, args.pos_count = 1, args.out = alone.data();
      for (int64_t b = 0; b < s.batch; b++) {
        args.q = x.q.data() + b * row, args.k = x.k.data() + b * s.kv_heads * s.keys * s.dim * size;
        args.v = x.v.data() + b * s.kv_heads * s.keys * s.v_dim * size, args.pos = pos + b;
        CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
        CHECK_MSG(memcmp(alone.data(), batch.data() + b * row, row) == 0, "%s, sequence %lld alone differs",
                  ao_dtype_name(dtype), (long long)b);
      }
      ao_ctx_reset(ctx);
    }
  }
}

TEST(sdpa_does_not_look_at_keys_it_may_not_see) {
  Context ctx(2);
  Random random(seed() + 2);
  for (int64_t dtype : kDtypes) {
    const Shape s{1, 6, 4, 2, 16, 16, 40, 10, 0, true, true};
    Attention x(random, s, dtype);
    for (int64_t h = 0; h < s.kv_heads; h++)
      for (int64_t j = 13; j < s.keys; j++)
        for (int64_t d = 0; d < 16; d++) {
          encode(dtype, x.k.data(), (h * s.keys + j) * 16 + d, NAN);
          encode(dtype, x.v.data(), (h * s.keys + j) * 16 + d, d % 2 ? NAN : INFINITY);
        }
    Buffer<unsigned char> out(x.out_size() * ao_dtype_size(dtype));
    const int32_t pos = 10;
    const ao_sdpa_args args = x.args(out.data(), &pos, false);
    CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
    for (int64_t i = 0; i < 3 * 4 * 16; i++) CHECK(isfinite(decode(dtype, out.data(), i)));
    for (int64_t i = 3 * 4 * 16; i < x.out_size(); i++) CHECK(isnan(decode(dtype, out.data(), i)));
  }
}

TEST(sdpa_gives_zero_where_nothing_is_seen_and_refuses_overflow) {
  Context ctx(2);
  Random random(seed() + 3);
  const Shape s{1, 2, 2, 1, 8, 8, 300, 290, 0, true, true};
  Attention x(random, s, AO_F32);
  for (int64_t i = 0; i < x.mask.size(); i++) x.mask[i] = i < s.keys ? -INFINITY : 0;
  Buffer<float> out(x.out_size(), 7.0f);
  int32_t pos = 290;
  ao_sdpa_args args = x.args(out.data(), &pos, true);
  CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
  for (int64_t i = 0; i < 16; i++) CHECK_EQ(out[i], 0.0f);
  CHECK(out[16] != 0);
  pos = 299;
  CHECK_EQ(ao_cpu_sdpa(&args, ctx), 1);
  CHECK(strstr(ao_ctx_error(ctx), "2 queries at position 299 do not fit 300 keys"));
  args.q_heads = 3, args.kv_heads = 2;
  CHECK_EQ(ao_cpu_sdpa(&args, ctx), 1);
}

TEST(rope_rotates_halves) {
  Context ctx(2);
  Random random(seed() + 4);
  for (int64_t dtype : kDtypes)
    for (int64_t dim : {2, 10, 64, 100})
      for (int64_t rotary : {dim, dim / 4 * 2}) {
        const int64_t rows = 6, heads = 3, table = 9, half = rotary / 2, row_stride = heads * dim + 5,
                      head_stride = dim;
        const Buffer<unsigned char> x = values(random, dtype, rows * row_stride);
        Buffer<float> cosines(table * half + 1), sines(table * half + 1);
        for (int64_t i = 0; i < table * half; i++) cosines[i] = (float)cos(i * 0.1), sines[i] = (float)sin(i * 0.1);
        Buffer<int32_t> positions(3);
        positions[0] = 8, positions[1] = 0, positions[2] = 5;
        Buffer<unsigned char> out(rows * heads * dim * ao_dtype_size(dtype));
        const ao_rope_args args{out.data(), x.data(), cosines.data(), sines.data(), positions.data(), rows,
                                heads,      dim,      rotary,         row_stride,   head_stride,      3,
                                table,      dtype};
        CHECK_EQ(ao_cpu_rope(&args, ctx), 0);
        CHECK(out.ok());
        for (int64_t r = 0; r < rows; r++)
          for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < dim; i++) {
              const auto in = [&](int64_t k) { return decode(dtype, x.data(), r * row_stride + h * head_stride + k); };
              const int64_t at = positions[r % 3] * half + i % (half ? half : 1);
              const double c = cosines[at], s = sines[at];
              const double exact = i < half     ? in(i) * c - in(i + half) * s
                                   : i < rotary ? in(i) * c + in(i - half) * s
                                                : in(i);
              CHECK_NEAR(decode(dtype, out.data(), (r * heads + h) * dim + i), exact,
                         1e-6 + fabs(exact) * half_step(dtype) * 1.01);
            }
        positions[1] = 9;
        CHECK_EQ(ao_cpu_rope(&args, ctx), 1);
        CHECK(strstr(ao_ctx_error(ctx), "position 9 of token 1"));
      }
}

TEST(kv_append_writes_its_rows_only) {
  Context ctx(2);
  Random random(seed() + 5);
  const int64_t batch = 2, tokens = 3, heads = 2, dim = 5, capacity = 8;
  const Buffer<unsigned char> x = values(random, AO_BF16, batch * tokens * heads * dim);
  Buffer<uint16_t> cache(batch * heads * capacity * dim, 0x1234);
  int32_t pos[2] = {5, 1};
  const ao_kv_append_args args{cache.data(),
                               x.data(),
                               pos,
                               2,
                               batch,
                               tokens,
                               heads,
                               dim,
                               capacity,
                               {heads * capacity * dim, capacity * dim, dim},
                               {tokens * heads * dim, heads * dim, dim},
                               AO_BF16,
                               AO_BF16,
                               0,
                               0};
  CHECK_EQ(ao_cpu_kv_append(&args, ctx), 0);
  const uint16_t* in = (const uint16_t*)x.data();
  for (int64_t b = 0; b < batch; b++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t p = 0; p < capacity; p++)
        for (int64_t d = 0; d < dim; d++) {
          const int64_t t = p - pos[b];
          const uint16_t expected = t < 0 || t >= tokens ? 0x1234 : in[((b * tokens + t) * heads + h) * dim + d];
          CHECK_EQ(cache[((b * heads + h) * capacity + p) * dim + d], expected);
        }
  pos[1] = 6;
  CHECK_EQ(ao_cpu_kv_append(&args, ctx), 1);
  CHECK(strstr(ao_ctx_error(ctx), "3 tokens at position 6 go beyond the cache's 8"));
}

TEST(kv_append_rounds_float32_to_the_cache) {
  Context ctx(2);
  Random random(seed() + 7);
  const int64_t tokens = 3, heads = 2, dim = 21, capacity = 4;
  const Buffer<unsigned char> x = values(random, AO_F32, tokens * heads * dim);
  const int32_t pos = 1;
  for (int64_t dtype : {AO_BF16, AO_F16}) {
    Buffer<uint16_t> cache(heads * capacity * dim, 0x1234);
    ao_kv_append_args args{cache.data(),
                           x.data(),
                           &pos,
                           1,
                           1,
                           tokens,
                           heads,
                           dim,
                           capacity,
                           {heads * capacity * dim, capacity * dim, dim},
                           {tokens * heads * dim, heads * dim, dim},
                           dtype,
                           AO_F32,
                           0,
                           0};
    CHECK_EQ(ao_cpu_kv_append(&args, ctx), 0);
    for (int64_t h = 0; h < heads; h++)
      for (int64_t t = 0; t < tokens; t++)
        for (int64_t d = 0; d < dim; d++) {
          unsigned char bits[8];
          encode(dtype, bits, 0, decode(AO_F32, x.data(), (t * heads + h) * dim + d));
          CHECK_EQ(cache[(h * capacity + pos + t) * dim + d], *(const uint16_t*)bits);
        }
    for (int64_t d = 0; d < dim; d++) CHECK_EQ(cache[d], 0x1234);
    args.x_dtype = dtype == AO_BF16 ? AO_F16 : AO_BF16;
    CHECK_EQ(ao_cpu_kv_append(&args, ctx), 1);
    CHECK(strstr(ao_ctx_error(ctx), "does not go into a cache of"));
  }
}

AO_TEST_MAIN()
