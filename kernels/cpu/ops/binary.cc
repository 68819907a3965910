// binary: out[i0, ...] = f(a[i0, ...], b[i0, ...]) over `shape` (up to 6 dims), out contiguous; a zero stride
// broadcasts. a and b share `dtype`; an absent operand is the number a_scalar or b_scalar, which does not change the
// dtype. Codes (ops/elementwise.h):
//   0 add  1 sub  2 mul  3 div  4 maximum  5 minimum (NaN wins)  6 pow                      out has `dtype`
//   7 eq  8 ne  9 lt  10 le  11 gt  12 ge  13 logical_and  14 logical_or                    out is bool
// Floats compute in float32 (the number too) and round once. Integers compute in int64 and keep the low bits; div of
// integers is refused (cast first, as torch's true division does); pow with a negative exponent is 0 but for bases 1
// and -1.
#include "ops/check.h"
#include "ops/convert.h"
#include "ops/elementwise.h"
#include "ops/strides.h"

namespace {

constexpr int64_t kPiece = 4096, kBlock = 512;

int64_t power(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
  uint64_t result = 1, factor = static_cast<uint64_t>(base);
  for (; exponent; exponent >>= 1, factor *= factor)
    if (exponent & 1) result *= factor;
  return static_cast<int64_t>(result);
}

int64_t apply(int op, int64_t a, int64_t b) {
  const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  switch (op) {
  case ao::ADD:
    return static_cast<int64_t>(x + y);
  case ao::SUB:
    return static_cast<int64_t>(x - y);
  case ao::MUL:
    return static_cast<int64_t>(x * y);
  case ao::MAXIMUM:
    return a > b ? a : b;
  case ao::MINIMUM:
    return a < b ? a : b;
  case ao::POW:
    return power(a, b);
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

// One operand of a run of n elements, `stride` apart; data is null for a number.
struct Side {
  const void* data;
  int64_t stride;
  double number;
};

void integer_run(int op, int64_t dtype, void* out, Side a, Side b, int64_t n) {
  const int64_t out_dtype = op >= ao::EQ ? int64_t{AO_BOOL} : dtype;
  int64_t blocks[2][kBlock];
  const Side sides[2] = {a, b};
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t count = n - at < kBlock ? n - at : kBlock;
    for (int s = 0; s < 2; s++) {
      if (sides[s].data) {
        ao::load_integers(dtype, ao::element(sides[s].data, dtype, at * sides[s].stride), sides[s].stride, blocks[s],
                          count);
      } else {
        for (int64_t i = 0; i < count; i++) blocks[s][i] = ao::truncate(sides[s].number);
      }
    }
    for (int64_t i = 0; i < count; i++) blocks[0][i] = apply(op, blocks[0][i], blocks[1][i]);
    ao::store_integers(out_dtype, ao::element(out, out_dtype, at), 1, blocks[0], count);
  }
}

using BinaryRun = void (*)(int, int64_t, void*, ao::Operand, ao::Operand, int64_t);

// Strides other than 0 and 1: through float32 blocks.
void strided_run(BinaryRun run, int op, int64_t dtype, void* out, Side a, Side b, int64_t n) {
  float blocks[2][kBlock], result[kBlock];
  const Side sides[2] = {a, b};
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t count = n - at < kBlock ? n - at : kBlock;
    ao::Operand operands[2];
    for (int s = 0; s < 2; s++) {
      operands[s] = {nullptr, static_cast<float>(sides[s].number)};
      if (!sides[s].data) continue;
      ao::load_floats(dtype, ao::element(sides[s].data, dtype, at * sides[s].stride), sides[s].stride, blocks[s],
                      count);
      operands[s].stored = blocks[s];
    }
    if (op >= ao::EQ) {
      run(op, AO_F32, static_cast<uint8_t*>(out) + at, operands[0], operands[1], count);
    } else {
      run(op, AO_F32, result, operands[0], operands[1], count);
      ao::store_floats(dtype, ao::element(out, dtype, at), 1, result, count);
    }
  }
}

ao::Operand operand(int64_t dtype, Side side) {
  if (!side.data) return {nullptr, static_cast<float>(side.number)};
  if (side.stride == 1) return {side.data, 0};
  float value;
  ao::load_floats(dtype, side.data, 1, &value, 1);
  return {nullptr, value};
}

} // namespace

extern "C" int ao_cpu_binary(const ao_binary_args* a, ao_ctx* ctx) {
  const int op = static_cast<int>(a->op);
  const bool floats = ao::is_float_dtype(a->dtype);
  if (a->op < 0 || a->op >= ao::BINARY_OPS)
    return ao_fail(ctx, "binary: code %lld is not known", static_cast<long long>(a->op));
  if (ao::need_ndim(ctx, "binary", a->ndim) || ao::need_known(ctx, "binary", a->dtype)) return 1;
  if (floats && ao::need_float(ctx, "binary", a->dtype)) return 1;
  if (!floats && op == ao::DIV)
    return ao_fail(ctx, "binary: div of %s; cast to float32 first", ao_dtype_name(a->dtype));
  const int64_t* strides[2] = {a->a_strides, a->b_strides};
  // the contiguous output takes part, so that only dims that it too steps through evenly merge
  int64_t out_strides[6], step = 1;
  for (int64_t d = a->ndim - 1; d >= 0; d--) out_strides[d] = step, step *= a->shape[d];
  const int64_t* all[3] = {strides[0], strides[1], out_strides};
  const ao::Walk<3> walk = ao::merge_dims<3>(a->ndim, a->shape, all);
  const int64_t inner = walk.inner(), pieces = (inner + kPiece - 1) / kPiece;
  const int64_t out_dtype = op >= ao::EQ ? int64_t{AO_BOOL} : a->dtype;
  const auto run = AO_ISA_PICK(ctx, binary_run);
  const int64_t chunk = ao::rows_per_chunk(inner < kPiece ? inner : kPiece);
  ao::parallel_for(ctx, walk.rows() * pieces, chunk, [&](int64_t begin, int64_t end, int) {
    for (int64_t piece = begin; piece < end; piece++) {
      const auto offset = walk.offsets(piece / pieces);
      const int64_t from = piece % pieces * kPiece, n = inner - from < kPiece ? inner - from : kPiece;
      const void* data[2] = {a->a, a->b};
      Side sides[2];
      for (int s = 0; s < 2; s++) {
        const int64_t stride = walk.inner_stride(s);
        const void* at = data[s] ? ao::element(data[s], a->dtype, offset.at[s] + from * stride) : nullptr;
        sides[s] = {at, stride, s ? a->b_scalar : a->a_scalar};
      }
      void* out = ao::element(a->out, out_dtype, offset.at[2] + from);
      const auto plain = [](const Side& s) { return !s.data || s.stride == 0 || s.stride == 1; };
      if (!floats) {
        integer_run(op, a->dtype, out, sides[0], sides[1], n);
      } else if (plain(sides[0]) && plain(sides[1])) {
        run(op, a->dtype, out, operand(a->dtype, sides[0]), operand(a->dtype, sides[1]), n);
      } else {
        strided_run(run, op, a->dtype, out, sides[0], sides[1], n);
      }
    }
  });
  return 0;
}
