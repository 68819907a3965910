// Gradients of linear y = x W^T: by its input g W, by its weight g^T x. They are ops, so that kinds and packed weights have
// forms of their own.
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import { requireFloat, shapeError } from '../../ops/checks.ts';
import { matmul } from '../../ops/matmul.ts';
import { permute, reshape } from '../../ops/views.ts';
import type { Tensor } from '../../tensor.ts';

/** g [..., N], w [N, K] (a weight as linear takes it: float, a kind, or packed) -> [..., K] in g's dtype. */
export const linearGradInput = /*@__PURE__*/ defineOp<[g: Tensor, w: Tensor]>('linear_grad_input', {
  weightArg: 1,
  meta(g, w) {
    requireFloat('linear_grad_input', 'g', g);
    if (w.ndim !== 2 || g.shape[g.ndim - 1] !== w.shape[0]) {
      throw shapeError(
        'linear_grad_input',
        `g [${g.shape}] does not fit the weight [${w.shape}]`,
        'give [..., N] and [N, K]',
      );
    }
    return { shape: [...g.shape.slice(0, -1), w.shape[1]!], dtype: g.dtype };
  },
  decompose: (g, w) => matmul(g, g.rt.dequantize(w)),
});

/** g [..., N], x [..., K] -> [N, K] in x's dtype, float32 sums over rows in ascending order. */
export const linearGradWeight = /*@__PURE__*/ defineOp<[g: Tensor, x: Tensor]>('linear_grad_weight', {
  meta(g, x) {
    requireFloat('linear_grad_weight', 'g', g);
    if (g.dtype !== x.dtype) {
      throw new AoError('ERR_AO_DTYPE', `g is ${g.dtype.name}, x is ${x.dtype.name}`, {
        op: 'linear_grad_weight',
        fix: 'cast one of them',
      });
    }
    if (g.shape.slice(0, -1).join() !== x.shape.slice(0, -1).join()) {
      throw shapeError(
        'linear_grad_weight',
        `g [${g.shape}] and x [${x.shape}] have different rows`,
        'give equal leading sizes',
      );
    }
    return { shape: [g.shape[g.ndim - 1]!, x.shape[x.ndim - 1]!], dtype: x.dtype };
  },
  decompose(g, x) {
    const rows = (t: Tensor): Tensor => reshape(t, [-1, t.shape[t.ndim - 1]!]);
    return matmul(permute(rows(g), [1, 0]), rows(x));
  },
});
