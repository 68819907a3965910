// Rows of vectors as columns, in registers.
#pragma once
#include "base/simd.h"

// t[i] lane j becomes t[j] lane i.
static inline void transpose(vf t[AO_W]) {
#if AO_ISA_LEVEL >= 1
  vf u[AO_W];
  for (int i = 0; i < AO_W; i += 4) { // within 128 bits: u[i + c] has column c of rows i .. i + 3
#if AO_ISA_LEVEL == 2
    const __m512 a = (__m512)t[i], b = (__m512)t[i + 1], c = (__m512)t[i + 2], d = (__m512)t[i + 3];
    const __m512d ab = (__m512d)_mm512_unpacklo_ps(a, b), AB = (__m512d)_mm512_unpackhi_ps(a, b);
    const __m512d cd = (__m512d)_mm512_unpacklo_ps(c, d), CD = (__m512d)_mm512_unpackhi_ps(c, d);
    u[i] = (vf)_mm512_unpacklo_pd(ab, cd), u[i + 1] = (vf)_mm512_unpackhi_pd(ab, cd);
    u[i + 2] = (vf)_mm512_unpacklo_pd(AB, CD), u[i + 3] = (vf)_mm512_unpackhi_pd(AB, CD);
#else
    const __m256 a = (__m256)t[i], b = (__m256)t[i + 1], c = (__m256)t[i + 2], d = (__m256)t[i + 3];
    const __m256d ab = (__m256d)_mm256_unpacklo_ps(a, b), AB = (__m256d)_mm256_unpackhi_ps(a, b);
    const __m256d cd = (__m256d)_mm256_unpacklo_ps(c, d), CD = (__m256d)_mm256_unpackhi_ps(c, d);
    u[i] = (vf)_mm256_unpacklo_pd(ab, cd), u[i + 1] = (vf)_mm256_unpackhi_pd(ab, cd);
    u[i + 2] = (vf)_mm256_unpacklo_pd(AB, CD), u[i + 3] = (vf)_mm256_unpackhi_pd(AB, CD);
#endif
  }
  for (int c = 0; c < 4; c++) {
#if AO_ISA_LEVEL == 2
    const __m512 e = (__m512)u[c], f = (__m512)u[4 + c], g = (__m512)u[8 + c], h = (__m512)u[12 + c];
    const __m512 ef = _mm512_shuffle_f32x4(e, f, 0x44), EF = _mm512_shuffle_f32x4(e, f, 0xee);
    const __m512 gh = _mm512_shuffle_f32x4(g, h, 0x44), GH = _mm512_shuffle_f32x4(g, h, 0xee);
    t[c] = (vf)_mm512_shuffle_f32x4(ef, gh, 0x88), t[4 + c] = (vf)_mm512_shuffle_f32x4(ef, gh, 0xdd);
    t[8 + c] = (vf)_mm512_shuffle_f32x4(EF, GH, 0x88), t[12 + c] = (vf)_mm512_shuffle_f32x4(EF, GH, 0xdd);
#else
    t[c] = (vf)_mm256_permute2f128_ps((__m256)u[c], (__m256)u[4 + c], 0x20);
    t[4 + c] = (vf)_mm256_permute2f128_ps((__m256)u[c], (__m256)u[4 + c], 0x31);
#endif
  }
#else
  for (int i = 0; i < AO_W; i++)
    for (int j = 0; j < i; j++) {
      const float x = t[i][j];
      t[i][j] = t[j][i], t[j][i] = x;
    }
#endif
}

#if AO_ISA_LEVEL == 2
// t[i] lane j becomes lane 4 c + i of the vector at row[j]. Four registers at a time: none is spilled, as in a whole transpose.
static inline void gather4(const char* const row[AO_W], int c, vf t[4]) {
  __m512 z[4];
  for (int i = 0; i < 4; i++) {
    const auto part = [&](int j) { return _mm_loadu_ps((const float*)(row[j] + 16 * c)); };
    z[i] = _mm512_insertf32x4(_mm512_castps128_ps512(part(i)), part(4 + i), 1);
    z[i] = _mm512_insertf32x4(_mm512_insertf32x4(z[i], part(8 + i), 2), part(12 + i), 3);
  }
  const __m512d ab = (__m512d)_mm512_unpacklo_ps(z[0], z[1]), AB = (__m512d)_mm512_unpackhi_ps(z[0], z[1]);
  const __m512d cd = (__m512d)_mm512_unpacklo_ps(z[2], z[3]), CD = (__m512d)_mm512_unpackhi_ps(z[2], z[3]);
  t[0] = (vf)_mm512_unpacklo_pd(ab, cd), t[1] = (vf)_mm512_unpackhi_pd(ab, cd);
  t[2] = (vf)_mm512_unpacklo_pd(AB, CD), t[3] = (vf)_mm512_unpackhi_pd(AB, CD);
}
#endif
