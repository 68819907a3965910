// 16 x 16 float32 turned: out[i][c] = in[c][i].
#pragma once
#include "gemm/isa/vec.h"
#include "gemm/packed.h"

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

} // namespace
} // namespace AO_ISA_NS
} // namespace ao
