// Reductions along one dimension, or over all elements where `dim` is absent. Floats accumulate in float32 in a fixed order.
import type { DType } from '../dtype.ts';
import { float32, int32 } from '../dtypes/index.ts';
import { AoError } from '../errors.ts';
import { defineOp, type Meta, type Op } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { dimOf, shapeError } from './checks.ts';

type Reduce = Op<[x: Tensor, dim?: number, keepdim?: boolean], Tensor>;

function reduced(op: string, x: Tensor, dim: number | undefined, keepdim: boolean, dtype: DType, empty: boolean): Meta {
  if (dim === undefined) {
    if (!empty && x.numel === 0) throw shapeError(op, 'x is empty', 'give it elements');
    return { shape: keepdim ? x.shape.map(() => 1) : [], dtype };
  }
  const d = dimOf(op, dim, x.ndim);
  if (!empty && x.shape[d] === 0) throw shapeError(op, `dimension ${dim} of [${x.shape}] is empty`, 'give it elements');
  const shape = keepdim ? x.shape.map((n, i) => (i === d ? 1 : n)) : x.shape.filter((_, i) => i !== d);
  return { shape, dtype };
}

/** Sums of integers and bools are int32. */
const sumType = (x: Tensor): DType => (x.dtype.category === 'float' ? x.dtype : int32);

export const sum: Reduce = /*@__PURE__*/ defineOp<[x: Tensor, dim?: number, keepdim?: boolean]>('sum', {
  meta: (x, dim, keepdim = false) => reduced('sum', x, dim, keepdim, sumType(x), true),
});
export const mean: Reduce = /*@__PURE__*/ defineOp<[x: Tensor, dim?: number, keepdim?: boolean]>('mean', {
  meta: (x, dim, keepdim = false) =>
    reduced('mean', x, dim, keepdim, x.dtype.category === 'float' ? x.dtype : float32, false),
});
export const amax: Reduce = /*@__PURE__*/ defineOp<[x: Tensor, dim?: number, keepdim?: boolean]>('amax', {
  meta: (x, dim, keepdim = false) => reduced('amax', x, dim, keepdim, x.dtype, false),
});
export const amin: Reduce = /*@__PURE__*/ defineOp<[x: Tensor, dim?: number, keepdim?: boolean]>('amin', {
  meta: (x, dim, keepdim = false) => reduced('amin', x, dim, keepdim, x.dtype, false),
});
/** Index of the largest value (int32); the first of equals, and of NaN, wins. */
export const argmax: Reduce = /*@__PURE__*/ defineOp<[x: Tensor, dim?: number, keepdim?: boolean]>('argmax', {
  meta: (x, dim, keepdim = false) => reduced('argmax', x, dim, keepdim, int32, false),
});

/** The k largest of the last dimension, descending, and their int32 indices; the lower index first among equals. */
export const topk = /*@__PURE__*/ defineOp<[x: Tensor, k: number], [values: Tensor, indices: Tensor]>('topk', {
  meta(x, k) {
    const n = x.shape[x.ndim - 1] ?? 0;
    if (!Number.isInteger(k) || k < 1 || k > n) {
      throw new AoError('ERR_AO_SHAPE', `k is ${k}, the last dimension has ${n}`, {
        op: 'topk',
        fix: `give k in 1..${n}`,
      });
    }
    const shape = [...x.shape.slice(0, -1), k];
    return [
      { shape, dtype: x.dtype },
      { shape, dtype: int32 },
    ];
  },
});
