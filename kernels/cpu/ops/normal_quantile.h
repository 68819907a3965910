// The normal distribution's quantile in double by + - * / and sqrt alone, so that every machine has equal bits.
#pragma once
#include <math.h>

#include "base/host_device.h"

namespace ao {

template <int n>
AO_HD inline double horner(const double (&c)[n], double x) {
  double sum = c[n - 1];
  for (int i = n - 2; i >= 0; i--) sum = sum * x + c[i];
  return sum;
}

// 0 < x < 1: x = m 2^-e with m in [sqrt(1/2), sqrt 2), log m = 2 s (1 + s^2 / 3 + s^4 / 5 + ..), s = (m - 1) / (m + 1).
AO_HD inline double natural_log(double x) {
  double e = 0;
  for (; x < 0.70710678118654752440; x *= 2) e += 1;
  const double c[] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9, 1.0 / 11,
                      1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
  const double s = (x - 1) / (x + 1);
  return 2 * s * horner(c, s * s) - e * 0.69314718055994530942;
}

// Wichura, Algorithm AS 241 (PPND16), for p >= e^-25.
AO_HD inline double normal_quantile(double p) {
  const double q = p - 0.5;
  if (q >= -0.425 && q <= 0.425) {
    const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                        1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                        3.3430575583588128105e4, 2.5090809287301226727e3};
    const double b[] = {1.0,
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
  const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                      3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                      2.27238449892691845833e-2, 7.74545014278341407640e-4};
  const double d[] = {1.0,
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

} // namespace ao
