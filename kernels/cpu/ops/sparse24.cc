// 2:4 matrices: sparse24_compress keeps of each four columns the two of largest magnitude, the lower column first among equals;
// sparse24_expand puts them back among zeros. prune_tile4x4 keeps of each 4 x 4 tile what it meets going from the largest value (or
// magnitude) down, the earlier of equals first, as long as its row and column have less than two. meta: ao/weights.h.
#include <math.h>
#include <string.h>

#include <algorithm>

#include "ops/check.h"

namespace ao {
namespace {

// The two columns of a group by which of its values are there, as NVIDIA's libraries name them: always two, ascending.
constexpr uint8_t kColumns[16] = {14, 8, 9, 4, 14, 8, 9, 9, 14, 12, 13, 13, 14, 14, 14, 14};

float value(int64_t dtype, const void* x, int64_t i) {
  if (dtype == AO_F32) return ((const float*)x)[i];
  const uint16_t code = ((const uint16_t*)x)[i];
  return dtype == AO_BF16 ? ao_from_bf16(code) : ao_from_f16(code);
}

uint8_t largest_two(const float* v) {
  int mask = 0;
  for (int pick = 0; pick < 2; pick++) {
    int best = -1;
    float most = 0;
    for (int j = 0; j < 4; j++) {
      const float size = fabsf(v[j]);
      if (!(mask >> j & 1) && (size > most || (isnan(size) && best < 0))) best = j, most = size;
    }
    if (best >= 0) mask |= 1 << best;
  }
  return kColumns[mask];
}

// The values that stay, a bit each.
int kept_of_tile(const float* tile) {
  int order[16], rows[4] = {}, columns[4] = {}, mask = 0;
  for (int i = 0; i < 16; i++) order[i] = i;
  std::stable_sort(order, order + 16, [&](int a, int b) { return tile[a] > tile[b]; });
  for (int i : order) {
    if (rows[i / 4] == 2 || columns[i % 4] == 2) continue;
    rows[i / 4]++, columns[i % 4]++;
    mask |= 1 << i;
  }
  return mask;
}

template <class T>
void expand(T* out, const T* values, const uint8_t* meta, int64_t begin, int64_t end) {
  for (int64_t g = begin; g < end; g++) {
    const int nibble = meta[g / 2] >> (g % 2 * 4) & 15;
    T four[4] = {};
    four[nibble & 3] = values[2 * g];
    four[nibble >> 2] = values[2 * g + 1];
    memcpy(out + 4 * g, four, sizeof four);
  }
}

} // namespace
} // namespace ao

extern "C" int ao_cpu_sparse24_compress(const ao_sparse24_compress_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (need_float(ctx, "sparse24_compress", a->dtype)) return 1;
  const int size = ao_dtype_size(a->dtype);
  parallel_for(ctx, a->groups / 2, rows_per_chunk(64), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      int byte = 0;
      for (int64_t g = 2 * i; g < 2 * i + 2; g++) {
        float v[4];
        for (int j = 0; j < 4; j++) v[j] = value(a->dtype, a->x, 4 * g + j);
        const int nibble = largest_two(v);
        byte |= nibble << (g % 2 * 4);
        char* to = (char*)a->values + 2 * g * size;
        const char* from = (const char*)a->x + 4 * g * size;
        memcpy(to, from + (nibble & 3) * size, size);
        memcpy(to + size, from + (nibble >> 2) * size, size);
      }
      ((uint8_t*)a->meta)[i] = (uint8_t)byte;
    }
  });
  return 0;
}

extern "C" int ao_cpu_sparse24_expand(const ao_sparse24_expand_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (need_known(ctx, "sparse24_expand", a->dtype)) return 1;
  const int size = ao_dtype_size(a->dtype);
  if (size > 4) return ao_fail(ctx, "sparse24_expand: values of %d bytes; it takes 1, 2 or 4", size);
  const uint8_t* meta = (const uint8_t*)a->meta;
  parallel_for(ctx, a->groups, rows_per_chunk(16), [&](int64_t begin, int64_t end, int) {
    if (size == 1)
      expand((uint8_t*)a->out, (const uint8_t*)a->values, meta, begin, end);
    else if (size == 2)
      expand((uint16_t*)a->out, (const uint16_t*)a->values, meta, begin, end);
    else
      expand((uint32_t*)a->out, (const uint32_t*)a->values, meta, begin, end);
  });
  return 0;
}

extern "C" int ao_cpu_prune_tile4x4(const ao_prune_tile4x4_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (need_float(ctx, "prune_tile4x4", a->dtype)) return 1;
  const int size = ao_dtype_size(a->dtype);
  const int64_t across = a->columns / 4;
  parallel_for(ctx, a->rows / 4 * across, rows_per_chunk(256), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t at = t / across * 4 * a->columns + t % across * 4;
      float tile[16];
      for (int i = 0; i < 16; i++) {
        tile[i] = value(a->dtype, a->x, at + i / 4 * a->columns + i % 4);
        if (a->magnitude) tile[i] = fabsf(tile[i]);
      }
      const int mask = kept_of_tile(tile);
      for (int i = 0; i < 16; i++) {
        const int64_t offset = (at + i / 4 * a->columns + i % 4) * size;
        if (mask >> i & 1)
          memcpy((char*)a->out + offset, (const char*)a->x + offset, size);
        else
          memset((char*)a->out + offset, 0, size);
      }
    }
  });
  return 0;
}
