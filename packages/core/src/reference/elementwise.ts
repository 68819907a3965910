// Elementwise kernels: each result is computed in double and rounded once to float32 (float64 stays), then to the dtype.
import type { KernelEntry } from '../extension.ts';
import { kernel } from '../extension.ts';
import * as binary from '../ops/binary.ts';
import * as unary from '../ops/unary.ts';
import { expand } from '../ops/views.ts';
import { type Dense, isTensor } from '../tensor.ts';
import { store, valuesOf } from './memory.ts';

/** Half to even. */
export function roundHalfEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : Object.is(x, -0) || (x < 0 && r === 0) ? -0 : r;
}

/** erf by its series below 3 and the continued fraction of erfc above: 1e-15. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (a > 6) return Math.sign(x);
  if (a < 3) {
    let term = a;
    let sum = a;
    for (let n = 1; n < 200 && Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let f = 0;
  for (let n = 60; n > 0; n--) f = n / 2 / (a + f);
  return Math.sign(x) * (1 - Math.exp(-a * a) / ((a + f) * Math.sqrt(Math.PI)));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const UNARY: readonly (readonly [typeof unary.neg, (x: number) => number])[] = [
  [unary.neg, (x) => -x],
  [unary.abs, Math.abs],
  [unary.sign, (x) => (x > 0 ? 1 : x < 0 ? -1 : x === 0 ? 0 : x)],
  [unary.relu, (x) => (x > 0 || Number.isNaN(x) ? x : 0)],
  [unary.round, roundHalfEven],
  [unary.floor, Math.floor],
  [unary.ceil, Math.ceil],
  [unary.exp, Math.exp],
  [unary.log, Math.log],
  [unary.sqrt, Math.sqrt],
  [unary.rsqrt, (x) => 1 / Math.sqrt(x)],
  [unary.reciprocal, (x) => 1 / x],
  [unary.sin, Math.sin],
  [unary.cos, Math.cos],
  [unary.tanh, Math.tanh],
  [unary.erf, erf],
  [unary.sigmoid, sigmoid],
  [unary.silu, (x) => x * sigmoid(x)],
  [unary.gelu, (x) => (x / 2) * (1 + erf(x / Math.SQRT2))],
  [unary.geluTanh, (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))],
];

const nan = (a: number, b: number): boolean => Number.isNaN(a) || Number.isNaN(b);

const BINARY: readonly (readonly [typeof binary.add, (a: number, b: number) => number])[] = [
  [binary.add, (a, b) => a + b],
  [binary.sub, (a, b) => a - b],
  [binary.mul, (a, b) => a * b],
  [binary.div as typeof binary.add, (a, b) => a / b],
  [binary.maximum, (a, b) => (nan(a, b) ? Number.NaN : Math.max(a, b))],
  [binary.minimum, (a, b) => (nan(a, b) ? Number.NaN : Math.min(a, b))],
  [binary.pow, (a, b) => a ** b],
  [binary.eq, (a, b) => Number(a === b)],
  [binary.ne, (a, b) => Number(a !== b)],
  [binary.lt, (a, b) => Number(a < b)],
  [binary.le, (a, b) => Number(a <= b)],
  [binary.gt, (a, b) => Number(a > b)],
  [binary.ge, (a, b) => Number(a >= b)],
];

/** An operand's values at every element of `shape`; a number as float32 holds it beside float32 tensors. */
function operand(x: Dense | number, shape: readonly number[], out: Dense): (i: number) => number {
  if (!isTensor(x)) {
    const c = out.dtype.name === 'float64' ? x : Math.fround(x);
    return () => c;
  }
  const view = expand(x, shape) as Dense;
  const values = valuesOf(view);
  view.dispose();
  return (i) => values[i]!;
}

export const elementwise = (): KernelEntry[] => [
  ...UNARY.map(([op, f]) => kernel(op, 'reference', (out, x) => store(out, Float64Array.from(valuesOf(x), f)))),
  kernel(unary.clamp, 'reference', (out, x, low, high) =>
    store(
      out,
      Float64Array.from(valuesOf(x), (v) => (Number.isNaN(v) ? v : Math.min(Math.max(v, low), high))),
    ),
  ),
  ...BINARY.map(([op, f]) =>
    kernel(
      op,
      'reference',
      (out, a, b) => {
        const x = operand(a, out.shape, out);
        const y = operand(b, out.shape, out);
        store(
          out,
          Float64Array.from({ length: out.numel }, (_, i) => f(x(i), y(i))),
        );
      },
      { strided: true },
    ),
  ),
  kernel(
    binary.where,
    'reference',
    (out, cond, a, b) => {
      const c = operand(cond, out.shape, out);
      const x = operand(a as Dense, out.shape, out);
      const y = operand(b as Dense, out.shape, out);
      store(
        out,
        Float64Array.from({ length: out.numel }, (_, i) => (c(i) !== 0 ? x(i) : y(i))),
      );
    },
    { strided: true },
  ),
];
