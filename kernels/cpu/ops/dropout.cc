// dropout:          out[i] = w_i >= p 2^32 ? x[i] / (1 - p) : 0, float32 math; w_i is word i % 4 of Philox at counter i / 4 under the
//                   seed and call of `state`, which go to `saved` before the call is raised by one.
// dropout_backward: the same of g under `saved`: the mask is made again rather than kept.
#include <math.h>

#include "ops/check.h"
#include "ops/random_words.h"

namespace {

constexpr int64_t kBlock = 64, kChunk = 1 << 12;

int drop(ao_ctx* ctx, const char* op, void* out, const void* x, const uint32_t* state, int64_t n, int64_t dtype,
         double p) {
  if (ao::need_float(ctx, op, dtype)) return 1;
  if (!(p >= 0 && p < 1)) return ao_fail(ctx, "%s: p is %g; it lies in [0, 1)", op, p);
  const uint32_t least = static_cast<uint32_t>(floor(p * 0x1p32));
  const float scale = static_cast<float>(1 / (1 - p));
  const auto words = AO_ISA_PICK(ctx, philox_words);
  const auto run = AO_ISA_PICK(ctx, dropout_run);
  ao::parallel_for(ctx, n, kChunk, [&](int64_t begin, int64_t end, int) { // chunks begin at whole counters
    uint32_t block[kBlock];
    for (int64_t at = begin; at < end; at += kBlock) {
      words(state[0], static_cast<uint64_t>(at / 4), state[1], block);
      run(dtype, ao::element(out, dtype, at), ao::element(x, dtype, at), end - at < kBlock ? end - at : kBlock, block,
          least, scale);
    }
  });
  return 0;
}

} // namespace

extern "C" int ao_cpu_dropout(const ao_dropout_args* a, ao_ctx* ctx) {
  uint32_t *state = static_cast<uint32_t*>(a->state), *saved = static_cast<uint32_t*>(a->saved);
  saved[0] = state[0], saved[1] = state[1];
  if (drop(ctx, "dropout", a->out, a->x, saved, a->n, a->dtype, a->p)) return 1;
  state[1]++;
  return 0;
}

extern "C" int ao_cpu_dropout_backward(const ao_dropout_backward_args* a, ao_ctx* ctx) {
  return drop(ctx, "dropout_backward", a->dx, a->g, static_cast<const uint32_t*>(a->saved), a->n, a->dtype, a->p);
}
