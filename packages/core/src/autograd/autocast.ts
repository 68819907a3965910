// torch.autocast: matrix products and attention run in a 16-bit dtype, what sums many terms in float32.
import type { DType } from '../dtype.ts';
import { bfloat16, float16, float32 } from '../dtypes/index.ts';
import { AoError } from '../errors.ts';
import { shared } from '../identity.ts';
import type { AnyOp, Args } from '../op.ts';
import { attention } from '../ops/attention.ts';
import { pow } from '../ops/binary.ts';
import { cast } from '../ops/copy.ts';
import { linear, linearAdd, linears, matmul } from '../ops/matmul.ts';
import { layerNorm, rmsNorm } from '../ops/norm.ts';
import { mean, sum } from '../ops/reduce.ts';
import { logSoftmax, negativeLogLikelihood, softmax } from '../ops/softmax.ts';
import { exp, log } from '../ops/unary.ts';
import { isTensor } from '../tensor.ts';

/** Positions of attention's mask and of positions keep their dtype. */
const LOWER: readonly unknown[] = [matmul, linear, linears, linearAdd, attention];
const FULL: readonly unknown[] = [
  softmax,
  logSoftmax,
  negativeLogLikelihood,
  layerNorm,
  rmsNorm,
  sum,
  mean,
  exp,
  log,
  pow,
];

/**
 * Runs fn with matrix products and attention in dtype (bfloat16 or float16): their float32 arguments are cast, under grad
 * too, so that parameters stay float32. Norms, softmax, cross entropy and sums cast the other way.
 */
export function autocast<T>(dtype: DType, fn: () => T): T {
  if (dtype !== bfloat16 && dtype !== float16) {
    throw new AoError('ERR_AO_DTYPE', `autocast to ${dtype.name}`, { op: 'autocast', fix: 'use bfloat16 or float16' });
  }
  return withAutocast(dtype, fn);
}

export function withAutocast<T>(dtype: DType | null, fn: () => T): T {
  const s = shared();
  const outer = s.autocast;
  s.autocast = dtype;
  try {
    return fn();
  } finally {
    s.autocast = outer;
  }
}

/** The arguments as autocast wants them for this op. */
export function autocastArgs(op: AnyOp, args: Args): Args {
  const { autocast: lower } = shared();
  if (lower === null) return args;
  const target = LOWER.includes(op) ? lower : FULL.includes(op) ? float32 : null;
  if (target === null) return args;
  const masks = op === (attention as unknown) ? 3 : Number.POSITIVE_INFINITY;
  const fix = (a: unknown): unknown =>
    isTensor(a) && a.kind === null && a.packed === null && [float32, bfloat16, float16].includes(a.dtype as never)
      ? cast(a, target)
      : a;
  return args.map((a, i) => (i >= masks ? a : Array.isArray(a) ? a.map(fix) : fix(a)));
}
