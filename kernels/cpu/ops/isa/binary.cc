#include <math.h>

#include "base/simd_map.h"
#include "ops/elementwise.h"

typedef uint8_t vbytes __attribute__((vector_size(AO_W)));
typedef uint8_t vbytes_any __attribute__((vector_size(AO_W), aligned(1), may_alias));

namespace ao {
namespace AO_ISA_NS {

template <class Fn, class Put>
static inline void each(int64_t dtype, Operand a, Operand b, int64_t n, const Fn& fn, const Put& put) {
  by_dtype(dtype, [&](auto tag) {
    constexpr int d = decltype(tag)::dtype;
    const vf fixed_a = set1(a.value), fixed_b = set1(b.value);
    steps(n, [&](int64_t i, int count) {
      const vf x = a.stored ? load_as(d, a.stored, i, count) : fixed_a;
      const vf y = b.stored ? load_as(d, b.stored, i, count) : fixed_b;
      put(tag, i, fn(x, y), count);
    });
  });
}

void binary_run(int op, int64_t dtype, void* out, Operand a, Operand b, int64_t n) {
  const auto map = [&](auto fn) {
    each(dtype, a, b, n, fn,
         [&](auto tag, int64_t i, vf v, int count) { store_as(decltype(tag)::dtype, out, i, v, count); });
  };
  const auto compare = [&](auto fn) {
    each(dtype, a, b, n, fn, [&](auto, int64_t i, vi mask, int count) {
      const vbytes bytes = __builtin_convertvector(mask & 1, vbytes);
      uint8_t* at = static_cast<uint8_t*>(out) + i;
      if (count == AO_W) {
        *(vbytes_any*)at = bytes;
      } else {
        for (int k = 0; k < count; k++) at[k] = bytes[k];
      }
    });
  };
  switch (op) {
  case ADD:
    return map([](vf x, vf y) { return x + y; });
  case SUB:
    return map([](vf x, vf y) { return x - y; });
  case MUL:
    return map([](vf x, vf y) { return x * y; });
  case DIV:
    return map([](vf x, vf y) { return x / y; });
  case MAXIMUM:
    return map([](vf x, vf y) { return max_nan(x, y); });
  case MINIMUM:
    return map([](vf x, vf y) { return min_nan(x, y); });
  case POW:
    return map([](vf x, vf y) {
      vf r = x;
      for (int k = 0; k < AO_W; k++) r[k] = y[k] == 2.0f ? x[k] * x[k] : static_cast<float>(pow(x[k], y[k]));
      return r;
    });
  case EQ:
    return compare([](vf x, vf y) { return (vi)(x == y); });
  case NE:
    return compare([](vf x, vf y) { return (vi)(x != y); });
  case LT:
    return compare([](vf x, vf y) { return (vi)(x < y); });
  case LE:
    return compare([](vf x, vf y) { return (vi)(x <= y); });
  case GT:
    return compare([](vf x, vf y) { return (vi)(x > y); });
  case GE:
    return compare([](vf x, vf y) { return (vi)(x >= y); });
  case LOGICAL_AND:
    return compare([](vf x, vf y) { return (vi)(x != set1(0.0f)) & (vi)(y != set1(0.0f)); });
  default:
    return compare([](vf x, vf y) { return (vi)(x != set1(0.0f)) | (vi)(y != set1(0.0f)); });
  }
}

} // namespace AO_ISA_NS
} // namespace ao
