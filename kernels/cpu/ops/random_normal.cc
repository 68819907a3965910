// random_normal: out[i] = min(max(mean + std z(p), least), most), p = low + (high - low) (w_i + 1/2) 2^-32, where z is the normal
// distribution's quantile and w_i word i % 4 of Philox at counter i / 4 under {seed, call} of `state`, whose call is raised by one. low = 0
// and high = 1 give the whole distribution, others a part of it. In double by + - * / and sqrt alone, so that every machine and
// the reference backend have equal bits; rounded to float32, then to the dtype.
#include <math.h>

#include "ops/check.h"
#include "ops/convert.h"
#include "ops/random_words.h"

namespace {

template <int n>
double horner(const double (&c)[n], double x) {
  double sum = c[n - 1];
  for (int i = n - 2; i >= 0; i--) sum = sum * x + c[i];
  return sum;
}

// 0 < x < 1: x = m 2^-e with m in [sqrt(1/2), sqrt 2), log m = 2 s (1 + s^2 / 3 + s^4 / 5 + ..), s = (m - 1) / (m + 1).
double natural_log(double x) {
  double e = 0;
  for (; x < 0.70710678118654752440; x *= 2) e += 1;
  static const double c[] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9, 1.0 / 11,
                             1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
  const double s = (x - 1) / (x + 1);
  return 2 * s * horner(c, s * s) - e * 0.69314718055994530942;
}

// Wichura, Algorithm AS 241 (PPND16), for p >= e^-25.
double quantile(double p) {
  const double q = p - 0.5;
  if (q >= -0.425 && q <= 0.425) {
    static const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                               1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                               3.3430575583588128105e4, 2.5090809287301226727e3};
    static const double b[] = {1.0,
                               4.2313330701600911252e1,
                               6.8718700749205790830e2,
                               5.3941960214247511077e3,
                               2.1213794301586595867e4,
                               3.9307895800092710610e4,
                               2.8729085735721942674e4,
                               5.2264952788528545610e3};
    const double r = 0.180625 - q * q;
    return q * horner(a, r) / horner(b, r);
  }
  static const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                             3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                             2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static const double d[] = {1.0,
                             2.05319162663775882187e0,
                             1.67638483018380384940e0,
                             6.89767334985100004550e-1,
                             1.48103976427480074590e-1,
                             1.51986665636164571966e-2,
                             5.47593808499534494600e-4,
                             1.05075007164441684324e-9};
  const double r = sqrt(-natural_log(q < 0 ? p : 1 - p)) - 1.6, z = horner(c, r) / horner(d, r);
  return q < 0 ? -z : z;
}

} // namespace

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
        const double x = a->mean + a->std * quantile(p);
        values[i] = static_cast<float>(x < a->least ? a->least : x > a->most ? a->most : x);
      }
      ao::store_floats(a->dtype, ao::element(a->out, a->dtype, at), 1, values, end - at < kBlock ? end - at : kBlock);
    }
  });
  state[1]++;
  return 0;
}
