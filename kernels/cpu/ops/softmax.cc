// softmax:       out[r, i] = e^(x[r, i] - m) / sum_j e^(x[r, j] - m), m = max_j x[r, j];  log = 1: x - m - log(sum).
//                x and out [rows, n] contiguous, out may be x; float32 math, one rounding. Exponentials add up over
//                float32 lanes in blocks of 256, blocks in double.
// cross_entropy: nll[r] = log(sum_j e^logits[r, j]) - logits[r, target], in nats, float32 [rows]; 0 where the int32
// target is
//                ignore_index. The logarithm is a double. Rows of logits
//                are row_stride elements apart. A target outside [0, vocab) is an error that names it.
#include <atomic>

#include "ops/check.h"
#include "ops/convert.h"
#include "ops/rows.h"

extern "C" int ao_cpu_softmax(const ao_softmax_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "softmax", a->dtype)) return 1;
  const auto run = AO_ISA_PICK(ctx, softmax_row);
  const int64_t room = (a->n + 15) / 16 * 16;
  float* rows = nullptr;
  if (a->dtype != AO_F32 && !a->log) {
    rows = ao::scratch<float>(ctx, room * ao_ctx_threads(ctx));
    if (!rows) return 1;
  }
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->n, 1 << 13), [&](int64_t begin, int64_t end, int thread) {
    for (int64_t r = begin; r < end; r++) {
      void* out = ao::element(a->out, a->dtype, r * a->n);
      run(a->dtype, out, ao::element(a->x, a->dtype, r * a->n), a->n, a->log != 0,
          rows ? rows + thread * room : static_cast<float*>(out));
    }
  });
  return 0;
}

extern "C" int ao_cpu_cross_entropy(const ao_cross_entropy_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "cross_entropy", a->dtype)) return 1;
  const int32_t* targets = static_cast<const int32_t*>(a->targets);
  for (int64_t r = 0; r < a->rows; r++) {
    if (targets[r] != a->ignore_index && (targets[r] < 0 || targets[r] >= a->vocab))
      return ao_fail(ctx,
                     "cross_entropy: target %d of row %lld is outside the %lld classes and is not ignore_index %lld",
                     targets[r], static_cast<long long>(r), static_cast<long long>(a->vocab),
                     static_cast<long long>(a->ignore_index));
  }
  const auto run = AO_ISA_PICK(ctx, log_sum_exp_row);
  ao::parallel_for(ctx, a->rows, ao::rows_per_chunk(a->vocab), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      float loss = 0;
      if (targets[r] != a->ignore_index) {
        const void* row = ao::element(a->logits, a->dtype, r * a->row_stride);
        float chosen;
        ao::load_floats(a->dtype, ao::element(row, a->dtype, targets[r]), 1, &chosen, 1);
        loss = static_cast<float>(run(a->dtype, row, a->vocab) - static_cast<double>(chosen));
      }
      static_cast<float*>(a->nll)[r] = loss;
    }
  });
  return 0;
}
