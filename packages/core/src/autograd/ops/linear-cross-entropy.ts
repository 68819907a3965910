// Cross entropy of a head without its logits in memory: rows go in chunks, and backward makes a chunk's logits again.
import { empty } from '../../create.ts';
import { float32, float64, int32 } from '../../dtypes/index.ts';
import { defineOp, type Meta } from '../../op.ts';
import { requireDtype, requireFloat, requireNdim, requireShape, shapeError } from '../../ops/checks.ts';
import { cat } from '../../ops/copy.ts';
import { linear } from '../../ops/matmul.ts';
import { negativeLogLikelihood } from '../../ops/softmax.ts';
import { slice } from '../../ops/views.ts';
import { scope } from '../../scope.ts';
import type { Tensor } from '../../tensor.ts';
import { add_ } from './accumulate.ts';
import { linearGradInput, linearGradWeight } from './linear-grad.ts';
import { wanted } from './norm-grad.ts';
import { crossEntropyBackward } from './softmax-grad.ts';

/** Logits of a chunk: 16 MiB in float32, at least 64 rows so that the weight's panels are read by many. */
const CHUNK = 2 ** 22;
const LEAST_ROWS = 64;

function check(op: string, x: Tensor, w: Tensor, targets: Tensor): void {
  requireFloat(op, 'x', x);
  requireNdim(op, 'x', x, 2);
  requireNdim(op, 'w', w, 2);
  if (w.shape[1] !== x.shape[1]) {
    throw shapeError(op, `x [${x.shape}] does not fit the weight [${w.shape}]`, 'give [T, D] and [V, D]');
  }
  requireDtype(op, 'targets', targets, [int32]);
  requireShape(op, 'targets', targets, [x.shape[0]!]);
}

const nllType = (x: Tensor) => (x.dtype === float64 ? float64 : float32);

/** fn over chunks of rows, each in a scope. */
function chunks<T>(x: Tensor, w: Tensor, fn: (of: (t: Tensor) => Tensor) => T): T[] {
  const [rows, most] = [x.shape[0]!, Math.max(LEAST_ROWS, Math.floor(CHUNK / w.shape[0]!))];
  const count = Math.max(1, Math.ceil(rows / most));
  const size = Math.ceil(rows / count);
  return Array.from({ length: count }, (_, i) => scope(() => fn((t) => slice(t, 0, i * size, (i + 1) * size))));
}

/** A list, as a packed weight reaches decompose in a list only. */
type Weight = readonly [w: Tensor];

export const linearCrossEntropyOp = /*@__PURE__*/ defineOp<
  [x: Tensor, w: Weight, targets: Tensor, ignoreIndex: number]
>('linear_cross_entropy', {
  weightArg: 1,
  meta(x, [w], targets) {
    check('linear_cross_entropy', x, w, targets);
    return { shape: targets.shape, dtype: nllType(x) };
  },
  decompose: (x, [w], targets, ignoreIndex) =>
    scope(() => cat(chunks(x, w, (of) => negativeLogLikelihood(linear(of(x), w), of(targets), ignoreIndex)))),
});

/** negativeLogLikelihood(linear(x, w), targets): x [T, D], w [V, D] (float, of a kind or packed), targets int32 [T] -> float32 [T]. */
export const linearCrossEntropy = (x: Tensor, w: Tensor, targets: Tensor, ignoreIndex = -100): Tensor =>
  linearCrossEntropyOp(x, [w], targets, ignoreIndex);

/** g [T] of linearCrossEntropy -> [dx, dw] in x's dtype; what `needs` has false for is empty, as dw of a frozen head. */
export const linearCrossEntropyBackward = /*@__PURE__*/ defineOp<
  [g: Tensor, x: Tensor, w: Weight, targets: Tensor, ignoreIndex: number, needs?: readonly [dx: boolean, dw: boolean]],
  [dx: Tensor, dw: Tensor]
>('linear_cross_entropy_backward', {
  weightArg: 2,
  meta(g, x, [w], targets, _ignoreIndex, needs = [true, true]) {
    const op = 'linear_cross_entropy_backward';
    check(op, x, w, targets);
    requireDtype(op, 'g', g, [nllType(x)]);
    requireShape(op, 'g', g, targets.shape);
    return wanted([x, w], needs).map((m) => ({ ...m, dtype: x.dtype })) as [Meta, Meta];
  },
  decompose(g, x, [w], targets, ignoreIndex, needs = [true, true]) {
    return scope(() => {
      const none = empty(x.rt, [0], { dtype: x.dtype, device: x.device });
      let dw: Tensor | undefined;
      const parts = chunks(x, w, (of) => {
        const dlogits = crossEntropyBackward(of(g), linear(of(x), w), of(targets), ignoreIndex);
        const dx = needs[0] ? linearGradInput(dlogits, w) : none;
        if (!needs[1]) return [dx];
        const own = linearGradWeight(dlogits, of(x));
        if (dw !== undefined) add_(dw, own);
        dw ??= own;
        return [dx, dw];
      });
      return [needs[0] ? cat(parts.map(([dx]) => dx!)) : none, dw ?? none];
    });
  },
});
