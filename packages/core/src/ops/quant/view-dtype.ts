// torch's x.view(dtype): the same bytes read as another dtype; the last dimension grows or shrinks by the ratio of the sizes.
import type { DType } from '../../dtype.ts';
import { defineOp } from '../../op.ts';
import { Dense, type Tensor } from '../../tensor.ts';
import { shapeError } from '../checks.ts';
import { contiguous } from '../contiguous.ts';
import { clone } from '../copy.ts';

function shapeIn(x: Tensor, dtype: DType): number[] {
  const { itemsize } = x.dtype;
  if (itemsize === dtype.itemsize) return [...x.shape];
  const last = ((x.shape.at(-1) ?? 0) * itemsize) / dtype.itemsize;
  if (x.ndim > 0 && Number.isInteger(last)) return [...x.shape.slice(0, -1), last];
  throw shapeError(
    'view_dtype',
    `[${x.shape}] of ${x.dtype.name} is no whole number of ${dtype.name}`,
    'pad the last dimension',
  );
}

/** The bytes of x as `dtype`, little-endian; a copy where x is not contiguous. No value is converted. */
export const viewDtype = /*@__PURE__*/ defineOp<[x: Tensor, dtype: DType]>('view_dtype', {
  meta: (x, dtype) => ({ shape: shapeIn(x, dtype), dtype }),
  view(x, dtype) {
    const from = contiguous(x) as Dense;
    const offset = (from.offset * from.dtype.itemsize) / dtype.itemsize;
    const plain = Number.isInteger(offset) ? from : (clone(from) as Dense);
    const out = new Dense(x.rt, plain.storage, shapeIn(x, dtype), dtype, undefined, plain === from ? offset : 0);
    out.lease = plain.lease;
    if (plain !== from) plain.dispose();
    if (from !== x) from.dispose();
    return out;
  },
});
