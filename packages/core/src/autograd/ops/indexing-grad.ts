// Gradients of lookups: rows of g added up at their indices, in ascending order.
import { int32 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import { dimOf, requireDtype, requireFloat, requireShape, shapeError } from '../../ops/checks.ts';
import { store, valuesOf } from '../../reference/memory.ts';
import type { Dense, Tensor } from '../../tensor.ts';

function requireWithin(op: string, index: number, n: number): void {
  if (index >= 0 && index < n) return;
  throw new AoError('ERR_AO_STREAM', `index ${index} is outside ${n} rows`, { op, fix: 'check the indices' });
}

/** g [..., D], indices int32 [...] -> [V, D] in g's dtype: row v is the sum of g's rows whose index is v. */
export const embeddingGradWeight = /*@__PURE__*/ defineOp<[g: Tensor, indices: Tensor, rows: number]>(
  'embedding_grad_weight',
  {
    reference(out: Dense, g: Dense, indices: Dense, rows: number) {
      const [gv, ids] = [valuesOf(g), valuesOf(indices)];
      const dim = out.shape[1]!;
      const result = new Float64Array(rows * dim);
      for (const [i, id] of ids.entries()) {
        requireWithin('embedding_grad_weight', id, rows);
        for (let k = 0; k < dim; k++) result[id * dim + k]! += gv[i * dim + k]!;
      }
      store(out, result);
    },
    meta(g, indices, rows) {
      const op = 'embedding_grad_weight';
      requireFloat(op, 'g', g);
      requireDtype(op, 'indices', indices, [int32]);
      const dim = g.shape[g.ndim - 1] ?? 1;
      requireShape(op, 'g', g, [...indices.shape, dim]);
      if (!Number.isInteger(rows) || rows < 1) throw shapeError(op, `${rows} rows`, 'give the rows of the weight');
      return { shape: [rows, dim], dtype: g.dtype };
    },
  },
);

/** Of gather: zeros of `shape` plus g at `index` along dim; g and index of one shape. */
export const gatherBackward = /*@__PURE__*/ defineOp<[g: Tensor, dim: number, index: Tensor, shape: readonly number[]]>(
  'gather_backward',
  {
    reference(out: Dense, g: Dense, dim: number, index: Dense) {
      const [gv, ids] = [valuesOf(g), valuesOf(index)];
      const d = dimOf('gather_backward', dim, g.ndim);
      const result = new Float64Array(out.numel);
      for (const [i, id] of ids.entries()) {
        requireWithin('gather_backward', id, out.shape[d]!);
        let [rest, at, stride] = [i, 0, 1];
        for (let k = g.ndim - 1; k >= 0; k--) {
          const own = rest % g.shape[k]!;
          at += (k === d ? id : own) * stride;
          stride *= out.shape[k]!;
          rest = (rest - own) / g.shape[k]!;
        }
        result[at]! += gv[i]!;
      }
      store(out, result);
    },
    meta(g, dim, index, shape) {
      const op = 'gather_backward';
      requireFloat(op, 'g', g);
      requireDtype(op, 'index', index, [int32]);
      requireShape(op, 'index', index, g.shape);
      const d = dimOf(op, dim, g.ndim);
      if (shape.length !== g.ndim || g.shape.some((n, i) => i !== d && n > shape[i]!)) {
        throw shapeError(
          op,
          `g [${g.shape}] does not fit [${shape}] along ${dim}`,
          'give the shape that was gathered from',
        );
      }
      return { shape, dtype: g.dtype };
    },
  },
);
