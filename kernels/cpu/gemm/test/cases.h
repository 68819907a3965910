// Random weights in canonical form, packed or not, and the slow reference of linear: double accumulation of the same quantized
// operands.
#pragma once
#include <memory>

#include "ao/weights.h"
#include "gemm/activation.h"
#include "gemm/packed.h"
#include "testing/check.h"

namespace ao_test {

struct Weight {
  int64_t code, n, k, group, zero_domain, scale_dtype, zero_dtype, activation, bits;
  Buffer<uint8_t> codes{0}, scale{0}, zero{0}, packed{0};
  Buffer<float> table{0};

  int64_t groups() const { return (k + group - 1) / group; }
  int64_t row_bytes() const { return code == AO_INT4 ? (k + 1) / 2 : code == AO_TABLE ? k : k * ao_dtype_size(code); }
  bool coded() const { return ao::has_scale(code); }

  float q(int64_t r, int64_t c) const {
    if (code == AO_TABLE) return table[codes[r * k + c]];
    if (code == AO_I8) return (int8_t)codes[r * k + c];
    const int nibble = codes[r * row_bytes() + c / 2] >> (c % 2 * 4) & 15;
    return nibble < 8 ? nibble : nibble - 16;
  }
  // The value float32 decoding gives.
  double value(int64_t r, int64_t c) const {
    if (!coded()) return decode(code, codes.data(), r * k + c);
    const int64_t g = r * groups() + c / group;
    const float s = (float)decode(scale_dtype, scale.data(), g);
    if (zero_domain == AO_ZERO_INT) return (q(r, c) - (float)decode(zero_dtype, zero.data(), g)) * s;
    const float product = q(r, c) * s;
    return zero_domain == AO_ZERO_FLOAT ? product + (float)decode(zero_dtype, zero.data(), g) : product;
  }
};

template <class T>
void replace(Buffer<T>& buffer, int64_t n) {
  buffer.~Buffer();
  new (&buffer) Buffer<T>(n);
}

struct Spec {
  int64_t code, n, k, group, zero_domain = AO_ZERO_NONE, scale_dtype = AO_F32, zero_dtype = AO_F32,
                             activation = AO_ACT_EXACT, bits = 0;
  const char* values =
      "any"; // of a table: any, signed, unsigned, or small floats as their exponent bits, those of torch with NaN
};

// A code of the table whose value is finite, so that results can be compared.
inline uint8_t finite_code(const Spec& s, Random& random) {
  const std::string values = s.values;
  if (values != "e4m3fn" && values != "e5m2") return (uint8_t)random.below(1 << s.bits);
  return (uint8_t)(random.below(values == "e4m3fn" ? 127 : 124) | random.below(2) << 7);
}

inline void fill_table(const Spec& s, Random& random, Buffer<float>& table) {
  const std::string values = s.values;
  const int count = 1 << s.bits, half = count / 2;
  for (int i = 0; i < count; i++)
    table[i] = values == "signed"     ? (float)((i ^ half) - half)
               : values == "unsigned" ? (float)i
               : values == "any"      ? (float)random.range(-1, 1)
               : values == "e4m3fn"   ? ao_from_f8e4m3((uint8_t)i)
               : values == "e5m2"     ? ao_from_f8e5m2((uint8_t)i)
                                      : ao_from_small((uint32_t)i, atoi(s.values), (int)s.bits - 1 - atoi(s.values));
}

inline void fill(const Weight& w, Random& random, Buffer<uint8_t>& codes, Buffer<uint8_t>& scale,
                 Buffer<uint8_t>& zero) {
  for (int64_t i = 0; i < codes.size(); i++) codes[i] = (uint8_t)random.next();
  if (w.code == AO_I8 && w.bits) // within its bits
    for (int64_t i = 0; i < codes.size(); i++) codes[i] = (uint8_t)((int8_t)(codes[i] << (8 - w.bits)) >> (8 - w.bits));
  if (w.code == AO_INT4 && w.k % 2) // nothing beyond the last column
    for (int64_t r = 1; r <= w.n; r++) codes[r * w.row_bytes() - 1] &= 15;
  if (!w.coded())
    for (int64_t i = 0; i < w.n * w.k; i++) encode(w.code, codes.data(), i, random.normal());
  for (int64_t i = 0; w.coded() && i < w.n * w.groups(); i++) {
    if (w.scale_dtype == AO_F8E8M0)
      scale[i] = (uint8_t)(116 + random.below(8));
    else
      encode(w.scale_dtype, scale.data(), i, random.range(0.001, 0.02));
    if (w.zero_domain == AO_ZERO_INT) encode(w.zero_dtype, zero.data(), i, (int)random.below(100));
    if (w.zero_domain == AO_ZERO_FLOAT) encode(w.zero_dtype, zero.data(), i, random.range(-0.1, 0.1));
  }
}

inline ao_pack_weight_args pack_args(Weight& w) {
  return {w.packed.data(), w.codes.data(), w.scale.data(), w.zero.data(), w.code, w.n, w.k,    w.group,
          w.zero_domain,   w.scale_dtype,  w.zero_dtype,   w.activation,  0,      w.n, w.bits, w.table.data()};
}

// Random values, packed.
inline std::unique_ptr<Weight> make_weight(ao_ctx* ctx, const Spec& spec, Random& random) {
  auto w = std::make_unique<Weight>();
  w->code = spec.code;
  w->n = spec.n;
  w->k = spec.k;
  w->group = spec.group;
  w->zero_domain = spec.zero_domain;
  w->scale_dtype = spec.scale_dtype;
  w->zero_dtype = spec.zero_domain == AO_ZERO_INT && spec.code != AO_TABLE ? (int64_t)AO_I8 : spec.zero_dtype;
  w->activation = spec.activation;
  w->bits = spec.bits;
  replace(w->table, spec.code == AO_TABLE ? 1 << spec.bits : 0);
  if (spec.code == AO_TABLE) fill_table(spec, random, w->table);
  replace(w->codes, w->n * w->row_bytes());
  replace(w->scale, w->coded() ? w->n * w->groups() * ao_dtype_size(w->scale_dtype) : 0);
  replace(w->zero, w->zero_domain != AO_ZERO_NONE ? w->n * w->groups() * ao_dtype_size(w->zero_dtype) : 0);
  fill(*w, random, w->codes, w->scale, w->zero);
  if (spec.code == AO_TABLE)
    for (int64_t i = 0; i < w->codes.size(); i++) w->codes[i] = finite_code(spec, random);
  const int64_t size = ao_cpu_weight_packed_size(w->code, w->n, w->k, w->group, w->zero_domain, w->scale_dtype,
                                                 w->zero_dtype, w->bits, w->activation);
  CHECK(size > 0);
  replace(w->packed, size);
  const ao_pack_weight_args args = pack_args(*w);
  CHECK_MSG(ao_cpu_pack_weight(&args, ctx) == 0, "%s", ao_ctx_error(ctx));
  CHECK(w->packed.ok());
  ao_ctx_reset(ctx);
  return w;
}

struct Expected {
  double value, magnitude; // the result and the sum of the absolute values of its terms
  double between = 0;      // what the rounding between two scales may add
};

// A weight decoded once.
struct Reference {
  const Weight& w;
  std::vector<double> values, zeros; // [n, k]; [n, groups] in a float domain
  explicit Reference(const Weight& weight) : w(weight) {
    for (int64_t i = 0; i < w.n * w.k; i++) values.push_back(w.value(i / w.k, i % w.k));
    if (w.zero_domain == AO_ZERO_FLOAT)
      for (int64_t i = 0; i < w.n * w.groups(); i++) zeros.push_back(decode(w.zero_dtype, w.zero.data(), i));
  }
};

// A row x [k] as w's activation mode takes it.
struct Used {
  std::vector<double> values, shift; // shift: |s z| of each value, none without a zero point
  Used(const Weight& w, const float* x, int64_t x_dtype) : values(x, x + w.k) {
    if (w.activation == AO_ACT_EXACT) return;
    std::vector<int8_t> q(w.k);
    int32_t z = 0;
    const int64_t step = w.activation == AO_ACT_INT8_GROUP ? (w.group < 32 ? w.group : 32) : w.k;
    for (int64_t k = 0; k < w.k; k += step) {
      const int64_t count = w.k - k < step ? w.k - k : step;
      const float s =
          w.activation == AO_ACT_INT8_GROUP
              ? ao::quantize_group(x + k, count, q.data() + k)
              : ao::quantize_token((int32_t)x_dtype, w.activation == AO_ACT_INT8_TOKEN_ASYM, 0, x, w.k, q.data(), &z);
      for (int64_t i = k; i < k + count; i++) {
        values[i] = ((double)q[i] - z) * s;
        if (z) shift.push_back(q[i] == z ? 0 : fabs((double)s * z));
      }
    }
  }
};

// Row x times row r of the weight.
inline Expected expected(const Reference& of, int64_t r, const Used& x, int64_t x_dtype) {
  const Weight& w = of.w;
  Expected e = {0, 0};
  const double *value = of.values.data() + r * w.k, *used = x.values.data();
  for (int64_t k = 0; k < w.k; k++) {
    const double term = used[k] * value[k];
    e.value += term;
    e.magnitude += fabs(term);
  }
  // the asymmetric result is a difference of two sums
  for (int64_t k = 0; k < (int64_t)x.shift.size(); k++) e.magnitude += x.shift[k] * fabs(value[k]);
  // (q - z) s is split into q s and z s where the zero point is apart
  if (w.activation != AO_ACT_EXACT && w.zero_domain == AO_ZERO_FLOAT)
    for (int64_t k = 0; k < w.k; k++) e.magnitude += 2 * fabs(used[k] * of.zeros[r * w.groups() + k / w.group]);
  // one scale on each side: the product with x's scale is rounded to x's dtype before the weight's
  if (w.activation == AO_ACT_INT8_TOKEN && w.groups() == 1 && w.zero_domain == AO_ZERO_NONE)
    e.between = half_step(x_dtype) * 1.01 * fabs(e.value);
  return e;
}

// What float32 chains may lose: about sqrt(k) roundings of the running sum.
inline double tolerance(const Expected& e, int64_t k, int64_t out_dtype) {
  return e.between + (8 + 4 * sqrt((double)k)) * 0x1p-24 * e.magnitude +
         (out_dtype == AO_F32 ? 0 : 1.01 * half_step(out_dtype) * fabs(e.value)) +
         (out_dtype == AO_F16 ? 0x1p-24 : 1e-30);
}

struct Matrix {
  int64_t dtype, rows, cols, stride;
  Buffer<uint8_t> bytes{0};
  Matrix(int64_t dtype_, int64_t rows_, int64_t cols_, int64_t stride_ = 0)
      : dtype(dtype_), rows(rows_), cols(cols_), stride(stride_ ? stride_ : cols_) {
    replace(bytes, rows * stride * ao_dtype_size(dtype));
  }
  void* data() { return bytes.data(); }
  float at(int64_t r, int64_t c) const { return (float)decode(dtype, bytes.data(), r * stride + c); }
  void set(int64_t r, int64_t c, double v) { encode(dtype, bytes.data(), r * stride + c, v); }
  void randomize(Random& random) {
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < cols; c++) set(r, c, random.normal());
  }
  std::vector<float> row(int64_t r) const {
    std::vector<float> v(cols);
    for (int64_t c = 0; c < cols; c++) v[c] = at(r, c);
    return v;
  }
  bool same_row(int64_t r, const Matrix& other, int64_t other_row) const {
    const int64_t size = ao_dtype_size(dtype);
    return memcmp(bytes.data() + r * stride * size, other.bytes.data() + other_row * other.stride * size,
                  cols * size) == 0;
  }
};

inline ao_linear_packed_args linear_args(Weight& w, Matrix& x, Matrix& out) {
  ao_linear_packed_args a = {};
  a.x = x.data();
  a.m = x.rows;
  a.k = x.cols;
  a.x_stride = x.stride;
  a.x_dtype = x.dtype;
  a.out_dtype = out.dtype;
  a.count = 1;
  a.weight0 = w.packed.data();
  a.out0 = out.data();
  a.n0 = w.n;
  a.stride0 = out.stride;
  return a;
}

inline void run(ao_ctx* ctx, const ao_linear_packed_args& a) {
  CHECK_MSG(ao_cpu_linear_packed(&a, ctx) == 0, "%s", ao_ctx_error(ctx));
  ao_ctx_reset(ctx);
}

// The weight forms the tests go through: every code, zero domain, group and dtype of scale at least once.
inline std::vector<Spec> all_specs() {
  std::vector<Spec> specs;
  for (int64_t code : {AO_F32, AO_F16, AO_BF16}) {
    specs.push_back({code, 16, 32, 32});
    specs.push_back({code, 37, 71, 71});
    specs.push_back({code, 1, 1, 1});
    specs.push_back({code, 50, 1100, 1100});
  }
  for (int64_t code : {(int64_t)AO_I8, (int64_t)AO_INT4})
    for (int64_t mode = 0; mode < 4; mode++) {
      specs.push_back({code, 33, 64, 32, AO_ZERO_NONE, AO_F32, 0, mode});
      specs.push_back({code, 16, 96, 32, AO_ZERO_INT, AO_F16, AO_I8, mode});
      specs.push_back({code, 40, 96, 32, AO_ZERO_FLOAT, AO_BF16, AO_BF16, mode});
      specs.push_back({code, 7, 70, 70, AO_ZERO_NONE, AO_BF16, 0, mode});
      specs.push_back({code, 17, 6, 6, AO_ZERO_INT, AO_F32, AO_I8, mode});
      specs.push_back({code, 18, 256, 128, AO_ZERO_FLOAT, AO_F32, AO_F32, mode});
      specs.push_back({code, 31, 1216, 1216, AO_ZERO_NONE, AO_F32, 0, mode});
      specs.push_back({code, 5, 512, 256, AO_ZERO_INT, AO_BF16, AO_I8, mode});
      specs.push_back({code, 20, 48, 16, AO_ZERO_FLOAT, AO_F16, AO_F16, mode});
      specs.push_back({code, 20, 40, 8, AO_ZERO_NONE, AO_F16, 0, mode});
      specs.push_back({code, 3, 192, 64, AO_ZERO_NONE, AO_F32, 0, mode});
      // short last groups
      specs.push_back({code, 19, 104, 32, AO_ZERO_INT, AO_BF16, AO_I8, mode});
      specs.push_back({code, 33, 301, 128, AO_ZERO_FLOAT, AO_F32, AO_BF16, mode});
      specs.push_back({code, 18, 45, 16, AO_ZERO_NONE, AO_F32, 0, mode});
      specs.push_back({code, 4, 20, 64, AO_ZERO_FLOAT, AO_F16, AO_F32, mode});
    }
  for (int64_t bits = 1; bits < 8; bits++) { // int8 codes of fewer bits
    specs.push_back({AO_I8, 50, 100, 32, AO_ZERO_INT, AO_BF16, AO_I8, AO_ACT_EXACT, bits});
    specs.push_back({AO_I8, 33, 64, 64, AO_ZERO_NONE, AO_F32, 0, bits % 4, bits});
    specs.push_back({AO_I8, 35, 200, 32, AO_ZERO_FLOAT, AO_F32, AO_F32, (bits + 1) % 4, bits});
    specs.push_back({AO_I8, 17, 90, 16, AO_ZERO_INT, AO_F16, AO_I8, (bits + 2) % 4, bits});
  }
  for (int64_t bits = 1; bits <= 8; bits++) {
    const auto add = [&](const char* values) {
      const int64_t turn = (int64_t)specs.size();
      const int64_t scales[] = {AO_F32, AO_BF16, AO_F16, AO_F8E8M0, AO_F8E4M3};
      const int64_t zeros[] = {AO_I8, AO_U8, AO_F32, AO_BF16};
      specs.push_back({AO_TABLE, 50, 96, 32, AO_ZERO_NONE, scales[turn % 5], 0, 0, bits, values});
      specs.push_back({AO_TABLE, 33, 173, 16, AO_ZERO_INT, scales[(turn + 1) % 5], zeros[turn % 4], 0, bits, values});
      specs.push_back({AO_TABLE, 16, 333, 333, AO_ZERO_FLOAT, scales[(turn + 2) % 5], AO_F32, 0, bits, values});
      specs.push_back({AO_TABLE, 7, 40, 24, AO_ZERO_NONE, scales[(turn + 3) % 5], 0, 0, bits, values});
    };
    add("any");
    if (bits > 2) add("signed"), add("unsigned");
    if (bits > 3) add("2");
    if (bits > 5) add("3"), add(bits == 8 ? "5" : "4");
  }
  for (const char* values : {"e4m3fn", "e5m2"})
    specs.push_back({AO_TABLE, 50, 264, 64, AO_ZERO_NONE, AO_F32, 0, 0, 8, values});
  return specs;
}

inline std::string describe(const Spec& s, int64_t m = 0) {
  char text[200];
  snprintf(text, sizeof text, "%s [%lld, %lld] m %lld group %lld zero %lld scale %s activation %lld bits %lld %s",
           ao::weight_code_name(s.code), (long long)s.n, (long long)s.k, (long long)m, (long long)s.group,
           (long long)s.zero_domain, ao_dtype_name(s.scale_dtype), (long long)s.activation, (long long)s.bits,
           s.values);
  return text;
}

} // namespace ao_test
