// 2:4 weights against the same weights with their zeros, bit for bit, whatever the code and the mode; and block-sparse ones.
#include "gemm/test/cases.h"

using namespace ao_test;

namespace {

// The columns that are there of rows of `values`, `size` bytes each, whose zeros are spread by `meta`.
std::vector<uint8_t> spread(const Weight& kept, const std::vector<uint8_t>& meta) {
  const bool nibbles = kept.code == AO_INT4;
  const int64_t k = 2 * kept.k, size = nibbles ? 1 : ao_dtype_size(kept.code == AO_TABLE ? (int64_t)AO_U8 : kept.code);
  std::vector<uint8_t> out(kept.n * (nibbles ? k / 2 : k * size));
  for (int64_t i = 0; i < kept.n * kept.k; i++) {
    const int64_t g = i / 2, nibble = meta[g / 2] >> (g % 2 * 4) & 15, at = 4 * g + (i % 2 ? nibble >> 2 : nibble & 3);
    if (nibbles)
      out[at / 2] |= (kept.codes[i / 2] >> (i % 2 * 4) & 15) << (at % 2 * 4);
    else
      memcpy(out.data() + at * size, kept.codes.data() + i * size, size);
  }
  return out;
}

std::vector<uint8_t> random_meta(Random& random, int64_t groups) {
  const uint8_t pairs[] = {4, 8, 12, 9, 13, 14};
  std::vector<uint8_t> meta(groups / 2);
  for (auto& byte : meta) byte = (uint8_t)(pairs[random.below(6)] | pairs[random.below(6)] << 4);
  return meta;
}

std::vector<uint8_t> pack(ao_ctx* ctx, const Weight& w, int64_t code, int64_t k, int64_t group, const uint8_t* codes,
                          const uint8_t* meta) {
  const int64_t size =
      ao_cpu_weight_packed_size(code, w.n, k, group, w.zero_domain, w.scale_dtype, w.zero_dtype, w.bits, w.activation);
  CHECK(size > 0);
  std::vector<uint8_t> packed(size > 0 ? size : 0);
  const ao_pack_weight_args a = {
      packed.data(), codes,         w.scale.data(), nullptr,      code, w.n, k,      group,
      w.zero_domain, w.scale_dtype, w.zero_dtype,   w.activation, 0,    w.n, w.bits, w.table.data(),
      meta};
  CHECK_MSG(ao_cpu_pack_weight(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
  return packed;
}

std::vector<uint8_t> run(ao_ctx* ctx, const std::vector<uint8_t>& packed, const uint8_t* x, int64_t m, int64_t n,
                         int64_t k, int64_t dtype) {
  std::vector<uint8_t> out(m * n * ao_dtype_size(dtype));
  ao_linear_packed_args a = {};
  a.x = x, a.m = m, a.k = k, a.x_stride = k, a.x_dtype = a.out_dtype = a.bias_dtype = dtype;
  a.count = 1, a.weight0 = packed.data(), a.out0 = out.data(), a.n0 = a.stride0 = n;
  CHECK_MSG(ao_cpu_linear_packed(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
  ao_ctx_reset(ctx);
  return out;
}

void compare(ao_ctx* ctx, Random& random, Spec kept, int64_t dtype) {
  const auto w = make_weight(
      ctx,
      [&] { // parts; its own packed form is not used
        Spec plain = kept;
        return plain;
      }(),
      random);
  const int64_t k = 2 * w->k, group = w->group >= w->k ? k : 2 * w->group;
  const std::vector<uint8_t> meta = random_meta(random, w->n * k / 4);
  const std::vector<uint8_t> dense = spread(*w, meta);
  if (w->code == AO_TABLE) w->table[0] = 0;
  const auto sparse_packed = pack(ctx, *w, w->code | AO_TWO_OF_FOUR, k, group, w->codes.data(), meta.data());
  const auto dense_packed = pack(ctx, *w, w->code, k, group, dense.data(), nullptr);
  Buffer<uint8_t> codes(w->codes.size()), back(meta.size());
  const ao_unpack_weight_args u = {codes.data(), nullptr, nullptr, sparse_packed.data(), w->n, k, 0, w->n, back.data()};
  CHECK(ao_cpu_unpack_weight(&u, ctx) == 0);
  CHECK(memcmp(codes.data(), w->codes.data(), codes.size()) == 0);
  CHECK(memcmp(back.data(), meta.data(), meta.size()) == 0);
  for (int64_t m : {1, 2, 3, 4, 5, 31}) {
    Buffer<uint8_t> x(m * k * ao_dtype_size(dtype));
    for (int64_t i = 0; i < m * k; i++) encode(dtype, x.data(), i, random.normal());
    const auto a = run(ctx, sparse_packed, x.data(), m, w->n, k, dtype);
    const auto b = run(ctx, dense_packed, x.data(), m, w->n, k, dtype);
    CHECK_MSG(a == b, "code %lld, activation %lld, %lld rows, [%lld, %lld]", (long long)w->code,
              (long long)w->activation, (long long)m, (long long)w->n, (long long)k);
  }
}

} // namespace

TEST(two_of_four) {
  Random random(seed());
  Context ctx(2);
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{16, 32}, {40, 100}, {33, 512}}) {
    for (int64_t code : {AO_F32, AO_BF16, AO_F16})
      for (int64_t x : {(int64_t)AO_F32, code}) compare(ctx, random, {code, n, k, k}, x);
    compare(ctx, random, {AO_I8, n, k, k}, AO_F32);
    compare(ctx, random, {AO_I8, n, k, k, AO_ZERO_NONE, AO_F32, AO_F32, AO_ACT_INT8_TOKEN}, AO_BF16);
    compare(ctx, random, {AO_I8, n, k, k, AO_ZERO_NONE, AO_F32, AO_F32, AO_ACT_INT8_TOKEN_ASYM}, AO_F32);
    if (k % 32 == 0) compare(ctx, random, {AO_INT4, n, k, 32, AO_ZERO_NONE, AO_BF16}, AO_BF16);
  }
}

TEST(refusals) {
  const int64_t sparse = AO_I8 | AO_TWO_OF_FOUR;
  const auto size = [](int64_t code, int64_t k, int64_t group, int64_t zero, int64_t activation) {
    return ao_cpu_weight_packed_size(code, 16, k, group, zero, AO_F32, AO_I8, 0, activation);
  };
  CHECK(size(sparse, 64, 64, AO_ZERO_NONE, AO_ACT_INT8_TOKEN) > 0);
  CHECK(size(sparse, 60, 60, AO_ZERO_NONE, AO_ACT_EXACT) == -1);
  CHECK(size(sparse, 64, 64, AO_ZERO_INT, AO_ACT_EXACT) == -1);
  CHECK(size(sparse, 64, 24, AO_ZERO_NONE, AO_ACT_EXACT) == -1);
  CHECK(size(sparse, 64, 32, AO_ZERO_NONE, AO_ACT_INT8_TOKEN) == -1);
  CHECK(size(sparse, 64, 64, AO_ZERO_NONE, AO_ACT_INT8_GROUP) == -1);
}

TEST(blocks) {
  Random random(seed());
  Context ctx(2);
  const int64_t n = 96, k = 64;
  for (int64_t block : {16, 32})
    for (int64_t dtype : {AO_F32, AO_BF16})
      for (int64_t m : {1, 7, 250}) {
        const int64_t size = ao_dtype_size(dtype);
        std::vector<int32_t> crow = {0}, col;
        std::vector<double> dense(n * k, 0.0), magnitude(m * n, 0.0), y(m * n, 0.0);
        for (int64_t r = 0; r < n / block; r++) {
          for (int64_t c = 0; c < k / block; c++)
            if (random.below(3) == 0) col.push_back((int32_t)c);
          crow.push_back((int32_t)col.size());
        }
        Buffer<uint8_t> values(std::max<int64_t>(1, col.size()) * block * block * size), x(m * k * size),
            out(m * n * size), back(values.size()), whole(n * k * size);
        for (int64_t i = 0; i < (int64_t)col.size() * block * block; i++)
          encode(dtype, values.data(), i, random.normal());
        for (int64_t i = 0; i < m * k; i++) encode(dtype, x.data(), i, random.normal());
        ao_block_sparse_copy_args copy = {whole.data(), values.data(), crow.data(), col.data(), n, k, block, dtype, 0};
        CHECK(ao_cpu_block_sparse_copy(&copy, ctx) == 0);
        copy.out = back.data(), copy.x = whole.data(), copy.gather = 1;
        CHECK(ao_cpu_block_sparse_copy(&copy, ctx) == 0);
        CHECK(memcmp(back.data(), values.data(), col.size() * block * block * size) == 0);
        for (int64_t i = 0; i < m; i++)
          for (int64_t j = 0; j < n; j++)
            for (int64_t c = 0; c < k; c++) {
              const double term = decode(dtype, x.data(), i * k + c) * decode(dtype, whole.data(), j * k + c);
              y[i * n + j] += term;
              magnitude[i * n + j] += fabs(term);
            }
        const ao_block_sparse_linear_args a = {out.data(), x.data(), values.data(), crow.data(), col.data(), nullptr, m,
                                               n,          k,        block,         dtype};
        CHECK_MSG(ao_cpu_block_sparse_linear(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
        const double rounding = dtype == AO_F32 ? 1e-6 : 1.0 / 128;
        for (int64_t i = 0; i < m * n; i++)
          CHECK_NEAR(decode(dtype, out.data(), i), y[i], rounding * magnitude[i] + 1e-12);
        ao_ctx_reset(ctx);
      }
  const int32_t crow[] = {0, 1}, outside[] = {4};
  float data[16 * 64] = {};
  const ao_block_sparse_copy_args bad = {data, data, crow, outside, 16, 64, 16, AO_F32, 0};
  CHECK(ao_cpu_block_sparse_copy(&bad, ctx) == 1 && strstr(ao_ctx_error(ctx), "col[0] is 4"));
}

AO_TEST_MAIN()
