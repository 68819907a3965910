// random_normal: out[i] = min(max(mean + std z(p), least), most), p = low + (high - low) (w_i + 1/2) 2^-32, where z is the normal
// distribution's quantile and w_i word i % 4 of Philox at counter i / 4 under {seed, call} of `state`, whose call is raised by one. low = 0
// and high = 1 give the whole distribution, others a part of it. In double by + - * / and sqrt alone, so that every machine and
// the reference backend have equal bits; rounded to float32, then to the dtype.
#include <math.h>

#include "ops/check.h"
#include "ops/convert.h"
#include "ops/normal_quantile.h"
#include "ops/random_words.h"

extern "C" int ao_cpu_random_normal(const ao_random_normal_args* a, ao_ctx* ctx) {
  if (ao::need_float(ctx, "random_normal", a->dtype)) return 1;
  if (!(a->low >= 0 && a->low < a->high && a->high <= 1))
    return ao_fail(ctx, "random_normal: probabilities %g to %g; they rise within [0, 1]", a->low, a->high);
  uint32_t* state = static_cast<uint32_t*>(a->state);
  const auto words = AO_ISA_PICK(ctx, philox_words);
  constexpr int64_t kBlock = 64;
  ao::parallel_for(ctx, a->n, 4096, [&](int64_t begin, int64_t end, int) {
    uint32_t block[kBlock];
    float values[kBlock];
    for (int64_t at = begin; at < end; at += kBlock) {
      words(state[0], static_cast<uint64_t>(at / 4), state[1], block);
      for (int64_t i = 0; i < kBlock; i++) {
        const double p = a->low + (a->high - a->low) * ((block[i] + 0.5) * 0x1p-32);
        const double x = a->mean + a->std * ao::normal_quantile(p);
        values[i] = static_cast<float>(x < a->least ? a->least : x > a->most ? a->most : x);
      }
      ao::store_floats(a->dtype, ao::element(a->out, a->dtype, at), 1, values, end - at < kBlock ? end - at : kBlock);
    }
  });
  state[1]++;
  return 0;
}
