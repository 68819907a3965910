// fused_adam against its definition, step by step in scalar float32, with codes found by the search that torchao makes; the
// table's code of a float against that search at every place where either changes.
#include "ops/fused_adam.h"

#include <algorithm>

#include "ops/philox.h"
#include "testing/check.h"

using namespace ao_test;

// torchao.optim's quant_utils, literally.
static int search(const std::vector<float>& q, float x) {
  int code = 0;
  for (int half = (int)q.size() / 2; half >= 1; half /= 2)
    if (x >= q[code + half]) code += half;
  const int up = std::min(code + 1, (int)q.size() - 1);
  volatile float residual = x - q[code], gap = q[up] - q[code], middle = gap * 0.5f;
  return residual >= middle ? up : code;
}

static std::vector<float> dynamic_map(bool is_signed, int decades) {
  std::vector<float> q = {0, 1};
  for (int i = 0; i < decades; i++) {
    const int n = 1 << (is_signed ? i : i + 1);
    for (int k = 0; k < n; k++) {
      const float v = (float)((0.1 + 0.9 * (k + 0.5) / n) * pow(10, i + 1 - decades));
      q.push_back(v);
      if (is_signed) q.push_back(-v);
    }
  }
  std::sort(q.begin(), q.end());
  return q;
}

static std::vector<std::vector<float>> maps() {
  std::vector<float> linear(16), steep(256), level(16, 0.5f);
  for (int k = 0; k < 16; k++) linear[k] = (float)(k + 1) / 16;
  for (int k = 0; k < 256; k++) steep[k] = 0.5f + (float)k / 4096; // several values a bucket
  return {dynamic_map(true, 7), dynamic_map(false, 7), dynamic_map(true, 3), linear, steep, level};
}

static int table_code(const ao::CodeTable& t, float x) {
  if (isnan(x)) return 0;
  int c = t.base[ao::CodeTable::bucket(x)];
  while (x >= t.threshold[c]) c++;
  return c;
}

// The same by the vectors of this instruction set: with beta1 = 0 the first moment is the gradient, and a 1 makes its scale 1.
static void same_codes_by_a_step(const std::vector<float>& q, std::vector<float> x) {
  Context ctx(2);
  const int64_t block = 64, n = ((int64_t)x.size() + block - 2) / (block - 1) * block;
  Buffer<float> p(n, 0.0f), g(n, 1.0f), step(1, 0.0f), ms(n / block, 0.0f), vs(n / block, 0.0f);
  const int64_t each = q.size() == 16 ? 2 : 1;
  Buffer<uint8_t> m(n / each), v(n / each);
  for (size_t i = 0; i < x.size(); i++) g[i / (block - 1) * block + 1 + i % (block - 1)] = x[i];
  const float lr = 0;
  ao_fused_adam_args a{};
  a.param = p.data(), a.grad = g.data(), a.exp_avg = m.data(), a.exp_avg_sq = v.data(), a.exp_avg_scale = ms.data();
  a.exp_avg_sq_scale = vs.data(), a.signed_map = a.unsigned_map = q.data(), a.step = step.data(), a.lr = &lr, a.n = n;
  a.dtype = AO_F32, a.state_dtype = AO_U8, a.map_size = (int64_t)q.size(), a.block_size = block;
  CHECK_EQ(ao_cpu_fused_adam(&a, ctx), 0);
  for (int64_t i = 0; i < n; i++) {
    const int code = each == 1 ? m[i] : m[i / 2] >> (i % 2 ? 0 : 4) & 15;
    CHECK_MSG(code == search(q, g[i]), "%.9g has code %d, not %d", g[i], code, search(q, g[i]));
  }
  for (int64_t b = 0; b < n / block; b++) CHECK_EQ(ms[b], 1.0f);
}

// Both are steps that only rise with x (each operation of the search is monotone), so that they are equal everywhere when they
// are equal on both sides of each rise of either one. AO_EXHAUSTIVE=1 compares all 2^32 floats.
TEST(codes_equal_the_search_for_every_float) {
  for (const std::vector<float>& q : maps()) {
    ao::CodeTable t;
    t.build(q.data(), (int)q.size());
    std::vector<float> checked;
    const auto check = [&](float x) {
      CHECK_EQ(table_code(t, x), search(q, x));
      if (fabsf(x) <= 1) checked.push_back(x);
    };
    for (size_t i = 0; i + 1 < q.size(); i++) {
      CHECK(i == 0 || t.threshold[i] >= t.threshold[i - 1]);
      float up = t.threshold[i], down = nextafterf(up, -INFINITY);
      for (int k = 0; k < 50; k++) {
        check(up), check(down);
        up = nextafterf(up, INFINITY), down = nextafterf(down, -INFINITY);
      }
      // the search's own rise, by halving the floats between two codes
      float low = i == 0 ? -2.0f : q[i], high = q[i + 1];
      while (nextafterf(low, INFINITY) < high) {
        const float middle = low + (high - low) / 2;
        const float x = middle > low && middle < high ? middle : nextafterf(low, INFINITY);
        (search(q, x) > (int)i ? high : low) = x;
      }
      check(low), check(high);
    }
    for (uint32_t key = 0; key < 0x10000; key++) { // both ends of each bucket, and a place within
      check(ao_float(key << 16)), check(ao_float(key << 16 | 0xffff)), check(ao_float(key << 16 | 0x3a7c));
    }
    same_codes_by_a_step(q, checked);
    if (getenv("AO_EXHAUSTIVE"))
      for (uint64_t u = 0; u < 1ull << 32; u++)
        if (table_code(t, ao_float((uint32_t)u)) != search(q, ao_float((uint32_t)u))) check(ao_float((uint32_t)u));
  }
}

struct Case {
  int64_t n, block, dtype;
  int form; // ao::MomentForm
  bool amsgrad, decoupled, random;
};

static const Case kCases[] = {
    {1000, 1, AO_F32, ao::MOMENT_FLOATS, true, true, false},
    {40003, 1, AO_F32, ao::MOMENT_FLOATS, false, false, false},
    {777, 1, AO_BF16, ao::MOMENT_FLOATS, false, true, true},
    {513, 1, AO_F16, ao::MOMENT_FLOATS, true, true, false},
    {256 * 80, 256, AO_F32, ao::MOMENT_MAP_256, false, true, false},
    {7 * 30, 7, AO_F32, ao::MOMENT_MAP_256, true, false, false},
    {256 * 5, 256, AO_BF16, ao::MOMENT_MAP_256, false, true, true},
    {128 * 70, 128, AO_F32, ao::MOMENT_MAP_16, true, true, false},
    {6 * 50, 6, AO_BF16, ao::MOMENT_MAP_16, false, true, false},
    {256 * 9, 256, AO_F32, ao::MOMENT_FLOAT8, true, true, false},
    {13 * 11, 13, AO_BF16, ao::MOMENT_FLOAT8, false, false, false},
};

static float lerp_of(float self, float end, float w) {
  volatile float d = end - self, part = w < 0.5f ? w * d : d * (1.0f - w);
  return w < 0.5f ? self + part : end - part;
}

static float stored(const Case& c, const std::vector<float>& map, const std::vector<uint8_t>& bytes,
                    const std::vector<float>& scale, int64_t i) {
  if (c.form == ao::MOMENT_FLOATS) return (float)decode(c.dtype, bytes.data(), i);
  const int code = c.form == ao::MOMENT_MAP_16 ? bytes[i / 2] >> (i % 2 ? 0 : 4) & 15 : bytes[i];
  volatile float v = (c.form == ao::MOMENT_FLOAT8 ? ao_from_f8e4m3((uint8_t)code) : map[code]) * scale[i / c.block];
  return v;
}

static void store_as_case(const Case& c, const std::vector<float>& map, const std::vector<float>& x,
                          std::vector<uint8_t>& bytes, std::vector<float>& scale) {
  std::fill(bytes.begin(), bytes.end(), 0);
  for (int64_t i = 0; i < c.n; i++) {
    if (c.form == ao::MOMENT_FLOATS) {
      if (c.dtype == AO_F32) memcpy(&bytes[4 * i], &x[i], 4);
      const uint16_t h = c.dtype == AO_BF16 ? ao_to_bf16(x[i]) : ao_to_f16(x[i]);
      if (c.dtype != AO_F32) memcpy(&bytes[2 * i], &h, 2);
      continue;
    }
    if (i % c.block == 0) {
      float most = 1e-12f;
      for (int64_t k = i; k < i + c.block; k++) most = std::max(most, fabsf(x[k]));
      scale[i / c.block] = c.form == ao::MOMENT_FLOAT8 ? most / 448.0f : most;
    }
    volatile float v = x[i] / scale[i / c.block];
    const int code = c.form == ao::MOMENT_FLOAT8 ? ao_to_f8e4m3(v) : search(map, v);
    if (c.form == ao::MOMENT_MAP_16)
      bytes[i / 2] |= (uint8_t)(code << (i % 2 ? 0 : 4));
    else
      bytes[i] = (uint8_t)code;
  }
}

TEST(a_step_equals_its_definition_on_any_threads) {
  Random random(seed());
  Context one(1), three(3);
  for (const Case& c : kCases) {
    const int bits = c.form == ao::MOMENT_MAP_16 ? 4 : 8, size = bits == 4 ? 16 : 256;
    const std::vector<float> sm = dynamic_map(true, bits == 4 ? 3 : 7);
    std::vector<float> um = dynamic_map(false, 7);
    if (bits == 4) {
      um.resize(16);
      for (int k = 0; k < 16; k++) um[k] = (float)(k + 1) / 16;
    }
    const int64_t itemsize = ao_dtype_size(c.dtype),
                  state_bytes = c.form == ao::MOMENT_FLOATS ? c.n * itemsize : c.n * bits / 8,
                  scales = c.form == ao::MOMENT_FLOATS ? 1 : c.n / c.block;
    std::vector<float> p(c.n), g(c.n), moments[3];
    std::vector<uint8_t> codes[3];
    std::vector<float> scale[3];
    for (int64_t i = 0; i < c.n; i++)
      p[i] = random.normal(), g[i] = (float)(random.normal() * exp(3 * random.normal()));
    for (int k = 0; k < 3; k++) {
      codes[k].assign(state_bytes, 0), scale[k].assign(scales, 0);
      std::vector<float> start(c.n);
      for (float& x : start) x = (float)(k == 0 ? random.normal() : fabs(random.normal() * random.normal()));
      if (c.form != ao::MOMENT_FLOATS) start[0] = k == 0 ? -3.0f : 3.0f;
      for (int64_t i = 0; i < c.block && c.n > 2 * c.block && c.form; i++) start[c.block + i] = 0; // a block of zeros
      store_as_case(c, k == 0 ? sm : um, start, codes[k], scale[k]);
    }
    Buffer<uint8_t> pb(c.n * itemsize), gb(c.n * itemsize);
    for (int64_t i = 0; i < c.n; i++)
      for (auto [b, x] : {std::pair{&pb, &p[i]}, std::pair{&gb, &g[i]}}) {
        if (c.dtype == AO_F32) memcpy(b->data() + 4 * i, x, 4);
        const uint16_t h = c.dtype == AO_BF16 ? ao_to_bf16(*x) : ao_to_f16(*x);
        if (c.dtype != AO_F32) memcpy(b->data() + 2 * i, &h, 2);
        *x = (float)decode(c.dtype, b->data(), i);
      }
    const double lr = 0.01f, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, wd = 0.1;
    ao_fused_adam_args a{};
    a.n = c.n, a.dtype = c.dtype, a.block_size = c.block, a.decoupled = c.decoupled, a.beta1 = beta1, a.beta2 = beta2;
    a.eps = eps, a.weight_decay = wd, a.grad = gb.data();
    a.state_dtype = AO_U8;
    if (c.form == ao::MOMENT_FLOATS) a.state_dtype = c.dtype;
    if (c.form == ao::MOMENT_FLOAT8) a.state_dtype = AO_F8E4M3;
    const float rate = 0.01f;
    a.lr = &rate;
    if (a.state_dtype == AO_U8) a.signed_map = sm.data(), a.unsigned_map = um.data(), a.map_size = size;
    for (ao_ctx* ctx : {one.ctx, three.ctx}) {
      Buffer<uint8_t> param(std::vector<uint8_t>(pb.data(), pb.data() + pb.size()));
      std::vector<Buffer<uint8_t>> state;
      std::vector<Buffer<float>> factor;
      for (int k = 0; k < 3; k++) state.emplace_back(codes[k]), factor.emplace_back(scale[k]);
      Buffer<float> step(1, 2.0f);
      Buffer<int32_t> rng(std::vector<int32_t>{11, 5});
      a.param = param.data(), a.step = step.data(), a.rng = c.random ? rng.data() : nullptr;
      a.exp_avg = state[0].data(), a.exp_avg_sq = state[1].data();
      a.max_exp_avg_sq = c.amsgrad ? state[2].data() : nullptr;
      if (c.form != ao::MOMENT_FLOATS) {
        a.exp_avg_scale = factor[0].data(), a.exp_avg_sq_scale = factor[1].data();
        a.max_exp_avg_sq_scale = c.amsgrad ? factor[2].data() : nullptr;
      } else {
        a.exp_avg_scale = a.exp_avg_sq_scale = a.max_exp_avg_sq_scale = nullptr;
      }
      CHECK_EQ(ao_cpu_fused_adam(&a, ctx), 0);
      ao_ctx_reset(ctx);
      CHECK_EQ(step[0], 3.0f);
      CHECK_EQ(rng[1], c.random ? 6 : 5);
      CHECK(param.ok() && state[0].ok() && state[1].ok() && factor[0].ok() && factor[1].ok() && state[2].ok());

      // the definition
      const float size_of = (float)(lr / (1 - pow(beta1, 3))), root = (float)sqrt(1 - pow(beta2, 3));
      const float decay = (float)(c.decoupled ? lr * wd : wd);
      std::vector<float> m(c.n), v(c.n), x(c.n);
      for (int64_t i = 0; i < c.n; i++) {
        volatile float q = p[i], d = g[i], part = decay * q;
        if (c.decoupled)
          q = q - part;
        else
          d = d + part;
        volatile float square = d * d;
        m[i] = lerp_of(stored(c, sm, codes[0], scale[0], i), d, (float)(1 - beta1));
        v[i] = lerp_of(stored(c, um, codes[1], scale[1], i), square, (float)(1 - beta2));
        x[i] = c.amsgrad ? std::max(stored(c, um, codes[2], scale[2], i), v[i]) : v[i];
        volatile float up = size_of * m[i], rooted = sqrtf(x[i]) / root, denom = rooted + (float)eps,
                       ratio = up / denom;
        q = q - ratio;
        float expected = q;
        uint16_t h = c.dtype == AO_BF16 ? ao_to_bf16(q) : ao_to_f16(q);
        if (c.random) {
          const uint32_t chance = ao::philox(11, (uint64_t)i >> 3, 5).word[i >> 1 & 3] >> (i & 1) * 16 & 0xffff;
          h = (uint16_t)((ao_bits(expected) >> 16) + (chance < (ao_bits(expected) & 0xffff)));
        }
        if (c.dtype != AO_F32) expected = c.dtype == AO_BF16 ? ao_from_bf16(h) : ao_from_f16(h);
        CHECK_EQ((float)decode(c.dtype, param.data(), i), expected);
      }
      for (int k = 0; k < (c.amsgrad ? 3 : 2); k++) {
        std::vector<uint8_t> bytes(state_bytes);
        std::vector<float> factors(scales);
        store_as_case(c, k == 0 ? sm : um, k == 0 ? m : k == 1 ? v : x, bytes, factors);
        CHECK_MSG(memcmp(bytes.data(), state[k].data(), bytes.size()) == 0, "moment %d, form %d: other codes", k,
                  c.form);
        for (int64_t b = 0; b < scales && c.form; b++) CHECK_EQ(factor[k][b], factors[b]);
      }
    }
  }
}

TEST(a_gradient_of_nan_gives_codes_of_0_and_scales_of_nan) {
  Context ctx(1);
  const std::vector<float> sm = dynamic_map(true, 7), um = dynamic_map(false, 7);
  Buffer<float> p(64, 1.0f), g(64, 0.5f), step(1, 0.0f), ms(2, 1.0f), vs(2, 1.0f);
  Buffer<uint8_t> m(64, 200), v(64, 100);
  const float lr = 0.1f;
  g[3] = NAN;
  ao_fused_adam_args a{};
  a.param = p.data(), a.grad = g.data(), a.exp_avg = m.data(), a.exp_avg_sq = v.data(), a.exp_avg_scale = ms.data();
  a.exp_avg_sq_scale = vs.data(), a.signed_map = sm.data(), a.unsigned_map = um.data(), a.step = step.data(),
  a.lr = &lr;
  a.n = 64, a.dtype = AO_F32, a.state_dtype = AO_U8, a.map_size = 256, a.block_size = 32, a.beta1 = 0.9, a.beta2 = 0.99;
  CHECK_EQ(ao_cpu_fused_adam(&a, ctx), 0);
  for (int i = 0; i < 32; i++) CHECK(m[i] == 0 && v[i] == 0 && isnan(p[i]) == (i == 3));
  for (int i = 32; i < 64; i++) CHECK(m[i] != 0 && v[i] != 0 && !isnan(p[i]));
  CHECK(isnan(ms[0]) && isnan(vs[0]) && !isnan(ms[1]) && !isnan(vs[1]));
  const std::vector<float> bad(256, NAN);
  a.map_size = 17;
  CHECK_EQ(ao_cpu_fused_adam(&a, ctx), 1);
  a.map_size = 256, a.signed_map = bad.data();
  CHECK_EQ(ao_cpu_fused_adam(&a, ctx), 1);
  a.signed_map = sm.data(), a.block_size = 30;
  CHECK_EQ(ao_cpu_fused_adam(&a, ctx), 1);
}

AO_TEST_MAIN()
