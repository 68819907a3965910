// Columns of a plain matrix as a panel: out[k - k0][c] = b[k * row + (16 panel + c) * col] in float32, 0 beyond n.
#include "gemm/isa/store.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

#if AO_ISA_LEVEL > 0
// out[i][c] = in[c][i], 8 x 8.
void turn8(const float (*in)[kPanelRows], float* out) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; i++) a[i] = _mm256_loadu_ps(in[i]);
  for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(out + i * kPanelRows, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * kPanelRows, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}
#endif

// out[i][c] = in[c][i] for i < count.
void turn(const float (*in)[kPanelRows], int64_t count, float* out) {
#if AO_ISA_LEVEL > 0
  if (count == kPanelRows) {
    for (int c = 0; c < 16; c += 8)
      for (int i = 0; i < 16; i += 8) turn8((const float (*)[kPanelRows])(&in[c][i]), out + i * kPanelRows + c);
    return;
  }
#endif
  for (int64_t i = 0; i < count; i++)
    for (int64_t c = 0; c < kPanelRows; c++) out[i * kPanelRows + c] = in[c][i];
}

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
