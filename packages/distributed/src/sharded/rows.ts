// How a tensor is cut by rows over ranks, and put together again. Of n rows each of `size` ranks has ceil(n / size), the last of them zeros where
// there are no more; of a kind, what its `slice` gives: a part of it whose size differs between all rows and some lies by rows.
import {
  AoError,
  cat,
  clone,
  contiguous,
  type Dense,
  isWrapped,
  type Kind,
  permute,
  scope,
  slice,
  type Tensor,
  type Wrapped,
  zeros,
} from '@ao/core';
import { allGather } from '../ops/collectives.ts';
import type { ProcessGroup } from '../process-group.ts';

/** Of a kind: the attributes of the whole, and along which dimension each part lies by rows (absent: all ranks have it). */
export interface KindRows {
  readonly kind: Kind;
  readonly attrs: unknown;
  readonly dims: Readonly<Record<string, number>>;
}

export const rowsOf = (n: number, size: number): number => Math.ceil(n / size);

/** Rows of t for a rank; a copy. */
export function cutRows(t: Tensor, { rank, size }: Pick<ProcessGroup, 'rank' | 'size'>): Tensor {
  const n = t.shape[0]!;
  const rows = rowsOf(n, size);
  const [from, to] = [Math.min(rank * rows, n), Math.min((rank + 1) * rows, n)];
  return scope(() => {
    if (to - from === rows) return clone(slice(t, 0, from, to));
    const rest = zeros(t.rt, [rows - (to - from), ...t.shape.slice(1)], { dtype: t.dtype, device: t.device });
    return to === from ? rest : cat([contiguous(slice(t, 0, from, to)), rest], 0);
  });
}

/** Rows of a tensor of a kind for a rank, and how parts lie; throws ERR_AO_SHAPE where they cannot be cut evenly. */
export function cutKind(
  t: Wrapped,
  name: string,
  group: ProcessGroup,
): { readonly shard: Tensor; readonly rows: KindRows } {
  const n = t.shape[0]!;
  const share = n / group.size;
  if (!Number.isInteger(share)) {
    throw new AoError('ERR_AO_SHAPE', `${n} rows of kind ${t.kind.name} have no ${group.size} equal parts`, {
      tensor: name,
      fix: 'leave it whole by `ignored`, or use a number of ranks that divides its rows',
    });
  }
  return scope(() => {
    const whole = slice(t, 0, 0, n) as Wrapped;
    const shard = clone(slice(t, 0, group.rank * share, (group.rank + 1) * share)) as Wrapped;
    const dims: Record<string, number> = {};
    for (const [part, own] of Object.entries(shard.parts)) {
      const dim = own.shape.findIndex((size, i) => size !== whole.parts[part]!.shape[i]);
      if (dim >= 0) dims[part] = dim;
    }
    return { shard, rows: { kind: t.kind, attrs: whole.attrs, dims } };
  });
}

/** x of all ranks along a dimension. */
function gatherAlong(x: Tensor, dim: number, group: ProcessGroup): Tensor {
  const first = [dim, ...x.shape.keys()].filter((d, i) => i === 0 || d !== dim);
  const order = x.shape.map((_, d) => first.indexOf(d));
  const all = allGather(dim === 0 ? x : contiguous(permute(x, first)), group);
  return dim === 0 ? all : contiguous(permute(all, order));
}

/** The whole of what ranks have parts of; every rank calls it. */
export function gatherRows(
  shard: Tensor,
  shape: readonly number[],
  rows: KindRows | null,
  group: ProcessGroup,
): Tensor {
  return scope(() => {
    if (rows === null) return slice(allGather(shard, group), 0, 0, shape[0]);
    const parts: Record<string, Tensor> = {};
    for (const [part, t] of Object.entries((shard as Wrapped).parts)) {
      const dim = rows.dims[part];
      parts[part] = dim === undefined ? clone(t) : isWrapped(t) ? clone(t) : gatherAlong(t as Dense, dim, group);
    }
    const { make } = rows.kind as Kind & {
      make(p: typeof parts, a: unknown, s: readonly number[], d: Tensor['dtype']): Tensor;
    };
    return make(parts, rows.attrs, shape, shard.dtype);
  });
}
