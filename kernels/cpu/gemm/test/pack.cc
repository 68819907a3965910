// Packing is a bijection: codes, scales and zeros come back bit for bit, whole, in pieces and by rows; refusals name the reason.
#include "gemm/test/cases.h"

using namespace ao_test;

static void check_unpack(ao_ctx* ctx, Weight& w, int64_t row, int64_t rows, const std::string& what) {
  const int64_t scale_row = w.coded() ? w.groups() * ao_dtype_size(w.scale_dtype) : 0;
  const int64_t zero_row = w.zero_domain != AO_ZERO_NONE ? w.groups() * ao_dtype_size(w.zero_dtype) : 0;
  Buffer<uint8_t> codes(rows * w.row_bytes()), scale(rows * scale_row), zero(rows * zero_row);
  const ao_unpack_weight_args a = {codes.data(), scale.data(), zero.data(), w.packed.data(), w.n, w.k, row, rows};
  CHECK_MSG(ao_cpu_unpack_weight(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
  CHECK(codes.ok() && scale.ok() && zero.ok());
  CHECK_MSG(memcmp(codes.data(), w.codes.data() + row * w.row_bytes(), codes.size()) == 0, "%s codes", what.c_str());
  CHECK_MSG(memcmp(scale.data(), w.scale.data() + row * scale_row, scale.size()) == 0, "%s scale", what.c_str());
  CHECK_MSG(memcmp(zero.data(), w.zero.data() + row * zero_row, zero.size()) == 0, "%s zero", what.c_str());
}

TEST(unpack_inverts_pack) {
  Context ctx;
  Random random(seed());
  for (const Spec& spec : all_specs()) {
    auto w = make_weight(ctx, spec, random);
    check_unpack(ctx, *w, 0, w->n, describe(spec));
    check_unpack(ctx, *w, w->n / 2, w->n - w->n / 2, describe(spec) + " lower half");
  }
}

TEST(any_bytes_survive) { // NaN payloads, signed zeros, infinities of scales and float codes
  Context ctx;
  Random random(seed());
  for (Spec spec : all_specs()) {
    auto w = make_weight(ctx, spec, random);
    const bool limited = w->bits != 0; // packing refuses codes of more bits
    for (int64_t i = 0; i < w->codes.size() && !limited; i++) w->codes[i] = (uint8_t)random.next();
    if (w->code == AO_INT4 && w->k % 2) // the nibble beyond the last column is not kept
      for (int64_t r = 1; r <= w->n; r++) w->codes[r * w->row_bytes() - 1] &= 15;
    for (int64_t i = 0; i < w->scale.size(); i++) w->scale[i] = (uint8_t)random.next();
    for (int64_t i = 0; i < w->zero.size(); i++) w->zero[i] = (uint8_t)random.next();
    const ao_pack_weight_args args = pack_args(*w);
    CHECK(ao_cpu_pack_weight(&args, ctx) == 0);
    check_unpack(ctx, *w, 0, w->n, describe(spec));
  }
}

TEST(pieces_equal_the_whole) {
  Context ctx;
  Random random(seed());
  for (const Spec& spec : all_specs()) {
    auto w = make_weight(ctx, spec, random);
    Buffer<uint8_t> whole(w->packed.size());
    memcpy(whole.data(), w->packed.data(), whole.size());
    memset(w->packed.data(), 0xee, whole.size());
    for (int64_t row = 0; row < w->n; row += 16) {
      ao_pack_weight_args a = pack_args(*w);
      a.row = row;
      a.rows = w->n - row < 16 ? w->n - row : 16;
      a.codes = w->codes.data() + row * w->row_bytes();
      if (w->coded()) a.scale = w->scale.data() + row * w->groups() * ao_dtype_size(w->scale_dtype);
      if (w->zero_domain != AO_ZERO_NONE) a.zero = w->zero.data() + row * w->groups() * ao_dtype_size(w->zero_dtype);
      CHECK_MSG(ao_cpu_pack_weight(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
    }
    CHECK_MSG(memcmp(whole.data(), w->packed.data(), whole.size()) == 0, "%s", describe(spec).c_str());
  }
}

TEST(refusals) {
  struct Refused {
    Spec spec;
    const char* says;
  };
  const Refused list[] = {
      {{AO_I32, 4, 4, 4}, "codes are"},
      {{AO_F32, 0, 4, 4}, "at least 1"},
      {{AO_F32, 4, 4, 4, AO_ZERO_FLOAT}, "no zero point"},
      {{AO_F32, 4, 4, 4, AO_ZERO_NONE, AO_F32, AO_F32, AO_ACT_INT8_GROUP}, "exact activation"},
      {{AO_I8, 4, 64, 0}, "at least one column"},
      {{AO_I8, 4, 48, 12}, "multiple of 8"},
      {{AO_I8, 4, 48, 24, AO_ZERO_NONE, AO_F32, AO_F32, AO_ACT_INT8_TOKEN}, "multiple of 32"},
      {{AO_I8, 4, 32, 32, AO_ZERO_NONE, AO_I8}, "scales are"},
      {{AO_I8, 4, 32, 32, AO_ZERO_NONE, AO_F8E8M0, AO_F32, AO_ACT_INT8_TOKEN}, "take scales in"},
      {{AO_I8, 4, 32, 32, AO_ZERO_INT, AO_F32, AO_F32, AO_ACT_INT8_TOKEN}, "zero point in codes"},
      {{AO_TABLE, 4, 32, 32}, "1 to 8 bits"},
      {{AO_TABLE, 4, 32, 32, AO_ZERO_NONE, AO_F32, AO_F32, AO_ACT_INT8_TOKEN, 4}, "exact activation"},
      {{AO_I8, 4, 32, 32, AO_ZERO_FLOAT, AO_F32, AO_I8}, "float zero point"},
      {{AO_I8, 4, 32, 32, 7}, "zero_domain"},
      {{AO_I8, 4, 32, 32, AO_ZERO_NONE, AO_F32, AO_F32, 9}, "activation is"},
  };
  Context ctx;
  for (const Refused& r : list) {
    ao_pack_weight_args a = {};
    a.code = r.spec.code;
    a.n = r.spec.n;
    a.k = r.spec.k;
    a.group_size = r.spec.group;
    a.zero_domain = r.spec.zero_domain;
    a.scale_dtype = r.spec.scale_dtype;
    a.zero_dtype = r.spec.zero_dtype;
    a.activation = r.spec.activation;
    a.bits = r.spec.bits;
    a.rows = r.spec.n;
    CHECK(ao_cpu_pack_weight(&a, ctx) == 1);
    CHECK_MSG(strstr(ao_ctx_error(ctx), r.says), "'%s' lacks '%s'", ao_ctx_error(ctx), r.says);
  }
  CHECK(ao_cpu_weight_packed_size(AO_I8, 4, 64, 12, 0, AO_F32, AO_F32, 0, 0) == -1);
  Buffer<uint8_t> junk(256);
  const ao_unpack_weight_args u = {nullptr, nullptr, nullptr, junk.data(), 4, 4, 0, 4};
  CHECK(ao_cpu_unpack_weight(&u, ctx) == 1 && strstr(ao_ctx_error(ctx), "not packed"));
}

AO_TEST_MAIN()
