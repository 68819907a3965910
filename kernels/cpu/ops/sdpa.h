// The vector part of attention: one split of kSplit keys for up to kRows query rows of one key head.
#pragma once
#include "base/isa.h"
#include "ops/code_rows.h"

namespace ao {

constexpr int kSplit = 256; // keys; splits count from position 0, so that any batch of queries sees the same ones
constexpr int kBlock = 64;  // keys of a split that are worked on together
constexpr int kRows = 32;

// What the rows of keys and values hold: a float dtype by its code, or codes.
constexpr int kCodes8 = 100, kCodes4 = 101;
constexpr int64_t stored_size(int kind) { return kind == AO_F32 ? 4 : kind >= kCodes8 ? 1 : 2; }

struct SdpaRows {
  const float* q; // [rows, dim_padded], zeros behind dim
  int rows;
  int64_t dim, v_dim, dim_padded, v_padded; // padded to 16
  const void *k, *v;                        // of this head, position 0
  int64_t k_stride, v_stride;               // in floats, or bytes of codes
  int k_kind, v_kind;
  CodeRows k_rows, v_rows;         // of codes
  float scale, softcap;            // softcap 0 = none
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
  float* k;      // [dim_padded, kBlock]
  float* v;      // [kBlock, v_padded]
  float* scores; // [kRows, kSplit]
  float* scales; // [2, kSplit]
};

} // namespace ao

// `next`: the keys the caller goes on with, which are fetched meanwhile, or null.
AO_ISA_DECLARE(void, sdpa_split,
               (const ao::SdpaRows& r, int64_t split, const void* next, const ao::SdpaWork& work,
                const ao::SdpaPartial& out))
// total = total merged with the next split
AO_ISA_DECLARE(void, sdpa_merge, (const ao::SdpaRows& r, const ao::SdpaPartial& total, const ao::SdpaPartial& next))
// out[row] = sum / l in `dtype`, 0 where nothing was seen
AO_ISA_DECLARE(void, sdpa_finish,
               (const ao::SdpaRows& r, const ao::SdpaPartial& total, int64_t dtype, void* const* out))
