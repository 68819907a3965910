// where: out[i0, ...] = cond[i0, ...] ? a[i0, ...] : b[i0, ...] over `shape` (up to 6 dims), out contiguous, zero
// strides broadcast, any dtype. An absent a or b is the number a_scalar or b_scalar. Values keep their bits.
#include "ops/check.h"
#include "ops/convert.h"
#include "ops/strides.h"

namespace {

template <class T>
void select(void* out, const uint8_t* cond, int64_t cond_stride, const void* a, int64_t a_stride, const void* b,
            int64_t b_stride, int64_t n) {
  T* o = static_cast<T*>(out);
  const T *x = static_cast<const T*>(a), *y = static_cast<const T*>(b);
  for (int64_t i = 0; i < n; i++) {
    const T p = x[i * a_stride], q = y[i * b_stride];
    o[i] = cond[i * cond_stride] ? p : q;
  }
}

} // namespace

extern "C" int ao_cpu_where(const ao_where_args* a, ao_ctx* ctx) {
  if (ao::need_ndim(ctx, "where", a->ndim) || ao::need_known(ctx, "where", a->dtype)) return 1;
  int64_t out_strides[6], zeros[6] = {}, step = 1;
  for (int64_t d = a->ndim - 1; d >= 0; d--) out_strides[d] = step, step *= a->shape[d];
  int64_t numbers[2]; // room for one element of any dtype
  ao::store_scalar(a->dtype, &numbers[0], 0, a->a_scalar);
  ao::store_scalar(a->dtype, &numbers[1], 0, a->b_scalar);
  const void* data[2] = {a->a ? a->a : &numbers[0], a->b ? a->b : &numbers[1]};
  const int64_t* strides[4] = {a->cond_strides, a->a ? a->a_strides : zeros, a->b ? a->b_strides : zeros, out_strides};
  const ao::Walk<4> walk = ao::merge_dims<4>(a->ndim, a->shape, strides);
  const int64_t size = ao_dtype_size(a->dtype), inner = walk.inner(), piece = 4096,
                pieces = (inner + piece - 1) / piece;
  const auto run = size == 1   ? select<uint8_t>
                   : size == 2 ? select<uint16_t>
                   : size == 4 ? select<uint32_t>
                               : select<uint64_t>;
  ao::parallel_for(ctx, walk.rows() * pieces, ao::rows_per_chunk(inner < piece ? inner : piece),
                   [&](int64_t begin, int64_t end, int) {
                     for (int64_t p = begin; p < end; p++) {
                       const auto at = walk.offsets(p / pieces);
                       const int64_t from = p % pieces * piece, n = inner - from < piece ? inner - from : piece;
                       run(ao::element(a->out, a->dtype, at.at[3] + from),
                           static_cast<const uint8_t*>(a->cond) + at.at[0] + from * walk.inner_stride(0),
                           walk.inner_stride(0), ao::element(data[0], a->dtype, at.at[1] + from * walk.inner_stride(1)),
                           walk.inner_stride(1), ao::element(data[1], a->dtype, at.at[2] + from * walk.inner_stride(2)),
                           walk.inner_stride(2), n);
                     }
                   });
  return 0;
}
