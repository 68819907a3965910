// The gradient of attention against double precision: grouped queries, causal, windows, soft caps, masks, positions, strides, sizes around
// the blocks, few heads (parts) and many; one thread gives the bits of three.
#include <vector>

#include "testing/check.h"

using namespace ao_test;

typedef Buffer<unsigned char> Bytes;

struct Case {
  int64_t batch, tokens, q_heads, kv_heads, dim, v_dim, keys;
  bool causal = true;
  int64_t window = 0;
  double softcap = 0;
  bool mask = false;
  std::vector<int32_t> pos = {};
};

static Bytes values(Random& random, int64_t dtype, int64_t n, double scale = 1) {
  Bytes b(n * ao_dtype_size(dtype));
  for (int64_t i = 0; i < n; i++) encode(dtype, b.data(), i, random.normal() * scale);
  return b;
}

struct Exact {
  std::vector<double> dq, dk, dv;
};

// out is written too, as the forward kernel would.
static Exact exact(const Case& c, int64_t dtype, const Bytes& g, const Bytes& q, const Bytes& k, const Bytes& v,
                   const Buffer<float>& mask, Bytes& out) {
  const int64_t group = c.q_heads / c.kv_heads;
  Exact e{std::vector<double>(c.batch * c.tokens * c.q_heads * c.dim),
          std::vector<double>(c.batch * c.kv_heads * c.keys * c.dim),
          std::vector<double>(c.batch * c.kv_heads * c.keys * c.v_dim)};
  const double scale = 1 / sqrt((double)c.dim);
  for (int64_t b = 0; b < c.batch; b++)
    for (int64_t t = 0; t < c.tokens; t++)
      for (int64_t h = 0; h < c.q_heads; h++) {
        const int64_t row = (b * c.tokens + t) * c.q_heads + h, head = b * c.kv_heads + h / group;
        const int64_t past = c.pos.empty() ? c.keys - c.tokens : c.pos[b % c.pos.size()], position = past + t;
        const int64_t high = c.causal ? position + 1 : c.pos.empty() ? c.keys : past + c.tokens;
        const int64_t low = c.window > 0 && position - c.window + 1 > 0 ? position - c.window + 1 : 0;
        std::vector<double> p(c.keys), slope(c.keys, 1.0), dp(c.keys);
        double most = -INFINITY, total = 0, delta = 0;
        for (int64_t j = low; j < high; j++) {
          double s = 0;
          for (int64_t i = 0; i < c.dim; i++)
            s += decode(dtype, q.data(), row * c.dim + i) * decode(dtype, k.data(), (head * c.keys + j) * c.dim + i);
          s *= scale;
          if (c.softcap > 0) {
            const double tanh_ = tanh(s / c.softcap);
            s = c.softcap * tanh_, slope[j] = 1 - tanh_ * tanh_;
          }
          p[j] = s + (c.mask ? mask[(h * c.tokens + t) * c.keys + j] : 0);
          most = fmax(most, p[j]);
        }
        for (int64_t j = low; j < high; j++) total += p[j] = most == -INFINITY ? 0 : exp(p[j] - most);
        for (int64_t j = low; j < high && total > 0; j++) p[j] /= total;
        for (int64_t i = 0; i < c.v_dim; i++) {
          double sum = 0;
          for (int64_t j = low; j < high; j++) sum += p[j] * decode(dtype, v.data(), (head * c.keys + j) * c.v_dim + i);
          encode(dtype, out.data(), row * c.v_dim + i, sum);
          delta += decode(dtype, g.data(), row * c.v_dim + i) * decode(dtype, out.data(), row * c.v_dim + i);
        }
        for (int64_t j = low; j < high; j++) {
          for (int64_t i = 0; i < c.v_dim; i++) {
            const double gi = decode(dtype, g.data(), row * c.v_dim + i);
            dp[j] += gi * decode(dtype, v.data(), (head * c.keys + j) * c.v_dim + i);
            e.dv[(head * c.keys + j) * c.v_dim + i] += p[j] * gi;
          }
          const double ds = p[j] * (dp[j] - delta) * slope[j] * scale;
          for (int64_t i = 0; i < c.dim; i++) {
            e.dq[row * c.dim + i] += ds * decode(dtype, k.data(), (head * c.keys + j) * c.dim + i);
            e.dk[(head * c.keys + j) * c.dim + i] += ds * decode(dtype, q.data(), row * c.dim + i);
          }
        }
      }
  return e;
}

static void near(int64_t dtype, const Bytes& got, const std::vector<double>& wanted, const char* name) {
  double squares = 0;
  for (double v : wanted) squares += v * v;
  const double rms = sqrt(squares / (double)wanted.size());
  // float32's sums, and in 16 bits the rounding of probabilities to what the processor multiplies in pairs
  const double share = dtype == AO_F32 ? 2e-6 : dtype == AO_F16 ? 1e-4 : 0.012;
  CHECK(got.ok());
  for (size_t i = 0; i < wanted.size(); i++) {
    const double value = decode(dtype, got.data(), (int64_t)i);
    CHECK_MSG(fabs(value - wanted[i]) <= fabs(wanted[i]) * (half_step(dtype) * 1.01 + share) + rms * share * 8 + 1e-7,
              "%s[%zu] %g against %g, rms %g", name, i, value, wanted[i], rms);
  }
}

static void check(const Case& c, int64_t dtype, Random& random) {
  const int64_t rows = c.batch * c.tokens * c.q_heads, keys = c.batch * c.kv_heads * c.keys,
                size = ao_dtype_size(dtype);
  const Bytes g = values(random, dtype, rows * c.v_dim), q = values(random, dtype, rows * c.dim),
              k = values(random, dtype, keys * c.dim), v = values(random, dtype, keys * c.v_dim);
  Bytes out(rows * c.v_dim * size);
  Buffer<float> mask(c.q_heads * c.tokens * c.keys);
  for (int64_t i = 0; i < mask.size(); i++) mask[i] = random.below(4) ? random.normal() : -INFINITY;
  for (int64_t j = 0; j < c.keys; j++) mask[j] = -INFINITY; // the first query of the first head sees nothing
  const Exact wanted = exact(c, dtype, g, q, k, v, mask, out);
  Bytes dq(rows * c.dim * size, 0x5a), dk(keys * c.dim * size, 0x5a), dv(keys * c.v_dim * size, 0x5a);
  ao_sdpa_backward_args a{};
  a.dq = dq.data(), a.dk = dk.data(), a.dv = dv.data(), a.g = g.data(), a.q = q.data(), a.k = k.data(), a.v = v.data();
  a.out = out.data(), a.mask = c.mask ? mask.data() : nullptr;
  a.pos = c.pos.empty() ? nullptr : c.pos.data(), a.pos_count = (int64_t)c.pos.size();
  a.batch = c.batch, a.tokens = c.tokens, a.q_heads = c.q_heads, a.kv_heads = c.kv_heads, a.dim = c.dim,
  a.v_dim = c.v_dim;
  a.keys = c.keys, a.past = c.keys - c.tokens, a.causal = c.causal, a.window = c.window, a.softcap = c.softcap;
  a.scale = 1 / sqrt((double)c.dim), a.dtype = dtype;
  a.q_strides[0] = c.tokens * c.q_heads * c.dim, a.q_strides[1] = c.q_heads * c.dim, a.q_strides[2] = c.dim;
  a.k_strides[0] = c.kv_heads * c.keys * c.dim, a.k_strides[1] = c.keys * c.dim, a.k_strides[2] = c.dim;
  a.v_strides[0] = c.kv_heads * c.keys * c.v_dim, a.v_strides[1] = c.keys * c.v_dim, a.v_strides[2] = c.v_dim;
  a.mask_strides[1] = c.tokens * c.keys, a.mask_strides[2] = c.keys, a.mask_strides[3] = 1;
  Context three(3);
  CHECK_EQ(ao_cpu_sdpa_backward(&a, three), 0);
  near(dtype, dq, wanted.dq, "dq");
  near(dtype, dk, wanted.dk, "dk");
  near(dtype, dv, wanted.dv, "dv");
  Bytes dq1(dq.size()), dk1(dk.size()), dv1(dv.size());
  a.dq = dq1.data(), a.dk = dk1.data(), a.dv = dv1.data();
  Context one(1);
  CHECK_EQ(ao_cpu_sdpa_backward(&a, one), 0);
  CHECK(memcmp(dq.data(), dq1.data(), (size_t)dq.size()) == 0);
  CHECK(memcmp(dk.data(), dk1.data(), (size_t)dk.size()) == 0);
  CHECK(memcmp(dv.data(), dv1.data(), (size_t)dv.size()) == 0);
}

TEST(against_double) {
  Random random(seed());
  const std::vector<Case> cases = {
      {1, 1, 1, 1, 1, 1, 1},
      {2, 7, 4, 2, 8, 8, 7},
      {1, 48, 2, 2, 16, 16, 48},
      {2, 49, 3, 1, 48, 48, 49},
      {1, 97, 6, 2, 64, 64, 97},
      {1, 200, 6, 2, 20, 20, 200},                              // parts
      {1, 13, 4, 4, 80, 96, 100},                               // past, v of another size
      {1, 30, 4, 2, 112, 128, 60, false},                       // all keys
      {1, 130, 2, 1, 32, 32, 130, true, 40},                    // window
      {1, 60, 2, 1, 33, 33, 60, true, 0, 1.5},                  // soft cap
      {2, 40, 4, 2, 16, 16, 55, false, 0, 0, true},             // mask
      {1, 50, 4, 2, 16, 16, 50, true, 20, 2.0, true},           // all at once
      {3, 10, 2, 2, 16, 16, 70, true, 0, 0, false, {5, 60, 0}}, // positions
      {2, 10, 2, 2, 16, 16, 70, false, 0, 0, false, {7}},
  };
  for (const Case& c : thinned(cases))
    for (int64_t dtype : {AO_F32, AO_BF16, AO_F16}) check(c, dtype, random);
}

TEST(refusals) {
  Context ctx(1);
  ao_sdpa_backward_args a{};
  a.batch = 1, a.tokens = 3, a.q_heads = 3, a.kv_heads = 2, a.dim = a.v_dim = 4, a.keys = 3, a.dtype = AO_F32;
  CHECK(ao_cpu_sdpa_backward(&a, ctx) == 1 && strstr(ao_ctx_error(ctx), "3 query heads"));
  a.q_heads = 2, a.causal = 1, a.past = 1;
  CHECK(ao_cpu_sdpa_backward(&a, ctx) == 1 && strstr(ao_ctx_error(ctx), "do not fit 3 keys"));
  a.dtype = AO_I8;
  CHECK(ao_cpu_sdpa_backward(&a, ctx) == 1);
}

AO_TEST_MAIN()
