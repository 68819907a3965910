// What goes between ranks around a tensor parallel linear, with its derivative: sums of activations forward are copies of gradients backward, and the
// other way around.
import { clone, contiguous, defineOp, type Entry, permute, scope, slice, type Tensor } from '@ao/core';
import { vjp } from '@ao/core/autograd';
import { allGather, allReduce_ } from '../ops/collectives.ts';
import type { ProcessGroup } from '../process-group.ts';

/** The sum over ranks, of which each rank's gradient is that of the whole. */
export const sumOverRanks = /*@__PURE__*/ defineOp<[x: Tensor, group: ProcessGroup]>('sum_over_ranks', {
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
  decompose: (x, group) => scope(() => allReduce_(clone(x), group)),
});

/** x itself, whose gradient is the sum of those of all ranks. */
export const copyToRanks = /*@__PURE__*/ defineOp<[x: Tensor, group: ProcessGroup]>('copy_to_ranks', {
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
  decompose: (x) => slice(x, 0, 0),
});

/** x [..., n] of all ranks -> [..., size n]. */
export const gatherColumns = /*@__PURE__*/ defineOp<[x: Tensor, group: ProcessGroup]>('gather_columns', {
  meta: (x, group) => ({ shape: [...x.shape.slice(0, -1), x.shape[x.ndim - 1]! * group.size], dtype: x.dtype }),
  decompose: (x, group) =>
    scope(() => {
      const last = x.ndim - 1;
      const all = allGather(contiguous(permute(x, [last, ...Array.from({ length: last }, (_, i) => i)])), group);
      return contiguous(permute(all, [...Array.from({ length: last }, (_, i) => i + 1), 0]));
    }),
});

/** This rank's columns of x [..., size n]. */
export const ownColumns = (x: Tensor, { rank, size }: ProcessGroup): Tensor => {
  const n = x.shape[x.ndim - 1]! / size;
  return contiguous(slice(x, -1, rank * n, (rank + 1) * n));
};

export const exchangeEntries = (): readonly Entry[] => [
  vjp(sumOverRanks, () => (g) => [g]),
  vjp(copyToRanks, (_, __, ___, group) => (g) => [scope(() => allReduce_(clone(g), group))]),
  vjp(gatherColumns, (_, __, ___, group) => (g) => [scope(() => ownColumns(g, group))]),
];
