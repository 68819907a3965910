// A packed weight [N, K] whose rows are summed over: panels of 16 columns, lanes are neighbours in K. The weight's own panels are
// decoded as [k][16 rows] and turned 16 x 16.
#include "gemm/isa/turn.h"
#include "gemm/kernels.h"

namespace ao {
namespace AO_ISA_NS {

void decode_turned(const Packed* w, bool pairs, int64_t row, int64_t count, int64_t column, int64_t n, float* room,
                   uint32_t* out, int64_t apart) {
  const VI high = vi_set1((int32_t)0xffff0000);
  alignas(64) float block[kPanelRows * kPanelRows];
  const int64_t whole = round_up_to(n, kPanelRows);
  if (whole > n) memset(room + n * kPanelRows, 0, (whole - n) * kPanelRows * 4);
  for (int64_t r = 0; r < count; r += kPanelRows) {
    decode_panel(w, (row + r) / kPanelRows, column, column + n, room);
    const int64_t rows = count - r < kPanelRows ? count - r : kPanelRows;
    for (int64_t c = 0; c < whole; c += kPanelRows) {
      float* to = (float*)(out + c / kPanelRows * apart) + (pairs ? r / 2 : r) * kPanelRows;
      turn((const float (*)[kPanelRows])(room + c * kPanelRows), kPanelRows, pairs || rows < kPanelRows ? block : to);
      if (!pairs) {
        if (rows < kPanelRows) memcpy(to, block, rows * kPanelRows * 4);
        continue;
      }
      for (int64_t i = 0; i < rows; i += 2) // rows beyond the weight's are zero
        vi_store(to + i / 2 * kPanelRows, vi_or(vi_shr(vi_load(block + i * kPanelRows), 16),
                                                vi_and(vi_load(block + (i + 1) * kPanelRows), high)));
    }
  }
}

} // namespace AO_ISA_NS
} // namespace ao
