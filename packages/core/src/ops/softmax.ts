// Softmax over the last dimension, and cross entropy on logits, both by the stable log-sum-exp in float32.
import { float32, float64, int32 } from '../dtypes/index.ts';
import { defineOp } from '../op.ts';
import { scope } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { div, ne } from './binary.ts';
import { requireDtype, requireFloat, requireNdim, requireShape } from './checks.ts';
import { cast } from './copy.ts';
import { sum } from './reduce.ts';

/** exp(x - max) / sum(exp(x - max)) over the last dimension. */
export const softmax = /*@__PURE__*/ defineOp<[x: Tensor]>('softmax', {
  meta(x) {
    requireFloat('softmax', 'x', x);
    return { shape: x.shape, dtype: x.dtype };
  },
});

/** x - max - log(sum(exp(x - max))) over the last dimension. */
export const logSoftmax = /*@__PURE__*/ defineOp<[x: Tensor]>('log_softmax', {
  meta(x) {
    requireFloat('log_softmax', 'x', x);
    return { shape: x.shape, dtype: x.dtype };
  },
});

/** -log softmax(logits)[target] in nats: logits [N, V], targets int32 [N] -> float32 [N] (float64 of float64); 0 where the target is ignored. */
export const negativeLogLikelihood = /*@__PURE__*/ defineOp<[logits: Tensor, targets: Tensor, ignoreIndex: number]>(
  'nll',
  {
    meta(logits, targets) {
      requireFloat('cross_entropy', 'logits', logits);
      requireNdim('cross_entropy', 'logits', logits, 2);
      requireDtype('cross_entropy', 'targets', targets, [int32]);
      requireShape('cross_entropy', 'targets', targets, [logits.shape[0]!]);
      return { shape: targets.shape, dtype: logits.dtype === float64 ? float64 : float32 };
    },
  },
);

export interface CrossEntropyOptions {
  readonly ignoreIndex?: number;
  readonly reduction?: 'mean' | 'sum' | 'none';
}

/** torch's cross_entropy on class indices; the mean is over targets that are not ignored. */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { ignoreIndex = -100, reduction = 'mean' } = options;
  return scope(() => {
    const rows = negativeLogLikelihood(logits, targets, ignoreIndex);
    if (reduction === 'none') return rows;
    if (reduction === 'sum') return sum(rows);
    return div(sum(rows), cast(sum(ne(targets, ignoreIndex)), float32));
  });
}
