// softmax_backward:       dx[r, i] = y (g - sum_j g y), y the softmax;  log = 1: g - e^y sum_j g, y its logarithm. [rows, n] contiguous.
// cross_entropy_backward: dx[r, i] = (softmax(logits[r])[i] - (i == target)) g[r] for float32 g [rows]; 0 where the int32 target is
//                         ignore_index. logits and dx [rows, vocab] contiguous. A target outside [0, vocab) is an error that names it.
// float32 math, one rounding; sums over float32 lanes in blocks, blocks in double.
#include "ops/backward.h"
#include "ops/check.h"

extern "C" int ao_cpu_softmax_backward(const ao_softmax_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "softmax_backward", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, softmax_backward_row);
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->n, 1 << 13), [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin * a->n; at < end * a->n; at += a->n)
      run(a->dtype, ao::element(a->dx, a->dtype, at), ao::element(a->g, a->dtype, at), ao::element(a->y, a->dtype, at),
          a->n, a->log != 0);
  });
  return 0;
}

extern "C" int ao_cpu_cross_entropy_backward(const ao_cross_entropy_backward_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "cross_entropy_backward", a->dtype)) return 1;
  const int32_t* targets = static_cast<const int32_t*>(a->targets);
  for (int64_t r = 0; r < a->rows; r++) {
    if (targets[r] != a->ignore_index && (targets[r] < 0 || targets[r] >= a->vocab))
      return ao_fail(
          ctx, "cross_entropy_backward: target %d of row %lld is outside the %lld classes and is not ignore_index %lld",
          targets[r], static_cast<long long>(r), static_cast<long long>(a->vocab),
          static_cast<long long>(a->ignore_index));
  }
  const auto run = AO_ISA_PICK(ctx, cross_entropy_backward_row);
  const int64_t n = a->vocab, room = (n + 15) / 16 * 16;
  float* rows = nullptr;
  if (a->dtype != AO_F32) {
    rows = ao::scratch<float>(ctx, room * ao_ctx_threads(ctx));
    if (!rows) return 1;
  }
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(n, 1 << 13), [&](int64_t begin, int64_t end, int thread) {
    for (int64_t r = begin; r < end; r++) {
      void* dx = ao::element(a->dx, a->dtype, r * n);
      if (targets[r] == a->ignore_index)
        memset(dx, 0, static_cast<size_t>(n * ao_dtype_size(a->dtype)));
      else
        run(a->dtype, dx, static_cast<const float*>(a->g)[r], ao::element(a->logits, a->dtype, r * n), n, targets[r],
            rows ? rows + thread * room : static_cast<float*>(dx));
    }
  });
  return 0;
}
