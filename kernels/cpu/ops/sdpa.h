// The vector part of attention: one split of kSplit keys for up to kRows query rows of one key head.
#pragma once
#include "base/isa.h"

namespace ao {

constexpr int kSplit = 256; // keys; splits count from position 0, so that any batch of queries sees the same ones
constexpr int kRows = 32;

struct SdpaRows {
  const float* q; // [rows, dim_padded], zeros behind dim
  int rows;
  int64_t dim, v_dim, dim_padded, v_padded; // padded to 16
  const void *k, *v;                        // of this head, position 0
  int64_t k_stride, v_stride, dtype;
  float scale;
  int64_t low[kRows], high[kRows]; // the keys each row sees: low <= key < high
  const float* mask[kRows];        // additive, or null
  int64_t mask_stride;
};

struct SdpaPartial { // of each row over the keys of a split: the largest score, sum of e^(s - m), sum of e^(s - m) v
  float* m;          // [rows], -infinity = nothing seen
  float* l;          // [rows]
  float* sum;        // [rows, v_padded]
};

struct SdpaWork {
  float* k;      // [kSplit, dim_padded]
  float* v;      // [kSplit, v_padded]
  float* scores; // [kRows, kSplit]
};

} // namespace ao

AO_ISA_DECLARE(void, sdpa_split,
               (const ao::SdpaRows& r, int64_t split, const ao::SdpaWork& work, const ao::SdpaPartial& out))
// total = total merged with the next split
AO_ISA_DECLARE(void, sdpa_merge, (const ao::SdpaRows& r, const ao::SdpaPartial& total, const ao::SdpaPartial& next))
// out[row] = sum / l in r.dtype, 0 where nothing was seen
AO_ISA_DECLARE(void, sdpa_finish, (const ao::SdpaRows& r, const ao::SdpaPartial& total, void* const* out))
