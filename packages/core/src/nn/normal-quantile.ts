// The normal distribution's quantile: Wichura, Algorithm AS 241 (PPND16), for p >= e^-25. By + - * / and sqrt alone, so that the cpu's kernel
// (kernels/cpu/ops/random_normal.cc) has equal bits.
const A = [
  3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987, 67265.7709270087,
  33430.57558358813, 2509.0809287301227,
];
const B = [
  1.0, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
  28729.085735721943, 5226.495278852854,
];
const C = [
  1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684, 0.2417807251774506,
  0.022723844989269184, 0.0007745450142783414,
];
const D = [
  1.0, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
  0.0005475938084995345, 1.0507500716444169e-9,
];
/** log m = 2 s (1 + s^2 / 3 + s^4 / 5 + ..), s = (m - 1) / (m + 1). */
const LOG = [1, 1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11, 1 / 13, 1 / 15, 1 / 17, 1 / 19, 1 / 21];

function horner(c: readonly number[], x: number): number {
  let sum = c[c.length - 1]!;
  for (let i = c.length - 2; i >= 0; i--) sum = sum * x + c[i]!;
  return sum;
}

/** 0 < x < 1, taken apart as m 2^-e with m in [sqrt(1/2), sqrt 2). */
function naturalLog(x: number): number {
  let [m, e] = [x, 0];
  for (; m < Math.SQRT1_2; m *= 2) e += 1;
  const s = (m - 1) / (m + 1);
  return 2 * s * horner(LOG, s * s) - e * Math.LN2;
}

export function normalQuantile(p: number): number {
  const q = p - 0.5;
  if (q >= -0.425 && q <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * horner(A, r)) / horner(B, r);
  }
  const r = Math.sqrt(-naturalLog(q < 0 ? p : 1 - p)) - 1.6;
  const z = horner(C, r) / horner(D, r);
  return q < 0 ? -z : z;
}
