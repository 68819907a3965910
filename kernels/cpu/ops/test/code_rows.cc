// Code rows: kv_append's codes against the definition, bit for bit on every instruction set, and attention over them against
// double precision over the values that they stand for; one query, a batch and any threads give the same bits.
#include "ops/code_rows.h"

#include <float.h>

#include "testing/check.h"

using namespace ao_test;

static const ao::CodeRows kFormats[] = {{8, false}, {8, true}, {4, false}, {4, true}};

// The definition: the scale, the offset and the codes as they are stored.
static void define(ao::CodeRows rows, const float* x, int64_t n, unsigned char* out) {
  float high = -INFINITY, low = INFINITY, most = 0;
  bool finite = true;
  for (int64_t i = 0; i < n; i++) {
    high = x[i] > high ? x[i] : high, low = x[i] < low ? x[i] : low, most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    finite = finite && isfinite(x[i]);
  }
  const float span = rows.asymmetric ? high - low : most;
  const int center = 1 << (rows.bits - 1), top = 2 * center - 1;
  volatile float step = span / (float)(rows.asymmetric ? top : center - 1);
  const bool whole = finite && span <= FLT_MAX;
  float s = step > FLT_MIN ? step : FLT_MIN, m = rows.bits == 8 ? low + (float)center * s : low;
  if (!whole) s = m = NAN;
  memcpy(out, &s, 4);
  if (rows.asymmetric) memcpy(out + 4, &m, 4);
  unsigned char* codes = out + rows.header();
  memset(codes, 0, (size_t)(n * rows.bits / 8));
  for (int64_t i = 0; i < n && whole; i++) {
    volatile float up = rows.asymmetric ? x[i] - low : x[i];
    volatile float q = up / s;
    const long c = lrintf(q) + (rows.asymmetric ? 0 : center), code = c < 0 ? 0 : c > top ? top : c;
    if (rows.bits == 8)
      codes[i] = (unsigned char)(code - 128);
    else
      codes[i % (n / 2)] |= (unsigned char)(code << (i < n / 2 ? 0 : 4));
  }
}

static double value(ao::CodeRows rows, const unsigned char* row, int64_t n, int64_t i) {
  float s, m = 0;
  memcpy(&s, row, 4);
  if (rows.asymmetric) memcpy(&m, row + 4, 4);
  const unsigned char* codes = row + rows.header();
  if (rows.bits == 8) return (double)s * (signed char)codes[i] + m;
  const int c = codes[i % (n / 2)] >> (i < n / 2 ? 0 : 4) & 15;
  return rows.asymmetric ? (double)s * c + m : (double)s * (c - 8);
}

static ao_kv_append_args append_args(ao::CodeRows rows, void* cache, const float* x, const int32_t* pos, int64_t tokens,
                                     int64_t heads, int64_t dim, int64_t capacity) {
  ao_kv_append_args a{};
  a.cache = cache, a.x = x, a.pos = pos, a.pos_count = 1, a.batch = 1, a.tokens = tokens, a.heads = heads;
  a.dim = dim, a.capacity = capacity, a.cache_dtype = AO_U8, a.x_dtype = AO_F32;
  a.bits = rows.bits, a.asymmetric = rows.asymmetric;
  const int64_t row = rows.row_bytes(dim);
  const int64_t cs[3] = {heads * capacity * row, capacity * row, row}, xs[3] = {tokens * heads * dim, heads * dim, dim};
  memcpy(a.cache_strides, cs, sizeof cs), memcpy(a.x_strides, xs, sizeof xs);
  return a;
}

TEST(kv_append_writes_code_rows) {
  Context ctx(2);
  Random random(seed());
  for (const ao::CodeRows rows : kFormats) {
    for (int64_t dim : {2, 6, 24, 34, 64, 80, 128}) {
      const int64_t tokens = 9, heads = 2, capacity = 12, bytes = rows.row_bytes(dim);
      Buffer<float> x(tokens * heads * dim);
      for (int64_t i = 0; i < x.size(); i++) x[i] = (float)(random.normal() * exp(4 * random.normal()));
      const auto fill = [&](int64_t row, float value) {
        for (int64_t d = 0; d < dim; d++) x[row * dim + d] = value;
      };
      fill(0, 0), fill(1, 3.5f), fill(2, 1e-44f); // all zero, all equal, subnormal
      x[3 * dim + 1] = NAN, x[4 * dim] = INFINITY, x[5 * dim + dim - 1] = -INFINITY;
      x[6 * dim] = FLT_MAX, x[6 * dim + 1] = -FLT_MAX;
      Buffer<unsigned char> cache(heads * capacity * bytes, 0x5a), expected(bytes);
      const int32_t pos = 3;
      const ao_kv_append_args args = append_args(rows, cache.data(), x.data(), &pos, tokens, heads, dim, capacity);
      CHECK_EQ(ao_cpu_kv_append(&args, ctx), 0);
      CHECK(cache.ok());
      for (int64_t h = 0; h < heads; h++)
        for (int64_t p = 0; p < capacity; p++) {
          const unsigned char* row = cache.data() + (h * capacity + p) * bytes;
          if (p < pos) {
            for (int64_t i = 0; i < bytes; i++) CHECK_EQ(row[i], 0x5a);
            continue;
          }
          const float* from = x.data() + ((p - pos) * heads + h) * dim;
          define(rows, from, dim, expected.data());
          float s, m, es, em;
          memcpy(&s, row, 4), memcpy(&es, expected.data(), 4);
          memcpy(&m, row + rows.header() - 4, 4), memcpy(&em, expected.data() + rows.header() - 4, 4);
          CHECK(s == es || (isnan(s) && isnan(es)));
          CHECK(m == em || (isnan(m) && isnan(em)));
          CHECK_MSG(memcmp(row + rows.header(), expected.data() + rows.header(), bytes - rows.header()) == 0,
                    "%d bits, dim %lld, position %lld: other codes", rows.bits, (long long)dim, (long long)p);
          for (int64_t i = 0; i < dim && !isnan(s); i++)
            CHECK_NEAR(value(rows, row, dim, i), from[i], s * 0.5 * (1 + 1e-5) + fabs(from[i]) * 1e-6 + 1e-37);
        }
    }
  }
}

TEST(kv_append_refuses_odd_rows_of_4_bits) {
  Context ctx(1);
  Buffer<float> x(5);
  Buffer<unsigned char> cache(64);
  const int32_t pos = 0;
  const ao_kv_append_args args = append_args({4, false}, cache.data(), x.data(), &pos, 1, 1, 5, 1);
  CHECK_EQ(ao_cpu_kv_append(&args, ctx), 1);
  CHECK(strstr(ao_ctx_error(ctx), "5 codes of 4 bits"));
}

struct Shape {
  int64_t tokens, q_heads, kv_heads, dim, v_dim, keys, first, window;
  double softcap;
};

struct Attention {
  Shape s;
  ao::CodeRows kr, vr;
  int64_t dtype = AO_F32;
  Buffer<unsigned char> k, v;
  Buffer<float> q;
  std::vector<double> k_values, v_values; // as they were made
  Attention(Random& random, ao_ctx* ctx, Shape shape, ao::CodeRows keys, ao::CodeRows values)
      : s(shape), kr(keys), vr(values), k(fill(random, ctx, keys, s.dim)), v(fill(random, ctx, values, s.v_dim)),
        q(s.tokens * s.q_heads * s.dim) {
    for (int64_t i = 0; i < q.size(); i++) q[i] = (float)random.normal();
    k_values = decoded(k, keys, s.dim), v_values = decoded(v, values, s.v_dim);
  }
  Buffer<unsigned char> fill(Random& random, ao_ctx* ctx, ao::CodeRows rows, int64_t dim) {
    Buffer<float> x(s.keys * s.kv_heads * dim);
    for (int64_t i = 0; i < x.size(); i++) x[i] = (float)(random.normal() + (i % dim == 1 ? 4 : 0));
    const int64_t bytes = rows.bits ? rows.row_bytes(dim) : 2 * dim;
    Buffer<unsigned char> cache(s.kv_heads * s.keys * bytes);
    const int32_t pos = 0;
    ao_kv_append_args args = append_args(rows, cache.data(), x.data(), &pos, s.keys, s.kv_heads, dim, s.keys);
    if (!rows.bits) {
      const int64_t cs[3] = {s.kv_heads * s.keys * dim, s.keys * dim, dim};
      memcpy(args.cache_strides, cs, sizeof cs), args.cache_dtype = AO_BF16;
    }
    CHECK_EQ(ao_cpu_kv_append(&args, ctx), 0);
    ao_ctx_reset(ctx);
    return cache;
  }
  std::vector<double> decoded(const Buffer<unsigned char>& b, ao::CodeRows rows, int64_t dim) const {
    std::vector<double> values;
    for (int64_t i = 0; i < s.kv_heads * s.keys * dim; i++)
      values.push_back(rows.bits ? value(rows, b.data() + i / dim * rows.row_bytes(dim), dim, i % dim)
                                 : decode(AO_BF16, b.data(), i));
    return values;
  }
  ao_sdpa_args args(void* out, const int32_t* pos) const {
    ao_sdpa_args a{};
    a.out = out, a.q = q.data(), a.k = k.data(), a.v = v.data(), a.pos = pos, a.pos_count = 1, a.batch = 1;
    a.tokens = s.tokens, a.q_heads = s.q_heads, a.kv_heads = s.kv_heads, a.dim = s.dim, a.v_dim = s.v_dim;
    a.keys = s.keys, a.causal = 1, a.window = s.window, a.scale = 1 / sqrt((double)s.dim), a.softcap = s.softcap;
    a.dtype = AO_F32, a.kv_dtype = AO_BF16;
    a.k_bits = kr.bits, a.k_asymmetric = kr.asymmetric, a.v_bits = vr.bits, a.v_asymmetric = vr.asymmetric;
    const int64_t kb = kr.bits ? kr.row_bytes(s.dim) : s.dim, vb = vr.bits ? vr.row_bytes(s.v_dim) : s.v_dim;
    const int64_t qs[3] = {s.tokens * s.q_heads * s.dim, s.q_heads * s.dim, s.dim};
    const int64_t ks[3] = {s.kv_heads * s.keys * kb, s.keys * kb, kb},
                  vs[3] = {s.kv_heads * s.keys * vb, s.keys * vb, vb};
    memcpy(a.q_strides, qs, sizeof qs), memcpy(a.k_strides, ks, sizeof ks), memcpy(a.v_strides, vs, sizeof vs);
    return a;
  }
  void exact(int64_t t, int64_t h, std::vector<double>& out, std::vector<double>& magnitude) const {
    const int64_t hk = h / (s.q_heads / s.kv_heads), position = s.first + t;
    const int64_t low = s.window > 0 && position - s.window + 1 > 0 ? position - s.window + 1 : 0;
    std::vector<double> p(position + 1);
    double top = -INFINITY, sum = 0;
    for (int64_t j = low; j <= position; j++) {
      const float* query = q.data() + (t * s.q_heads + h) * s.dim;
      const double* key = k_values.data() + (hk * s.keys + j) * s.dim;
      double dot = 0;
      for (int64_t d = 0; d < s.dim; d++) dot += query[d] * key[d];
      dot /= sqrt((double)s.dim);
      p[j] = s.softcap > 0 ? s.softcap * tanh(dot / s.softcap) : dot;
      top = fmax(top, p[j]);
    }
    out.assign(s.v_dim, 0), magnitude.assign(s.v_dim, 0);
    for (int64_t j = low; j <= position; j++) sum += p[j] = exp(p[j] - top);
    for (int64_t j = low; j <= position; j++) {
      const double *x = v_values.data() + (hk * s.keys + j) * s.v_dim, share = p[j] / sum;
      for (int64_t d = 0; d < s.v_dim; d++) out[d] += share * x[d], magnitude[d] += share * (fabs(x[d]) + 8);
    }
  }
};

static const Shape kShapes[] = {
    // tokens q_heads kv_heads dim v_dim keys first window softcap
    {1, 1, 1, 2, 2, 1, 0, 0, 0},         {3, 4, 2, 16, 16, 9, 2, 0, 0},        {5, 6, 2, 64, 64, 300, 251, 0, 0},
    {1, 9, 3, 64, 64, 700, 600, 0, 0},   {17, 3, 3, 34, 20, 520, 500, 0, 0},   {40, 4, 1, 24, 8, 64, 0, 0, 0},
    {2, 8, 2, 128, 128, 600, 530, 0, 0}, {20, 4, 2, 32, 80, 800, 700, 130, 0}, {9, 4, 2, 24, 16, 300, 280, 40, 1.5},
};

TEST(sdpa_over_code_rows_equals_the_definition) {
  Context ctx(2);
  Random random(seed() + 1);
  struct Case {
    Shape s;
    ao::CodeRows keys, values;
  };
  std::vector<Case> cases;
  for (const Shape& s : kShapes)
    for (const ao::CodeRows keys : kFormats)
      for (const ao::CodeRows values : {keys, ao::CodeRows{4, true}, ao::CodeRows{0, false}})
        cases.push_back({s, keys, values});
  for (const auto& [s, keys, values] : thinned(cases)) {
    const Attention x(random, ctx, s, keys, values);
    Buffer<float> out(s.tokens * s.q_heads * s.v_dim);
    const int32_t pos = (int32_t)s.first;
    const ao_sdpa_args args = x.args(out.data(), &pos);
    CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
    ao_ctx_reset(ctx);
    CHECK(out.ok());
    std::vector<double> exact, magnitude;
    for (int64_t t = 0; t < s.tokens; t++)
      for (int64_t h = 0; h < s.q_heads; h++) {
        x.exact(t, h, exact, magnitude);
        for (int64_t d = 0; d < s.v_dim; d++)
          CHECK_NEAR(out[(t * s.q_heads + h) * s.v_dim + d], exact[d], magnitude[d] * 0x1p-17 + 1e-7);
      }
  }
}

TEST(sdpa_over_code_rows_agrees_bit_for_bit_over_batching_and_threads) {
  Random random(seed() + 2);
  Context one(1), three(3);
  for (const ao::CodeRows rows : kFormats) {
    const Shape s{70, 6, 2, 64, 64, 700, 530, 200, 0};
    const Attention x(random, one, s, rows, rows);
    const int64_t row = s.q_heads * s.v_dim;
    Buffer<float> whole(s.tokens * row), again(s.tokens * row), single(row);
    const int32_t pos = (int32_t)s.first;
    ao_sdpa_args args = x.args(whole.data(), &pos);
    CHECK_EQ(ao_cpu_sdpa(&args, one), 0);
    args.out = again.data();
    CHECK_EQ(ao_cpu_sdpa(&args, three), 0);
    CHECK(memcmp(whole.data(), again.data(), s.tokens * row * 4) == 0);
    for (int64_t t = 0; t < s.tokens; t++) {
      const int32_t at = pos + (int32_t)t;
      args.out = single.data(), args.tokens = 1, args.pos = &at, args.q = x.q.data() + t * s.q_heads * s.dim;
      for (ao_ctx* ctx : {one.ctx, three.ctx}) {
        CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
        CHECK_MSG(memcmp(single.data(), whole.data() + t * row, row * 4) == 0, "%d bits, token %lld alone differs",
                  rows.bits, (long long)t);
        ao_ctx_reset(ctx);
      }
    }
  }
}

TEST(sdpa_over_code_rows_does_not_look_at_keys_it_may_not_see) {
  Context ctx(2);
  Random random(seed() + 3);
  for (const ao::CodeRows rows : kFormats) {
    const Shape s{6, 4, 2, 16, 16, 40, 10, 0, 0};
    Attention x(random, ctx, s, rows, rows);
    const int64_t bytes = rows.row_bytes(16);
    const float nan = NAN;
    for (int64_t h = 0; h < s.kv_heads; h++)
      for (int64_t j = 13; j < s.keys; j++)
        for (int64_t at = 0; at < rows.header(); at += 4) {
          memcpy(x.k.data() + (h * s.keys + j) * bytes + at, &nan, 4);
          memcpy(x.v.data() + (h * s.keys + j) * bytes + at, &nan, 4);
        }
    Buffer<float> out(s.tokens * s.q_heads * s.v_dim);
    const int32_t pos = 10;
    const ao_sdpa_args args = x.args(out.data(), &pos);
    CHECK_EQ(ao_cpu_sdpa(&args, ctx), 0);
    for (int64_t i = 0; i < 3 * 4 * 16; i++) CHECK(isfinite(out[i]));
    for (int64_t i = 3 * 4 * 16; i < out.size(); i++) CHECK(isnan(out[i]));
  }
}

AO_TEST_MAIN()
