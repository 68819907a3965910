// The vector part of attention's gradient: one block of kGradRows query rows against the keys of its head, which lie in panels of
// kPanelKeys. What rows and panels lack is zeros. dim and v_dim are padded to 16.
#pragma once
#include "base/isa.h"

namespace ao {

constexpr int kGradRows = 48, kPanelKeys = 48;

struct SdpaGradHead { // of keys
  int64_t dim, v_dim, panels;
  float* k;       // [panels * kPanelKeys][dim]
  float* kt;      // [panels][dim][kPanelKeys]
  float* vt;      // [panels][v_dim][kPanelKeys]
  float *dk, *dv; // [panels * kPanelKeys][dim], [..][v_dim]: added to
};

struct SdpaGradRows {
  int rows;
  float *q, *g, *dq; // [kGradRows][dim], [..][v_dim], [..][dim]
  float *qt, *gt;    // room for [dim][kGradRows], [v_dim][kGradRows]
  float* delta;      // [kGradRows]: g . out
  float *p, *ds;     // room for [panels][kGradRows][kPanelKeys], [kGradRows][kPanelKeys]
  float* slope;      // room as p's where softcap > 0
  float scale, softcap;
  int64_t low[kGradRows], high[kGradRows]; // the keys each row sees: low <= key < high
  const float* mask[kGradRows];            // additive, or null
  int64_t mask_stride;
};

} // namespace ao

// k, kt and vt of a head from stored rows `k_stride` and `v_stride` elements apart, of `dim` and `v_dim` values.
AO_ISA_DECLARE(void, sdpa_grad_pack,
               (int64_t dtype, const void* k, int64_t k_stride, const void* v, int64_t v_stride, int64_t keys,
                int64_t dim, int64_t v_dim, const ao::SdpaGradHead& head))
// dq, and what the rows add to dk and dv
AO_ISA_DECLARE(void, sdpa_grad_rows, (const ao::SdpaGradHead& head, const ao::SdpaGradRows& rows))
// sum of a[i] b[i], i < n
AO_ISA_DECLARE(float, dot_row, (int64_t dtype, const void* a, const void* b, int64_t n))
