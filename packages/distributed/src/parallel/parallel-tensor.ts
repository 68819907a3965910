// ParallelTensor: this rank's part of a linear's weight, in the place of the weight, so that fused ops are parallel too.
//   columnwise: W [N / size, K], y [..., N / size] = x W^T, of which gatherOutput makes all of y; the gradient of x is a sum over ranks
//   rowwise:    W [N, K / size], y = sum over ranks of x [..., K / size] W^T, then + b once
import {
  add,
  defineKind,
  type Entry,
  isWrapped,
  type KindOf,
  kindEntry,
  linear,
  linears,
  override,
  scope,
  type Tensor,
  type WrappedOf,
} from '@ao/core';
import { linearGradInput } from '@ao/core/autograd';
import { allReduce_ } from '../ops/collectives.ts';
import type { ProcessGroup } from '../process-group.ts';
import { copyToRanks, gatherColumns, ownColumns, sumOverRanks } from './exchange.ts';

export interface ParallelAttrs {
  readonly group: ProcessGroup;
  readonly split: 'columnwise' | 'rowwise';
  /** Of columnwise: every rank gets all columns. */
  readonly gatherOutput?: boolean;
  /** Of rowwise: x is whole on every rank. */
  readonly splitInput?: boolean;
}

/** Part 'weight': of any kind. The shape is that of the part. */
export type ParallelTensor = WrappedOf<'weight', never, ParallelAttrs>;

export const parallelKind: KindOf<'weight', never, ParallelAttrs> = /*@__PURE__*/ defineKind('parallel', {
  parts: ['weight'],
  attrs: (value): ParallelAttrs => value as ParallelAttrs,
  dequantize: (t: ParallelTensor) => t.rt.dequantize(t.weight),
  trains: ['weight'],
});

/** Whether gradients flow here, so that the exchange has to be recorded. */
const recorded = (...tensors: readonly Tensor[]): boolean =>
  tensors.some((t) => t.requiresGrad || (isWrapped(t) && recorded(...Object.values(t.held))));

const input = (x: Tensor, group: ProcessGroup): Tensor => (x.requiresGrad ? copyToRanks(x, group) : x);

function product(x: Tensor, { weight, attrs }: ParallelTensor, b: Tensor | undefined): Tensor {
  const { group, split, gatherOutput, splitInput } = attrs;
  if (split === 'columnwise') {
    const y = linear(input(x, group), weight, b);
    return gatherOutput ? gatherColumns(y, group) : y;
  }
  const own = linear(splitInput ? ownColumns(input(x, group), group) : x, weight);
  const y = recorded(own) ? sumOverRanks(own, group) : allReduce_(own, group);
  return b === undefined ? y : add(y, b);
}

/** Several columnwise weights of one x stay one call. */
function products(x: Tensor, ws: readonly Tensor[], bs: readonly (Tensor | undefined)[] = []): Tensor[] {
  const parallel = ws.map((w) => (parallelKind.is(w) ? (w as ParallelTensor) : undefined));
  const group = parallel[0]?.attrs.group;
  const plain = parallel.every(
    (w) => w !== undefined && w.attrs.split === 'columnwise' && !w.attrs.gatherOutput && w.attrs.group === group,
  );
  if (!plain) return ws.map((w, i) => linear(x, w, bs[i]));
  return linears(
    input(x, group!),
    parallel.map((w) => w!.weight),
    bs,
  );
}

/** The gradient of x by a frozen weight. */
function gradInput(g: Tensor, { weight, attrs: { group, split, gatherOutput, splitInput } }: ParallelTensor): Tensor {
  if (split === 'columnwise')
    return allReduce_(linearGradInput(gatherOutput ? ownColumns(g, group) : g, weight), group);
  const own = linearGradInput(g, weight);
  return splitInput ? gatherColumns(own, group) : own;
}

export const parallelEntries = (): readonly Entry[] => [
  kindEntry(parallelKind),
  override(linear, 1, parallelKind, (x, w, b) => scope(() => product(x, w as ParallelTensor, b))),
  override(linears, 1, parallelKind as never, (x, ws, bs) => scope(() => products(x, ws, bs))),
  override(linearGradInput, 1, parallelKind, (g, w) => scope(() => gradInput(g, w as ParallelTensor))),
];
