// embedding and gather: every element, and errors that name the index before anything is written.
#include "testing/check.h"

using namespace ao_test;

TEST(embedding_copies_rows) {
  Context ctx(2);
  for (int64_t dtype : {AO_F32, AO_BF16, AO_I8}) {
    const int64_t vocab = 50, dim = 33, stride = 35, n = 400, size = ao_dtype_size(dtype);
    Buffer<unsigned char> table(vocab * stride * size), out(n * dim * size, 9);
    for (int64_t i = 0; i < table.size(); i++) table[i] = (unsigned char)(i * 7 + i / 251);
    Buffer<int32_t> ids(n);
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)(i * 13 % vocab);
    const ao_embedding_args args{out.data(), table.data(), ids.data(), n, vocab, dim, stride, dtype};
    CHECK_EQ(ao_cpu_embedding(&args, ctx), 0);
    CHECK(out.ok());
    for (int64_t i = 0; i < n; i++)
      CHECK(memcmp(out.data() + i * dim * size, table.data() + ids[i] * stride * size, dim * size) == 0);
    ids[7] = 50;
    out[0] = 77;
    CHECK_EQ(ao_cpu_embedding(&args, ctx), 1);
    CHECK(strstr(ao_ctx_error(ctx), "index 50 at position 7 is outside the vocabulary of 50") && out[0] == 77);
    ids[7] = -1;
    CHECK_EQ(ao_cpu_embedding(&args, ctx), 1);
  }
}

TEST(gather_along_each_dim) {
  Context ctx(2);
  Random random(seed());
  for (int64_t dtype : {AO_F32, AO_F16, AO_I64, AO_BOOL})
    for (int64_t dim = 0; dim < 3; dim++) {
      const int64_t x_shape[3] = {4, 5, 60};
      int64_t shape[3] = {3, 4, 50};
      shape[dim] = 70;
      const int64_t x_strides[3] = {1, 240, 4}, size = ao_dtype_size(dtype); // x is permuted
      Buffer<unsigned char> x(1200 * size), out(shape[0] * shape[1] * shape[2] * size, 5);
      for (int64_t i = 0; i < 1200; i++) encode(dtype, x.data(), i, dtype == AO_BOOL ? i % 2 : (double)i);
      Buffer<int32_t> index(shape[0] * shape[1] * shape[2]);
      for (int64_t i = 0; i < index.size(); i++) index[i] = (int32_t)random.below(x_shape[dim]);
      ao_gather_args args{out.data(),
                          x.data(),
                          index.data(),
                          3,
                          {shape[0], shape[1], shape[2]},
                          {1, 240, 4},
                          {shape[1] * shape[2], shape[2], 1},
                          dim,
                          x_shape[dim],
                          dtype};
      CHECK_EQ(ao_cpu_gather(&args, ctx), 0);
      CHECK(out.ok());
      for (int64_t i = 0; i < index.size(); i++) {
        int64_t at[3] = {i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]};
        at[dim] = index[i];
        CHECK_EQ(decode(dtype, out.data(), i),
                 decode(dtype, x.data(), at[0] * x_strides[0] + at[1] * x_strides[1] + at[2] * x_strides[2]));
      }
      index[index.size() - 1] = -3, index[9] = (int32_t)x_shape[dim];
      const double before = decode(dtype, out.data(), 0);
      CHECK_EQ(ao_cpu_gather(&args, ctx), 1);
      char expected[64];
      snprintf(expected, sizeof expected, "index %d at element 9", index[9]);
      CHECK(strstr(ao_ctx_error(ctx), expected) && decode(dtype, out.data(), 0) == before);
      args.dim = 3;
      CHECK_EQ(ao_cpu_gather(&args, ctx), 1);
    }
}

AO_TEST_MAIN()
