// embedding: out[i, :] = table[ids[i], :], i < n; ids int32; rows of the table are row_stride elements apart; any
// dtype, bits kept.
// gather:    out[i0, ...] = x[i0, ..., index[i0, ...], ...] along `dim`, torch.gather; `shape` is that of index and
// out (contiguous),
//            strides of x and index in elements; dim_size is x's size along dim.
// An index outside its range is an error that names it, found before anything is written.
#include <string.h>

#include <atomic>

#include "ops/check.h"

extern "C" int ao_cpu_embedding(const ao_embedding_args* a, ao_ctx* ctx) {
  if (ao::need_known(ctx, "embedding", a->dtype)) return 1;
  const int32_t* ids = static_cast<const int32_t*>(a->ids);
  for (int64_t i = 0; i < a->n; i++) {
    if (ids[i] < 0 || ids[i] >= a->vocab)
      return ao_fail(ctx, "embedding: index %d at position %lld is outside the vocabulary of %lld", ids[i],
                     static_cast<long long>(i), static_cast<long long>(a->vocab));
  }
  const size_t bytes = static_cast<size_t>(a->dim * ao_dtype_size(a->dtype));
  ao::parallel_for(ctx, a->n, ao::rows_per_chunk(a->dim), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++)
      memcpy(ao::element(a->out, a->dtype, i * a->dim), ao::element(a->table, a->dtype, ids[i] * a->row_stride), bytes);
  });
  return 0;
}

extern "C" int ao_cpu_gather(const ao_gather_args* a, ao_ctx* ctx) {
  if (ao::need_known(ctx, "gather", a->dtype) || ao::need_ndim(ctx, "gather", a->ndim)) return 1;
  if (a->dim < 0 || a->dim >= a->ndim)
    return ao_fail(ctx, "gather: dim %lld of %lld", static_cast<long long>(a->dim), static_cast<long long>(a->ndim));
  int64_t total = 1;
  for (int64_t d = 0; d < a->ndim; d++) total *= a->shape[d];
  const int32_t* index = static_cast<const int32_t*>(a->index);
  const int64_t size = ao_dtype_size(a->dtype), dim_stride = a->x_strides[a->dim];
  std::atomic<int64_t> first_bad{INT64_MAX};
  const auto each = [&](bool write) {
    ao::parallel_for(ctx, total, 1 << 13, [&](int64_t begin, int64_t end, int) {
      for (int64_t p = begin; p < end; p++) {
        int64_t rest = p, x_at = 0, index_at = 0;
        for (int64_t d = a->ndim - 1; d >= 0; d--) {
          const int64_t i = rest % a->shape[d];
          rest /= a->shape[d];
          index_at += i * a->index_strides[d];
          if (d != a->dim) x_at += i * a->x_strides[d];
        }
        const int64_t chosen = index[index_at];
        if (write) {
          memcpy(ao::element(a->out, a->dtype, p), ao::element(a->x, a->dtype, x_at + chosen * dim_stride),
                 static_cast<size_t>(size));
        } else if (chosen < 0 || chosen >= a->dim_size) {
          int64_t seen = first_bad.load();
          while (p < seen && !first_bad.compare_exchange_weak(seen, p)) {
          }
        }
      }
    });
  };
  each(false);
  const int64_t bad = first_bad.load();
  if (bad != INT64_MAX) {
    int64_t rest = bad, at = 0;
    for (int64_t d = a->ndim - 1; d >= 0; d--) at += rest % a->shape[d] * a->index_strides[d], rest /= a->shape[d];
    return ao_fail(ctx, "gather: index %d at element %lld is outside dimension %lld of size %lld", index[at],
                   static_cast<long long>(bad), static_cast<long long>(a->dim), static_cast<long long>(a->dim_size));
  }
  each(true);
  return 0;
}
