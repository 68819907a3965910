// matmul: out[.., i, j] = sum over k of a[.., i, k] b[.., k, j], float32 accumulation over ascending k, rounded to out_dtype at the
// end. Operands are strided; up to four batch dimensions.
#include "gemm/codes.h"
#include "gemm/linear.h"
#include "gemm/tiles.h"

namespace ao {
namespace {

// Element offset of batch number `index` (row-major over `batch`).
int64_t batch_offset(const ao_matmul_args* a, const int64_t* strides, int64_t index) {
  int64_t at = 0;
  for (int64_t d = a->batch_ndim - 1; d >= 0; d--) {
    at += index % a->batch[d] * strides[d];
    index /= a->batch[d];
  }
  return at;
}

// a of batches [first, first + count) in tiles, one batch after another.
bool batch_tiles(ao_ctx* ctx, const ao_matmul_args* a, int64_t first, int64_t count, Tiles* tiles) {
  const int64_t size = ao_dtype_size(a->dtype);
  const auto load = AO_ISA_PICK(ctx, load_row);
  return make_tiles(ctx, a->m, a->k, a->k, AO_ISA_PICK(ctx, tile_height)(), count, tiles,
                    [&](int64_t batch, int64_t row, uint32_t* units, int) {
                      const char* from =
                          (const char*)a->a + (batch_offset(a, a->a_batch, first + batch) + row * a->a_row) * size;
                      float* to = (float*)units;
                      if (a->a_col == 1)
                        load((int32_t)a->dtype, from, a->k, to);
                      else
                        for (int64_t k = 0; k < a->k; k++) to[k] = load_float((int32_t)a->dtype, from, k * a->a_col);
                    });
}

} // namespace
} // namespace ao

extern "C" int ao_cpu_matmul(const ao_matmul_args* a, ao_ctx* ctx) {
  using namespace ao;
  if (!check_linear_dtypes(ctx, "matmul", a->dtype, a->out_dtype, a->out_dtype)) return 1;
  if (a->batch_ndim < 0 || a->batch_ndim > 4)
    return ao_fail(ctx, "matmul: %lld batch dimensions; it takes up to 4, fold some", (long long)a->batch_ndim);
  int64_t batches = 1;
  for (int64_t d = 0; d < a->batch_ndim; d++) batches *= a->batch[d];
  if (batches <= 0 || a->m <= 0 || a->n <= 0) return 0;
  const int64_t size = ao_dtype_size(a->dtype), out_size = ao_dtype_size(a->out_dtype);
  const int64_t slab = std::clamp<int64_t>((1 << 24) / (a->m * a->k + 1), 1, batches); // about 64 MiB of tiles
  const auto decode = AO_ISA_PICK(ctx, decode_strided);
  const auto finish = AO_ISA_PICK(ctx, store_rows);
  for (int64_t first = 0; first < batches; first += slab) {
    const int64_t count = std::min(slab, batches - first);
    Tiles tiles;
    if (!batch_tiles(ctx, a, first, count, &tiles)) return 1;
    const bool done = gemm_float(
        ctx, count, a->m, a->k, panels_of(a->n), false,
        [&](int64_t i, int64_t panel, int64_t k0, int64_t k1, float* room) {
          decode((int32_t)a->dtype, (const char*)a->b + batch_offset(a, a->b_batch, first + i) * size, a->b_row,
                 a->b_col, a->n, panel, k0, k1, room);
          return room;
        },
        [&](int64_t i) { return tiles_of_batch(tiles, a->m, i); },
        [&](int64_t i, const float* acc, int64_t row, int64_t rows, int64_t panel) {
          void* out = (char*)a->out + batch_offset(a, a->out_batch, first + i) * out_size;
          const Store store = {nullptr, nullptr, out, 0, a->out_row, a->n, AO_F32, (int32_t)a->out_dtype};
          finish(acc, row, rows, panel, store);
        });
    if (!done) return 1;
  }
  return 0;
}
