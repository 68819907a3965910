// Derivatives of reductions: a sum's gradient goes to every element, an extreme's to the elements that are it.
import type { VjpEntry } from '../../extension.ts';
import { div, eq, mul } from '../../ops/binary.ts';
import { cast } from '../../ops/copy.ts';
import { amax, amin, mean, sum } from '../../ops/reduce.ts';
import { logSoftmax, softmax } from '../../ops/softmax.ts';
import { expand, reshape } from '../../ops/views.ts';
import type { Tensor } from '../../tensor.ts';
import { logSoftmaxBackward, softmaxBackward } from '../ops/softmax-grad.ts';
import { vjp } from '../vjp.ts';

/** g of a reduction along dim, spread over x's shape again. */
function spread(g: Tensor, x: Tensor, dim: number | undefined): Tensor {
  const d = dim === undefined ? undefined : dim < 0 ? dim + x.ndim : dim;
  const ones = x.shape.map((n, i) => (d === undefined || i === d ? 1 : n));
  return expand(reshape(g, ones), x.shape);
}

const extreme = (op: typeof amax): VjpEntry =>
  vjp(op, ({ save }, out, x, dim) => {
    const [saved, best] = [save(x), save(out)];
    return (g) => {
      const hit = cast(eq(saved(), spread(best(), x, dim)), x.dtype);
      const count = spread(sum(hit, dim), x, dim);
      return [mul(hit, div(spread(g, x, dim), count)), null, null];
    };
  });

export const reduceRules = (): VjpEntry[] => [
  vjp(sum, (_, __, x, dim) => (g) => [spread(cast(g, x.dtype), x, dim), null, null]),
  vjp(mean, (_, out, x, dim) => (g) => [spread(mul(cast(g, x.dtype), out.numel / x.numel), x, dim), null, null]),
  extreme(amax),
  extreme(amin),
  vjp(softmax, ({ save }, y) => {
    const saved = save(y);
    return (g) => [softmaxBackward(g, saved())];
  }),
  vjp(logSoftmax, ({ save }, y) => {
    const saved = save(y);
    return (g) => [logSoftmaxBackward(g, saved())];
  }),
];
