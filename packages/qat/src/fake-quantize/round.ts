// round(x) to even whose gradient is the identity (torchao's _Round).
import { defineOp, type Entry, round, type Tensor } from '@ao/core';
import { vjp } from '@ao/core/autograd';

export const roundThrough = /*@__PURE__*/ defineOp<[x: Tensor]>('round_through', {
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
  decompose: (x) => round(x),
});

export const roundThroughRule = (): Entry => vjp(roundThrough, () => (g) => [g]);
