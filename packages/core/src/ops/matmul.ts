// Matrix products with float32 accumulation: matmul over batches, linear y = x W^T + b.
import type { DType } from '../dtype.ts';
import { defineOp, type Meta } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { add } from './binary.ts';
import { broadcastShapes, requireFloat, requireSameDtype, requireShape, shapeError } from './checks.ts';

/** a [..., M, K] times b [..., K, N], batch dimensions broadcast -> [..., M, N]; equal float dtypes. */
export const matmul = /*@__PURE__*/ defineOp<[a: Tensor, b: Tensor]>('matmul', {
  meta(a, b) {
    requireFloat('matmul', 'a', a);
    requireSameDtype('matmul', ['a', a], ['b', b]);
    const [m, k] = a.shape.slice(-2);
    const [k2, n] = b.shape.slice(-2);
    if (m === undefined || k === undefined || n === undefined || k !== k2) {
      throw shapeError('matmul', `[${a.shape}] and [${b.shape}] do not multiply`, 'give [..., M, K] and [..., K, N]');
    }
    return { shape: [...broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n], dtype: a.dtype };
  },
});

function linearMeta(op: string, x: Tensor, w: Tensor, b: Tensor | undefined): Meta & { dtype: DType } {
  requireFloat(op, 'x', x);
  requireSameDtype(op, ['x', x], ['w', w]);
  if (w.ndim !== 2 || x.ndim < 1 || x.shape[x.ndim - 1] !== w.shape[1]) {
    throw shapeError(
      op,
      `x [${x.shape}] does not fit the weight [${w.shape}]`,
      'the last size of x is the in_features of the weight',
    );
  }
  if (b !== undefined) {
    requireSameDtype(op, ['x', x], ['b', b]);
    requireShape(op, 'b', b, [w.shape[0]!]);
  }
  return { shape: [...x.shape.slice(0, -1), w.shape[0]!], dtype: x.dtype };
}

/** x [..., K], w [N, K], b [N] -> [..., N]; equal float dtypes. */
export const linear = /*@__PURE__*/ defineOp<[x: Tensor, w: Tensor, b?: Tensor | undefined]>('linear', {
  weightArg: 1,
  meta: (x, w, b) => linearMeta('linear', x, w, b),
});

/** Several linears of one x (query, key and value; gate and up), which backends run as one call. */
export const linears = /*@__PURE__*/ defineOp<
  [x: Tensor, ws: readonly Tensor[], bs?: readonly (Tensor | undefined)[]],
  Tensor[]
>('linears', {
  weightArg: 1,
  meta: (x, ws, bs = []) => ws.map((w, i) => linearMeta('linears', x, w, bs[i])),
  decompose: (x, ws, bs = []) => ws.map((w, i) => linear(x, w, bs[i])),
});

/** residual + linear(x, w, b), the sum rounded once more, as separate ops would. */
export const linearAdd = /*@__PURE__*/ defineOp<[x: Tensor, w: Tensor, b: Tensor | undefined, residual: Tensor]>(
  'linear_add',
  {
    weightArg: 1,
    meta(x, w, b, residual) {
      const out = linearMeta('linear_add', x, w, b);
      requireShape('linear_add', 'residual', residual, out.shape);
      requireSameDtype('linear_add', ['x', x], ['residual', residual]);
      return out;
    },
    decompose: (x, w, b, residual) => add(residual, linear(x, w, b)),
  },
);
