// Scales and zero points beside a tile of codes, and how they join its sums: with d = sum of q x and e = sum of x over a group,
// s d, s (d - z e) or s d + z e.
#pragma once
#include "gemm/fragment.h"

namespace ao {

// Which group a step of 16 columns is in, without a division: groups are a whole row or a multiple of 16 columns.
struct Groups {
  uint32_t steps, magic; // of a group; 2^32 / steps
  int entries;           // groups that a tile may meet
  int scale_size, zero_size;
  bool small; // a group may end inside a tile
  __device__ uint32_t of_step(uint32_t s) const { return steps == 1 ? s : __umulhi(s, magic); }
  AO_HD int scale_room() const { return entries * kTileRows * scale_size; }
  AO_HD int room() const { return entries * kTileRows * (scale_size + zero_size); }
};

inline Groups groups_of(const Weight& w) {
  Groups g{};
  if (w.values == kFloats) return g;
  const bool one = w.groups == 1;
  g.steps = one ? 1u << 28 : static_cast<uint32_t>(w.group / 16);
  g.magic = static_cast<uint32_t>(((uint64_t{1} << 32) + g.steps - 1) / g.steps);
  g.small = !one && w.group % kTileColumns;
  g.entries = g.small ? static_cast<int>((48 + w.group - 1) / w.group) + 1 : 1;
  g.scale_size = ao_dtype_size(w.scale_dtype);
  g.zero_size = w.zero_domain == AO_ZERO_NONE ? 0 : ao_dtype_size(w.zero_dtype);
  return g;
}

// A warp starts the copies of what a panel has for a tile.
__device__ inline void fetch_groups(uint8_t* to, const Weight& w, const Groups& groups, int64_t panel, int64_t tile,
                                    int lane) {
  const int64_t first = groups.of_step(static_cast<uint32_t>(tile * 4));
  const auto fetch = [&](uint8_t* at, const void* from, int size) {
    const uint8_t* here = static_cast<const uint8_t*>(from) + (panel * w.groups + first) * kTileRows * size;
    const int64_t there = (w.groups - first) * size;
    for (int i = lane; i < groups.entries * size; i += 32)
      if (i < there) copy_async(at + 16 * i, here + 16 * i);
  };
  fetch(to, w.scale, groups.scale_size);
  if (groups.zero_size) fetch(to + groups.scale_room(), w.zero, groups.zero_size);
}

__device__ inline float group_value(int32_t dtype, const uint8_t* p, int i) {
  if (dtype == AO_BF16) return ao_from_bf16(reinterpret_cast<const uint16_t*>(p)[i]);
  if (dtype == AO_F32) return reinterpret_cast<const float*>(p)[i];
  return load_rarely(dtype, p, i);
}
// Adds the sums of a group, `at` entries from the tile's first, and starts anew.
template <int tiles>
__device__ inline void join(float (&total)[tiles][4], float (&d)[tiles][4], float (&e)[tiles][4], const Weight& w,
                            const Groups& groups, const uint8_t* parts, uint32_t at, int lane) {
  for (int h = 0; h < 2; h++) {
    const int row = static_cast<int>(at) * kTileRows + lane / 4 + 8 * h;
    const float s = group_value(w.scale_dtype, parts, row);
    const float z = groups.zero_size ? group_value(w.zero_dtype, parts + groups.scale_room(), row) : 0.0f;
#pragma unroll
    for (int n = 0; n < tiles; n++)
#pragma unroll
      for (int i = 2 * h; i < 2 * h + 2; i++) {
        float sum = d[n][i];
        if (groups.zero_size) {
          if (w.zero_domain == AO_ZERO_INT)
            sum = fmaf(-z, e[n][i], sum);
          else
            total[n][i] = fmaf(z, e[n][i], total[n][i]);
          e[n][i] = 0;
        }
        total[n][i] = fmaf(s, sum, total[n][i]);
        d[n][i] = 0;
      }
  }
}

} // namespace ao
