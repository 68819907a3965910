// Copies: clone, cast to another dtype, in-place copy and fill, concatenation.
import { empty } from '../create.ts';
import type { DType } from '../dtype.ts';
import { AoError } from '../errors.ts';
import { defineOp } from '../op.ts';
import type { Tensor } from '../tensor.ts';
import { broadcastShapes, dimOf, shapeError } from './checks.ts';
import { slice } from './views.ts';

/** A contiguous copy with memory of its own. */
export const clone = /*@__PURE__*/ defineOp<[x: Tensor]>('clone', {
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
});

/** torch's x.to(dtype): rounds to nearest even, float8_e4m3fn overflows to NaN, integers truncate. Always a copy. */
export const castTo = /*@__PURE__*/ defineOp<[x: Tensor, dtype: DType]>('cast', {
  meta: (x, dtype) => ({ shape: x.shape, dtype }),
});

/** x in another dtype; x itself where it has it already. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : castTo(x, dtype);
}

/** Writes x, broadcast and cast, into `out` (which may be a view) and returns `out`. */
export const copy_ = /*@__PURE__*/ defineOp<[out: Tensor, x: Tensor]>('copy_', {
  mutates: 0,
  meta(out, x) {
    const shape = broadcastShapes('copy_', out.shape, x.shape);
    if (shape.length !== out.ndim || shape.some((n, i) => n !== out.shape[i])) {
      throw shapeError('copy_', `x of shape [${x.shape}] does not broadcast to [${out.shape}]`, 'slice or reshape x');
    }
    return { shape: out.shape, dtype: out.dtype };
  },
});

/** Writes one number everywhere. */
export const fill_ = /*@__PURE__*/ defineOp<[out: Tensor, value: number]>('fill_', {
  mutates: 0,
  meta: (out) => ({ shape: out.shape, dtype: out.dtype }),
});

/** Joins tensors along dim; their other sizes and their dtypes are equal. */
export const cat = /*@__PURE__*/ defineOp<[tensors: readonly Tensor[], dim?: number]>('cat', {
  meta(tensors, dim = 0) {
    const first = tensors[0]!;
    const d = dimOf('cat', dim, first.ndim);
    let total = 0;
    for (const t of tensors) {
      const fits = t.ndim === first.ndim && t.shape.every((n, i) => i === d || n === first.shape[i]);
      if (!fits)
        throw shapeError('cat', `[${t.shape}] does not join [${first.shape}] along ${dim}`, 'equal the other sizes');
      if (t.dtype !== first.dtype) {
        throw new AoError('ERR_AO_DTYPE', `${t.dtype.name} does not join ${first.dtype.name}`, {
          op: 'cat',
          fix: 'cast first',
        });
      }
      total += t.shape[d]!;
    }
    return { shape: first.shape.map((n, i) => (i === d ? total : n)), dtype: first.dtype };
  },
  decompose(tensors, dim = 0) {
    const first = tensors[0]!;
    const d = dimOf('cat', dim, first.ndim);
    const total = tensors.reduce((n, t) => n + t.shape[d]!, 0);
    const shape = first.shape.map((n, i) => (i === d ? total : n));
    const out = empty(first.rt, shape, { dtype: first.dtype, device: first.device });
    let at = 0;
    for (const t of tensors) {
      const part = slice(out, d, at, at + t.shape[d]!);
      copy_(part, t);
      part.dispose();
      at += t.shape[d]!;
    }
    return out;
  },
});
