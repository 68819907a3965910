// Rows and elements by index. Indices are int32; one outside the table fails on the device and names itself.
import { int32 } from '../dtypes/index.ts';
import { defineOp } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { dimOf, requireDtype, requireNdim, shapeError } from './checks.ts';

/** weight [V, D], indices [...] -> [..., D]. */
export const embedding = /*@__PURE__*/ defineOp<[weight: Tensor, indices: Tensor]>('embedding', {
  weightArg: 0,
  meta(weight, indices) {
    requireNdim('embedding', 'weight', weight, 2);
    requireDtype('embedding', 'indices', indices, [int32]);
    return { shape: [...indices.shape, weight.shape[1]!], dtype: weight.dtype };
  },
});

/** torch.gather: out[..., i, ...] = x[..., index[..., i, ...], ...] along dim; index is no larger than x elsewhere. */
export const gather = /*@__PURE__*/ defineOp<[x: Tensor, dim: number, index: Tensor]>('gather', {
  meta(x, dim, index) {
    const d = dimOf('gather', dim, x.ndim);
    requireDtype('gather', 'index', index, [int32]);
    if (index.ndim !== x.ndim || index.shape.some((n, i) => i !== d && n > x.shape[i]!)) {
      throw shapeError(
        'gather',
        `index [${index.shape}] does not fit x [${x.shape}] along ${dim}`,
        'give index the rank of x',
      );
    }
    return { shape: index.shape, dtype: x.dtype };
  },
});
