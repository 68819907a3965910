// Rows whose neighbours become the lanes of a product: groups of `width` values, or pairs of rows, side by side.
#include "gemm/isa/store.h"

namespace ao {
namespace AO_ISA_NS {
namespace {

// Two rows of a group as units: low half a, high half b.
template <int width>
AO_INLINE void zip(const uint16_t* a, const uint16_t* b, uint32_t* out) {
  for (int i = 0; i < width; i++) out[i] = a[i] | (uint32_t)b[i] << 16;
}

template <int width>
AO_INLINE void widen(int32_t dtype, const void* from, uint32_t* out) {
  if (dtype == AO_F32) {
    memcpy(out, from, width * 4);
    return;
  }
  const uint16_t* h = (const uint16_t*)from;
  for (int i = 0; i < width; i++) {
    const float v = dtype == AO_BF16 ? ao_from_bf16(h[i]) : ao_from_f16(h[i]);
    memcpy(out + i, &v, 4);
  }
}

// `here` <= width values of a row, and zeros, in `room`.
template <int width>
const void* some(int64_t size, const void* from, int64_t here, char* room) {
  memset(room, 0, width * 4);
  memcpy(room, from, here * size);
  return room;
}

constexpr int kRowsAtOnce = 8; // so that a group's lines are written whole

template <int width>
void spread(int32_t dtype, bool pairs, const char* from, int64_t row_bytes, int64_t count, int64_t n, uint32_t* out,
            int64_t apart) {
  const int64_t size = dtype == AO_F32 ? 4 : 2, per_unit = pairs ? 2 : 1;
  static const uint16_t nothing[width] = {0};
  alignas(64) char room[2][width * 4];
  for (int64_t k = 0; k < count; k += kRowsAtOnce) {
    const int64_t end = count - k < kRowsAtOnce ? count : k + kRowsAtOnce;
    uint32_t* group = out + k / per_unit * width;
    for (int64_t i = 0; i < n; i += width, group += apart) {
      uint32_t* to = group;
      for (int64_t r = k; r < end; r += per_unit, to += width) {
        const void* a = from + r * row_bytes + i * size;
        const void* b = r + 1 < count ? (const char*)a + row_bytes : (const void*)nothing;
        if (n - i < width) {
          a = some<width>(size, a, n - i, room[0]);
          if (pairs && r + 1 < count) b = some<width>(size, b, n - i, room[1]);
        }
        if (pairs)
          zip<width>((const uint16_t*)a, (const uint16_t*)b, to);
        else
          widen<width>(dtype, a, to);
      }
    }
  }
}

} // namespace

void spread_rows(int32_t dtype, bool pairs, const void* from, int64_t stride, int64_t count, int64_t n, int64_t width,
                 uint32_t* out, int64_t apart) {
  const auto run = width == kPanelRows ? spread<kPanelRows> : spread<kTileHeight>;
  run(dtype, pairs, (const char*)from, stride * (dtype == AO_F32 ? 4 : 2), count, n, out, apart);
}

} // namespace AO_ISA_NS
} // namespace ao
