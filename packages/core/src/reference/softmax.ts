// Softmax, log-softmax and negative log likelihood over the last dimension, in double.

import { AoError } from '../errors.ts';
import { type KernelEntry, kernel } from '../extension.ts';
import { logSoftmax, negativeLogLikelihood, softmax } from '../ops/softmax.ts';
import type { Dense } from '../tensor.ts';
import { store, valuesOf } from './memory.ts';

/** max + log(sum(exp(x - max))) of one row. */
function logSumExp(x: ArrayLike<number>, begin: number, n: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < n; i++) max = Math.max(max, x[begin + i]!);
  if (max === Number.NEGATIVE_INFINITY) return max;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.exp(x[begin + i]! - max);
  return max + Math.log(sum);
}

function perRow(out: Dense, x: Dense, f: (value: number, lse: number) => number): void {
  const values = valuesOf(x);
  const n = x.shape[x.ndim - 1] ?? 1;
  const result = new Float64Array(values.length);
  for (let at = 0; at < values.length; at += n) {
    const lse = logSumExp(values, at, n);
    for (let i = at; i < at + n; i++) result[i] = f(values[i]!, lse);
  }
  store(out, result);
}

export const crossEntropyKernels = (): KernelEntry[] => [
  kernel(softmax, 'reference', (out, x) => perRow(out, x, (v, lse) => Math.exp(v - lse))),
  kernel(logSoftmax, 'reference', (out, x) => perRow(out, x, (v, lse) => v - lse)),
  kernel(negativeLogLikelihood, 'reference', (out, logits, targets, ignoreIndex) => {
    const x = valuesOf(logits);
    const v = logits.shape[1]!;
    const result = Array.from(valuesOf(targets), (t, row) => {
      if (t === ignoreIndex) return 0;
      if (t < 0 || t >= v) {
        throw new AoError('ERR_AO_STREAM', `target ${t} of row ${row} is outside the ${v} classes`, {
          op: 'cross_entropy',
          fix: 'give class indices, or ignoreIndex',
        });
      }
      return logSumExp(x, row * v, v) - x[row * v + t]!;
    });
    store(out, result);
  }),
];
