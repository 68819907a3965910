// Initial values from the generator (Philox), with equal bits on every backend: uniform, normal, truncated normal, and the ranges that
// torch.nn.init takes from a weight's fans. A state is int32 [2], {seed, call}; each function raises its call by one.
import { AoError } from '../errors.ts';
import { defineOp } from '../op.ts';
import { requireFloat, shapeError } from '../ops/checks.ts';
import { philox } from '../philox.ts';
import { randomWords, requireState } from '../random-words.ts';
import { erf } from '../reference/elementwise.ts';
import { rounding, store, valuesOf } from '../reference/memory.ts';
import type { Dense, Tensor } from '../tensor.ts';
import { normalQuantile } from './normal-quantile.ts';

const f32 = Math.fround;

function requireRange(op: string, low: number, high: number): void {
  if (low <= high) return;
  throw new AoError('ERR_AO_CONFIG', `the range ${low} to ${high} is empty`, { op, fix: 'give low <= high' });
}

const raise = (state: Dense, seed: number, call: number): void => store(state, [seed, (call + 1) | 0]);

/** Writes low + (high - low) u, u uniform in [0, 1) with 24 bits; float32 math. */
export const uniform_ = /*@__PURE__*/ defineOp<[x: Tensor, low: number, high: number, state: Tensor]>('uniform_', {
  mutates: 0,
  reference(out: Dense, _: Dense, low: number, high: number, state: Dense) {
    const [seed, call] = valuesOf(state) as unknown as [number, number];
    const span = f32(f32(high) - f32(low));
    const at = (i: number): number => f32(f32(low) + f32((philox(seed, i, call)[0] >>> 8) * 2 ** -24 * span));
    store(
      out,
      Float64Array.from({ length: out.numel }, (_v, i) => at(i)),
    );
    raise(state, seed, call);
  },
  meta(x, low, high, state) {
    requireFloat('uniform_', 'x', x);
    requireRange('uniform_', low, high);
    requireState('uniform_', state);
    return { shape: x.shape, dtype: x.dtype };
  },
});

/** Part of the normal distribution: probabilities [low, high), values bounded by [least, most]. */
export interface NormalPart {
  readonly low: number;
  readonly high: number;
  readonly least: number;
  readonly most: number;
}

export const normalOp = /*@__PURE__*/ defineOp<[x: Tensor, mean: number, std: number, part: NormalPart, state: Tensor]>(
  'normal_',
  {
    mutates: 0,
    reference(out: Dense, _: Dense, mean: number, std: number, part: NormalPart, state: Dense) {
      const [seed, call] = valuesOf(state) as unknown as [number, number];
      const { low, high, least, most } = part;
      const round = rounding(out);
      const values = Float64Array.from(randomWords(seed, call, out.numel), (w) => {
        const x = mean + std * normalQuantile(low + (high - low) * ((w + 0.5) * 2 ** -32));
        return round(x < least ? least : x > most ? most : x);
      });
      store(out, values);
      raise(state, seed, call);
    },
    meta(x, _mean, std, _part, state) {
      requireFloat('normal_', 'x', x);
      requireState('normal_', state);
      if (!(std >= 0))
        throw new AoError('ERR_AO_CONFIG', `std is ${std}`, { op: 'normal_', fix: 'give a number >= 0' });
      return { shape: x.shape, dtype: x.dtype };
    },
  },
);

/** Writes normal numbers of that mean and standard deviation. */
export const normal_ = (x: Tensor, mean: number, std: number, state: Tensor): Tensor =>
  normalOp(x, mean, std, { low: 0, high: 1, least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY }, state);

/** torch.nn.init.trunc_normal_: normal numbers that lie in [a, b], which reaches to 2 std of the mean at least on one side. */
export function truncNormal_(x: Tensor, mean: number, std: number, a: number, b: number, state: Tensor): Tensor {
  const cdf = (v: number): number => (1 + erf((v - mean) / std / Math.SQRT2)) / 2;
  if (!(std > 0) || !(a < b) || mean < a - 2 * std || mean > b + 2 * std) {
    throw new AoError('ERR_AO_CONFIG', `mean ${mean} and std ${std} in [${a}, ${b}]`, {
      op: 'truncNormal_',
      fix: 'give std > 0, a < b and a mean within 2 std of [a, b]',
    });
  }
  return normalOp(x, mean, std, { low: cdf(a), high: cdf(b), least: a, most: b }, state);
}

/** Inputs and outputs of an element: of [out, in, ...kernel], in and out times the kernel's size. */
function fansOf(op: string, x: Tensor): [fanIn: number, fanOut: number] {
  if (x.ndim < 2) throw shapeError(op, `x has shape [${x.shape}]`, 'give two dimensions or more: [out, in, ...]');
  const kernel = x.shape.slice(2).reduce((p, n) => p * n, 1);
  return [x.shape[1]! * kernel, x.shape[0]! * kernel];
}

/** torch.nn.init.xavier_uniform_: uniform in +-gain sqrt(6 / (fanIn + fanOut)). */
export function xavierUniform_(x: Tensor, state: Tensor, gain = 1): Tensor {
  const [fanIn, fanOut] = fansOf('xavierUniform_', x);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform_(x, -bound, bound, state);
}

export interface KaimingOptions {
  /** Slope of the leaky ReLU behind it; sqrt(5), torch's Linear, gives +-1 / sqrt(fanIn). Default 0. */
  readonly a?: number;
  readonly mode?: 'fanIn' | 'fanOut';
}

/** torch.nn.init.kaiming_uniform_ for a leaky ReLU: uniform in +-sqrt(6 / ((1 + a^2) fan)). */
export function kaimingUniform_(x: Tensor, state: Tensor, { a = 0, mode = 'fanIn' }: KaimingOptions = {}): Tensor {
  const [fanIn, fanOut] = fansOf('kaimingUniform_', x);
  const bound = Math.sqrt(6 / ((1 + a * a) * (mode === 'fanIn' ? fanIn : fanOut)));
  return uniform_(x, -bound, bound, state);
}
