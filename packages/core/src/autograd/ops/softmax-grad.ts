// Gradients of softmax, its logarithm, and cross entropy, over the last dimension.
import { float32, float64, int32 } from '../../dtypes/index.ts';
import { defineOp, type Op } from '../../op.ts';
import { requireDtype, requireFloat, requireNdim, requireSameDtype, requireShape } from '../../ops/checks.ts';
import { store, valuesOf } from '../../reference/memory.ts';
import type { Dense, Tensor } from '../../tensor.ts';

/** dx from g and y, by the sum over the row of `term`. */
function define(
  id: string,
  term: (g: number, y: number) => number,
  slope: (g: number, y: number, sum: number) => number,
): Op<[g: Tensor, y: Tensor], Tensor> {
  return defineOp(id, {
    reference(out: Dense, g: Dense, y: Dense) {
      const [gv, yv] = [valuesOf(g), valuesOf(y)];
      const n = y.shape[y.ndim - 1] ?? 1;
      const result = new Float64Array(yv.length);
      for (let at = 0; at < yv.length; at += n) {
        let sum = 0;
        for (let i = at; i < at + n; i++) sum += term(gv[i]!, yv[i]!);
        for (let i = at; i < at + n; i++) result[i] = slope(gv[i]!, yv[i]!, sum);
      }
      store(out, result);
    },
    meta(g, y) {
      requireFloat(id, 'y', y);
      requireSameDtype(id, ['y', y], ['g', g]);
      requireShape(id, 'g', g, y.shape);
      return { shape: y.shape, dtype: y.dtype };
    },
  });
}

/** y (g - sum(g y)) for y = softmax(x): both of one shape and dtype. */
export const softmaxBackward = /*@__PURE__*/ define(
  'softmax_backward',
  (g, y) => g * y,
  (g, y, sum) => y * (g - sum),
);
/** g - e^y sum(g) for y = logSoftmax(x). */
export const logSoftmaxBackward = /*@__PURE__*/ define(
  'log_softmax_backward',
  (g) => g,
  (g, y, sum) => g - Math.exp(y) * sum,
);

/**
 * Of negativeLogLikelihood: (softmax(logits) - onehot(target)) g, row by row, 0 where the target is ignored. g [N] of its dtype, logits
 * [N, V], targets int32 [N] -> [N, V] in the dtype of logits.
 */
export const crossEntropyBackward = /*@__PURE__*/ defineOp<
  [g: Tensor, logits: Tensor, targets: Tensor, ignoreIndex: number]
>('cross_entropy_backward', {
  reference(out: Dense, g: Dense, logits: Dense, targets: Dense, ignoreIndex: number) {
    const [gv, x, t] = [valuesOf(g), valuesOf(logits), valuesOf(targets)];
    const n = logits.shape[1]!;
    const result = new Float64Array(x.length);
    for (const [row, target] of t.entries()) {
      if (target === ignoreIndex) continue;
      const own = Float64Array.from(x.subarray(row * n, (row + 1) * n));
      const max = own.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const sum = own.reduce((a, v) => a + Math.exp(v - max), 0);
      for (let i = 0; i < n; i++) result[row * n + i] = (Math.exp(own[i]! - max) / sum) * gv[row]!;
      result[row * n + target] = (Math.exp(own[target]! - max) / sum - 1) * gv[row]!;
    }
    store(out, result);
  },
  meta(g, logits, targets) {
    const op = 'cross_entropy_backward';
    requireFloat(op, 'logits', logits);
    requireNdim(op, 'logits', logits, 2);
    requireDtype(op, 'targets', targets, [int32]);
    requireShape(op, 'targets', targets, [logits.shape[0]!]);
    requireDtype(op, 'g', g, [logits.dtype === float64 ? float64 : float32]);
    requireShape(op, 'g', g, targets.shape);
    return { shape: logits.shape, dtype: logits.dtype };
  },
});
