// embedding_backward: dw[v, :] = sum over ascending i with ids[i] = v of g[i, :], 0 where there is none; g [n, dim] and dw [vocab, dim]
//                     contiguous, float32 sums.
// gather_backward:    dx = zeros of x_shape, dx[i0, .., index[i], ..] += g[i] along `dim` for i ascending; g and index (int32) of `shape`,
//                     all contiguous, float32 sums.
// An index outside its range is an error that names it. Threads split what is written, so the order of sums is that of g.
#include "ops/backward.h"
#include "ops/check.h"
#include "ops/elementwise.h"

extern "C" int ao_cpu_embedding_backward(const ao_embedding_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "embedding_backward", a->dtype)) return 1;
  const int32_t* ids = static_cast<const int32_t*>(a->ids);
  for (int64_t i = 0; i < a->n; i++) {
    if (ids[i] < 0 || ids[i] >= a->vocab)
      return ao_fail(ctx, "embedding_backward: index %d at position %lld is outside the vocabulary of %lld", ids[i],
                     static_cast<long long>(i), static_cast<long long>(a->vocab));
  }
  const int64_t room = (a->dim + 15) / 16 * 16;
  int32_t* first = ao::scratch<int32_t>(ctx, a->vocab + 1); // where the positions of an id begin
  int32_t* positions = ao::scratch<int32_t>(ctx, a->n + 1);
  float* sums = a->dtype == AO_F32 ? nullptr : ao::scratch<float>(ctx, room * ao_ctx_threads(ctx));
  if (!first || !positions || (a->dtype != AO_F32 && !sums)) return 1;
  memset(first, 0, static_cast<size_t>(a->vocab + 1) * sizeof *first);
  for (int64_t i = 0; i < a->n; i++) first[ids[i] + 1]++;
  for (int64_t v = 0; v < a->vocab; v++) first[v + 1] += first[v];
  for (int64_t i = 0; i < a->n; i++) positions[first[ids[i]]++] = static_cast<int32_t>(i); // first[v] is now its end
  const auto add = AO_ISA_PICK(ctx, add_row);
  const auto store = AO_ISA_PICK(ctx, store_run);
  const size_t bytes = static_cast<size_t>(a->dim * ao_dtype_size(a->dtype));
  ao::parallel_for(ctx, a->vocab, ao::rows_per_chunk(a->dim), [&](int64_t begin, int64_t end, int thread) {
    for (int64_t v = begin; v < end; v++) {
      void* out = ao::element(a->dw, a->dtype, v * a->dim);
      const int32_t from = v ? first[v - 1] : 0, to = first[v];
      if (to - from < 2) {
        if (from == to)
          memset(out, 0, bytes);
        else
          memcpy(out, ao::element(a->g, a->dtype, positions[from] * a->dim), bytes);
        continue;
      }
      float* sum = sums ? sums + thread * room : static_cast<float*>(out);
      memset(sum, 0, static_cast<size_t>(a->dim) * sizeof(float));
      for (int32_t i = from; i < to; i++)
        add(a->dtype, sum, ao::element(a->g, a->dtype, positions[i] * a->dim), a->dim);
      if (sums) store(a->dtype, out, sum, a->dim);
    }
  });
  return 0;
}

extern "C" int ao_cpu_gather_backward(const ao_gather_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "gather_backward", a->dtype) || ao::need_ndim(ctx, "gather_backward", a->ndim)) return 1;
  if (a->dim < 0 || a->dim >= a->ndim)
    return ao_fail(ctx, "gather_backward: dim %lld of %lld", static_cast<long long>(a->dim),
                   static_cast<long long>(a->ndim));
  const int64_t size = a->x_shape[a->dim], count = a->shape[a->dim];
  int64_t total = 1, x_total = 1, inner = 1, x_inner = 1;
  for (int64_t d = 0; d < a->ndim; d++) total *= a->shape[d], x_total *= a->x_shape[d];
  for (int64_t d = a->dim + 1; d < a->ndim; d++) inner *= a->shape[d], x_inner *= a->x_shape[d];
  const int32_t* index = static_cast<const int32_t*>(a->index);
  for (int64_t i = 0; i < total; i++) {
    if (index[i] < 0 || index[i] >= size)
      return ao_fail(ctx, "gather_backward: index %d at element %lld is outside dimension %lld of size %lld", index[i],
                     static_cast<long long>(i), static_cast<long long>(a->dim), static_cast<long long>(size));
  }
  memset(a->dx, 0, static_cast<size_t>(x_total * ao_dtype_size(a->dtype)));
  if (total == 0) return 0;
  float* sums = ao::scratch<float>(ctx, size * ao_ctx_threads(ctx));
  if (!sums) return 1;
  const auto load = AO_ISA_PICK(ctx, load_run);
  const auto store = AO_ISA_PICK(ctx, store_run);
  // a line is what the other dimensions leave: `count` elements of g, `inner` apart, into `size` of dx, `x_inner` apart
  ao::parallel_for(ctx, total / count, ao::rows_per_chunk(size + count), [&](int64_t begin, int64_t end, int thread) {
    float* sum = sums + thread * size;
    for (int64_t line = begin; line < end; line++) {
      int64_t rest = line / inner, x_at = 0, x_stride = size * x_inner;
      for (int64_t d = a->dim - 1; d >= 0; d--) {
        x_at += rest % a->shape[d] * x_stride;
        rest /= a->shape[d], x_stride *= a->x_shape[d];
      }
      int64_t within = line % inner, stride = 1;
      for (int64_t d = a->ndim - 1; d > a->dim; d--) {
        x_at += within % a->shape[d] * stride;
        within /= a->shape[d], stride *= a->x_shape[d];
      }
      const int64_t at = line / inner * count * inner + line % inner;
      memset(sum, 0, static_cast<size_t>(size) * sizeof(float));
      for (int64_t i = 0; i < count; i++) {
        float value;
        load(a->dtype, ao::element(a->g, a->dtype, at + i * inner), &value, 1);
        sum[index[at + i * inner]] += value;
      }
      if (x_inner == 1) {
        store(a->dtype, ao::element(a->dx, a->dtype, x_at), sum, size);
      } else {
        for (int64_t i = 0; i < size; i++)
          store(a->dtype, ao::element(a->dx, a->dtype, x_at + i * x_inner), sum + i, 1);
      }
    }
  });
  return 0;
}
