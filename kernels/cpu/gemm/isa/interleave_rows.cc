// Rows of 32-bit units side by side: out[unit][height], four rows and four units at a time.
#include "gemm/isa/vec.h"
#include "gemm/kernels.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

typedef uint32_t Four __attribute__((vector_size(16)));

inline Four load4(const uint32_t* p) {
  Four v;
  memcpy(&v, p, 16);
  return v;
}

void turn4(const uint32_t* const* from, int64_t unit, int64_t height, uint32_t* out) {
  const Four a = load4(from[0] + unit), b = load4(from[1] + unit), c = load4(from[2] + unit), d = load4(from[3] + unit);
  const Four ac = __builtin_shuffle(a, c, Four{0, 4, 1, 5}), ac2 = __builtin_shuffle(a, c, Four{2, 6, 3, 7});
  const Four bd = __builtin_shuffle(b, d, Four{0, 4, 1, 5}), bd2 = __builtin_shuffle(b, d, Four{2, 6, 3, 7});
  const Four turned[] = {__builtin_shuffle(ac, bd, Four{0, 4, 1, 5}), __builtin_shuffle(ac, bd, Four{2, 6, 3, 7}),
                         __builtin_shuffle(ac2, bd2, Four{0, 4, 1, 5}), __builtin_shuffle(ac2, bd2, Four{2, 6, 3, 7})};
  for (int i = 0; i < 4; i++) memcpy(out + i * height, &turned[i], 16);
}

} // namespace

void interleave_rows(const uint32_t* const* from, int64_t rows, int64_t count, int64_t height, uint32_t* out) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) turn4(from + row, i, height, out + i * height + row);
    for (; i < count; i++)
      for (int r = 0; r < 4; r++) out[i * height + row + r] = from[row + r][i];
  }
  for (; row < rows; row++)
    for (int64_t i = 0; i < count; i++) out[i * height + row] = from[row][i];
}

} // namespace AO_ISA_NS
} // namespace ao
