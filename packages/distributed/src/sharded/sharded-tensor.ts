// ShardedTensor: a parameter of which each rank has its rows. An op that reads it gathers the whole first and frees it after; backward gathers it
// again where it is needed, and the gradient of the whole is averaged over ranks into each rank's rows (torch's FSDP2, gathering by parameter).
import {
  AoError,
  cast,
  cat,
  contiguous,
  type Dense,
  type DType,
  defineKind,
  defineOp,
  type Entry,
  isWrapped,
  type KindOf,
  kindEntry,
  scope,
  type Tensor,
  type WrappedOf,
  zeros,
} from '@ao/core';
import { noGrad, regain, vjp } from '@ao/core/autograd';
import { reduceScatter } from '../ops/collectives.ts';
import type { ProcessGroup } from '../process-group.ts';
import { gatherRows, type KindRows } from './rows.ts';

export interface ShardedAttrs {
  readonly group: ProcessGroup;
  /** Its name in the model, for errors and files. */
  readonly name: string;
  /** Of the whole. */
  readonly shape: readonly number[];
  /** What ranks send: a cast of the shard. */
  readonly paramDtype: DType;
  /** What gradients are summed in. */
  readonly reduceDtype: DType;
  /** Of a kind; null for floats. */
  readonly rows: KindRows | null;
}

/** Part 'weight': this rank's rows, which are trained where it is a float tensor. */
export type ShardedTensor = WrappedOf<'weight', never, ShardedAttrs>;

export const shardedKind: KindOf<'weight', never, ShardedAttrs> = /*@__PURE__*/ defineKind('sharded', {
  parts: ['weight'],
  attrs: (value): ShardedAttrs => value as ShardedAttrs,
  dequantize: (t: ShardedTensor) => t.rt.dequantize(gathered(t)),
  trains: ['weight'],
  // nothing of it is packed: ranks exchange plain bytes
  weight: () => null,
});

const lowered = (t: Tensor, dtype: DType): Tensor => (t.dtype === dtype ? t : cast(t, dtype));

/** g of the whole -> the mean over ranks of this rank's rows, in the shard's dtype; short tensors are filled up with zeros. */
export function scatterGrad(
  g: Tensor,
  shard: { readonly shape: readonly number[]; readonly dtype: DType },
  { group, reduceDtype }: ShardedAttrs,
): Tensor {
  return scope(() => {
    const missing = shard.shape[0]! * group.size - g.shape[0]!;
    const low = lowered(contiguous(g), reduceDtype);
    const full =
      missing === 0
        ? low
        : cat([low, zeros(g.rt, [missing, ...g.shape.slice(1)], { dtype: reduceDtype, device: g.device })], 0);
    return lowered(reduceScatter(full, group, 'avg'), shard.dtype);
  });
}

/** A shard's whole in `paramDtype`; its gradient goes to the shard. */
export const unshard = /*@__PURE__*/ defineOp<[shard: Tensor, attrs: ShardedAttrs]>('unshard', {
  meta: (_, { shape, paramDtype }) => ({ shape, dtype: paramDtype }),
  decompose: (shard, { shape, rows, paramDtype, group }) =>
    gatherRows(rows === null ? lowered(shard, paramDtype) : shard, shape, rows, group),
});

/** The whole of a sharded tensor, which backward gathers again instead of keeping it. Throws ERR_AO_STREAM there where it was changed meanwhile. */
export function gathered(t: ShardedTensor): Tensor {
  const { weight, attrs } = t;
  const version = isWrapped(weight) ? 0 : (weight as Dense).storage.version;
  return regain(unshard(weight, attrs), () => {
    if (!isWrapped(weight) && (weight as Dense).storage.version !== version) {
      throw new AoError('ERR_AO_STREAM', 'it was changed in place after forward gathered it', {
        tensor: attrs.name,
        fix: 'call backward before the optimizer steps',
      });
    }
    return noGrad(() => unshard(weight, attrs));
  });
}

export const shardedEntries = (): readonly Entry[] => [
  kindEntry(shardedKind),
  vjp(unshard, (_, __, shard, attrs) => {
    const facts = { shape: shard.shape, dtype: shard.dtype };
    return (g) => [scatterGrad(g, facts, attrs)];
  }),
];
