// The dense tensors of a model by name, and where each lies in the whole: what checkpoints hold.
import { type Dense, isWrapped, type Module, type Tensor, unpackedOf, type Wrapped } from '@ao/core';
import { rowsOf } from './rows.ts';
import { type ShardedTensor, shardedKind } from './sharded-tensor.ts';

export interface Leaf {
  readonly tensor: Tensor;
  /** Of the whole. */
  readonly shape: readonly number[];
  /** `count` positions from `start` on along `dim` of the whole are this rank's; what the tensor has beyond them is filling. */
  readonly dim: number;
  readonly start: number;
  readonly count: number;
  /** Every rank has it. */
  readonly shared: boolean;
  /** Its name in the optimizer's state dict. */
  readonly key?: string;
}

const wholeLeaf = (t: Tensor): Leaf => ({
  tensor: t,
  shape: t.shape,
  dim: 0,
  start: 0,
  count: t.shape[0] ?? 1,
  shared: true,
});

/** A part of the name 'weight' has the name of what it is part of. */
const below = (name: string, part: string): string => (part === 'weight' ? name : `${name}.${part}`);

function ofSharded(name: string, { weight, attrs }: ShardedTensor, out: Map<string, Leaf>): void {
  const { group, rows, shape } = attrs;
  if (rows === null) {
    const each = rowsOf(shape[0]!, group.size);
    const start = Math.min(group.rank * each, shape[0]!);
    out.set(name, { tensor: weight, shape, dim: 0, start, count: Math.min(each, shape[0]! - start), shared: false });
    return;
  }
  for (const [part, t] of Object.entries((weight as Wrapped).parts)) {
    const dim = rows.dims[part];
    if (dim === undefined || isWrapped(t)) visit(`${name}.${part}`, t, out);
    else {
      const count = t.shape[dim]!;
      const whole = t.shape.map((d, i) => (i === dim ? d * group.size : d));
      out.set(`${name}.${part}`, { tensor: t, shape: whole, dim, start: group.rank * count, count, shared: false });
    }
  }
}

function visit(name: string, t: Tensor, out: Map<string, Leaf>): void {
  if (shardedKind.is(t)) ofSharded(name, t as ShardedTensor, out);
  else if (isWrapped(t)) for (const [part, inner] of Object.entries(t.parts)) visit(below(name, part), inner, out);
  else out.set(name, wholeLeaf(t.packed === null ? t : (unpackedOf(t) as Dense)));
}

export function leavesOf(model: Module): Map<string, Leaf> {
  const out = new Map<string, Leaf>();
  for (const [name, t] of model.namedParameters()) visit(name, t, out);
  return out;
}
