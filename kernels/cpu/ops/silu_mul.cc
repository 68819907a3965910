// silu_mul: out[r, i] = round(silu(gate[r, i])) * up[r, i], silu(x) = x / (1 + e^-x), r < rows, i < n; float32 math,
// rounded to the dtype after silu and after the product, as the two ops one by one. Rows of gate and up are
// gate_stride and up_stride elements apart, so that both may lie in one fused projection; out is contiguous and may be
// gate or up where that is too.
#include "ops/check.h"
#include "ops/rows.h"

extern "C" int ao_cpu_silu_mul(const ao_silu_mul_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "silu_mul", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, silu_mul_row);
  constexpr int64_t kPiece = 2048;
  const int64_t pieces = (a->n + kPiece - 1) / kPiece;
  ao::parallel_for(ctx, a->rows * pieces, ao::rows_per_chunk(a->n < kPiece ? a->n : kPiece, 4096),
                   [&](int64_t begin, int64_t end, int) {
                     for (int64_t p = begin; p < end; p++) {
                       const int64_t r = p / pieces, i = p % pieces * kPiece, n = a->n - i < kPiece ? a->n - i : kPiece;
                       run(a->dtype, ao::element(a->out, a->dtype, r * a->n + i),
                           ao::element(a->gate, a->dtype, r * a->gate_stride + i),
                           ao::element(a->up, a->dtype, r * a->up_stride + i), n);
                     }
                   });
  return 0;
}
