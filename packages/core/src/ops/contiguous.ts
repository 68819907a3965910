// A row-major copy of a strided tensor; the tensor itself where it is row-major already.
import { defineOp } from '../op.ts';
import { isDense, type Tensor } from '../tensor.ts';

/** The op behind `contiguous`, for backends: writes x's elements row-major. */
export const contiguousOp = /*@__PURE__*/ defineOp<[x: Tensor]>('contiguous', {
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
});

export function contiguous(x: Tensor): Tensor {
  return isDense(x) && x.packed === null && x.contiguous ? x : contiguousOp(x);
}
