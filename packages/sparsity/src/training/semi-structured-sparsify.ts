// The 4 x 4 tile prune of a matrix, made anew at each call; its gradient passes straight through.
import { defineOp, type Entry, type Tensor } from '@ao/core';
import { vjp } from '@ao/core/autograd';
import { type PruneAlgorithm, pruneTile4x4 } from '../sparse24/ops.ts';

/** x [N, K] pruned by pruneTile4x4, differentiably. */
export const semiStructuredSparsify = /*@__PURE__*/ defineOp<[x: Tensor, algorithm: PruneAlgorithm]>(
  'semi_structured_sparsify',
  {
    meta: (x, algorithm) => pruneTile4x4.spec.meta(x, algorithm),
    decompose: (x, algorithm) => pruneTile4x4(x, algorithm),
  },
);

export const sparsifyRule = (): Entry => vjp(semiStructuredSparsify, () => (g) => [g, null]);
