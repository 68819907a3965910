// Columns of a plain matrix as a panel: out[k - k0][c] = b[k * row + (16 panel + c) * col] in float32, 0 beyond n.
#include "gemm/isa/store.h"
#include "gemm/isa/turn.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// b^T: 16 runs along k, turned in blocks of 16 x 16.
template <int32_t dtype>
void transposed(const char* b, int64_t col_bytes, int64_t count, int64_t k0, int64_t k1, float* out) {
  constexpr int64_t kSize = dtype == AO_F32 ? 4 : 2;
  float block[kPanelRows][kPanelRows] = {};
  for (int64_t k = k0; k < k1; k += kPanelRows) {
    const int64_t now = k1 - k < kPanelRows ? k1 - k : kPanelRows;
    for (int64_t c = 0; c < count; c++) {
      const char* at = b + c * col_bytes + k * kSize;
      v_store(block[c], now == kPanelRows ? v_load_as(dtype, at) : load_some(dtype, at, 0, now));
    }
    turn(block, now, out + (k - k0) * kPanelRows);
  }
}

} // namespace

void decode_strided(int32_t dtype, const void* b, int64_t row, int64_t col, int64_t n, int64_t panel, int64_t k0,
                    int64_t k1, float* out) {
  const int64_t size = dtype == AO_F32 ? 4 : 2, column = panel * kPanelRows;
  const int64_t count = n - column < kPanelRows ? n - column : kPanelRows;
  const char* at = (const char*)b + column * col * size;
  if (row == 1 && col != 1) {
    if (dtype == AO_F32) return transposed<AO_F32>(at, col * size, count, k0, k1, out);
    if (dtype == AO_BF16) return transposed<AO_BF16>(at, col * size, count, k0, k1, out);
    return transposed<AO_F16>(at, col * size, count, k0, k1, out);
  }
  for (int64_t k = k0; k < k1; k++, out += kPanelRows) {
    if (col == 1) {
      v_store(out, load_some(dtype, at + k * row * size, 0, count));
      continue;
    }
    char block[64] = {0};
    for (int64_t c = 0; c < count; c++) memcpy(block + c * size, at + (k * row + c * col) * size, size);
    v_store(out, v_load_as(dtype, block));
  }
}

} // namespace AO_ISA_NS
} // namespace ao
