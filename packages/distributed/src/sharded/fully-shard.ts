// fullyShard: each rank keeps its rows of every matrix of a model. Vectors (norms, biases) stay whole, with gradients averaged as by `replicate`.
import {
  AoError,
  type Dense,
  type DType,
  isWrapped,
  keep,
  type Module,
  replaceTensor,
  type Tensor,
  unpackedOf,
  type Wrapped,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { averageGradients, type BucketOptions } from '../data-parallel.ts';
import type { ProcessGroup } from '../process-group.ts';
import { cutKind, cutRows, type KindRows } from './rows.ts';
import { type ShardedTensor, shardedKind } from './sharded-tensor.ts';

export interface FullyShardOptions extends BucketOptions {
  /** torch's MixedPrecisionPolicy: what parameters are gathered in, and what gradients are summed in; default: the parameter's dtype. */
  readonly mpPolicy?: { readonly paramDtype?: DType; readonly reduceDtype?: DType };
  /** Parameters, by name, that stay whole on every rank. */
  ignored?(name: string): boolean;
}

const shards = /*@__PURE__*/ new WeakSet<Tensor>();

/** Whether a trained tensor is this rank's part of a parameter, so that norms are sums over ranks. */
export const isShard = (t: Tensor): boolean => shards.has(t);
export const markShard = <T extends Tensor>(t: T): T => {
  shards.add(t);
  return t;
};

interface Work {
  readonly group: ProcessGroup;
  readonly options: FullyShardOptions;
  /** Trained tensors that stay whole. */
  readonly whole: Tensor[];
}

function sharded(t: Tensor, name: string, { group, options: { mpPolicy = {} } }: Work): ShardedTensor {
  const plain = t.packed === null ? t : unpackedOf(t);
  let shard: Tensor;
  let rows: KindRows | null = null;
  if (isWrapped(plain)) ({ shard, rows } = cutKind(plain, name, group));
  else shard = cutRows(plain, group);
  const { paramDtype = t.dtype, reduceDtype = t.dtype } = isWrapped(plain) ? {} : mpPolicy;
  keep(markShard(shard));
  shard.guard();
  const made = shardedKind.make(
    { weight: shard },
    { group, name, shape: t.shape, paramDtype, reduceDtype, rows },
    t.shape,
    paramDtype,
  );
  if (!isWrapped(plain) && t.requiresGrad) shard.requiresGrad = true;
  if (plain !== t) plain.dispose();
  return made;
}

/** What stands in the place of t: t itself, of a kind made of tensors with its parts sharded. */
function placed(t: Tensor, name: string, work: Work): Tensor {
  if (isWrapped(t) && t.kind.spec.weight === undefined) {
    const held = t.held as Record<string, Tensor>;
    const names = t.kind.spec.trains ?? Object.keys(held);
    for (const part of names) {
      const old = held[part];
      const now = old && placed(old, part === 'weight' ? name : `${name}.${part}`, work);
      if (old === undefined || now === undefined || now === old) continue;
      held[part] = keep(now);
      old.dispose();
    }
    return t;
  }
  const matrix =
    t.ndim >= 2 &&
    t.shape[0]! >= work.group.size &&
    t.dtype.category === 'float' &&
    work.options.ignored?.(name) !== true;
  if (matrix) return sharded(t, name, work);
  if (!isWrapped(t) && t.packed === null && t.dtype.category === 'float' && t.dtype.bits >= 16)
    work.whole.push(t as Dense);
  return t;
}

/**
 * torch's fully_shard (FSDP2) for a whole model: of every matrix, quantized and frozen ones too, this rank keeps its share of rows, and frees the
 * rest. Ops that read one gather it for the call; nothing else of the model changes. Make optimizers afterwards, of trainableParameters(model). Every
 * rank gives the same model with equal values (`replicate` or `loadSharded` see to that otherwise). Returns the names of what is sharded.
 */
export function fullyShard(model: Module, group: ProcessGroup, options: FullyShardOptions = {}): string[] {
  const before = [...model.namedParameters()];
  if (before.some(([, t]) => isWrapped(t) && t.kind === shardedKind)) {
    throw new AoError('ERR_AO_CONFIG', 'the model is sharded already', { op: 'fullyShard', fix: 'call it once' });
  }
  const work: Work = { group, options, whole: [] };
  const names: string[] = [];
  noGrad(() => {
    for (const [name, t] of before) {
      const now = placed(t, name, work);
      if (now !== t) replaceTensor(model, t, now);
      if (now !== t || holdsShard(t)) names.push(name);
    }
  });
  averageGradients(work.whole, group, options);
  return names;
}

const holdsShard = (t: Tensor): boolean =>
  isWrapped(t) && Object.values((t as Wrapped).held).some((part) => shardedKind.is(part) || holdsShard(part));
