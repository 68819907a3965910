// Float8 all-gather: where @ao/float8's linears read a weight by one scale for all of it, ranks agree on the scale (the least of those of their rows)
// and exchange codes, a byte a value. The bits are those of casting the whole.
import {
  castTo,
  type DType,
  defineKind,
  defineOp,
  type Entry,
  type KindOf,
  kindEntry,
  type Op,
  opById,
  override,
  scope,
  slice,
  type Tensor,
  type WrappedOf,
} from '@ao/core';
import { detach, noGrad, regain, vjp } from '@ao/core/autograd';
import { allGather, allReduce_ } from '../ops/collectives.ts';
import { gatherRows } from './rows.ts';
import { gathered, type ShardedAttrs, type ShardedTensor, scatterGrad, shardedKind } from './sharded-tensor.ts';

/** A sharded weight on its way into a product: what reads it gathers what it needs of it. */
type ShardView = WrappedOf<'weight', never, ShardedAttrs>;

const viewKind: KindOf<'weight', never, ShardedAttrs> = /*@__PURE__*/ defineKind('shard_view', {
  parts: ['weight'],
  attrs: (value): ShardedAttrs => value as ShardedAttrs,
  dequantize: (t: ShardView) => whole(t),
});

const whole = ({ weight, attrs }: ShardView): Tensor => gatherRows(weight, attrs.shape, null, attrs.group);

const viewOf = /*@__PURE__*/ defineOp<[shard: Tensor, attrs: ShardedAttrs]>('shard_view', {
  meta: (shard, { shape }) => ({ shape, dtype: shard.dtype }),
  decompose: (shard, attrs) => viewKind.make({ weight: detach(shard) }, attrs, attrs.shape, shard.dtype),
});

type Axis = 'all' | 'rows' | 'columns';
type Cast = [x: Tensor, dtype: DType, axis: Axis, powerOf2: boolean];
type Linear = [x: Tensor, w: Tensor, b: Tensor | undefined, scheme: { readonly readsCodes?: boolean }];

/** An op of @ao/float8, which need not be installed: by its id, for entries. */
const named = <A extends readonly unknown[], R>(id: string): Op<A, R> => ({ id }) as Op<A, R>;
/** The op itself, where something called it. */
const run = <R>(id: string, ...args: readonly unknown[]): R =>
  (opById(id) as unknown as (...a: readonly unknown[]) => R)(...args);

const scaleOf = ({ weight, attrs }: ShardView, dtype: DType, powerOf2: boolean): Tensor =>
  allReduce_(run<Tensor>('float8_scale', weight, dtype, 'all', powerOf2), attrs.group, 'min');

const codesOf = ({ weight, attrs }: ShardView, scale: Tensor, dtype: DType): Tensor =>
  slice(allGather(run<Tensor>('float8_codes', weight, scale, dtype), attrs.group), 0, 0, attrs.shape[0]);

function product(x: Tensor, t: ShardedTensor, b: Tensor | undefined, scheme: Linear[3]): Tensor {
  const linear = (w: Tensor): Tensor => run<Tensor>('training_linear', x, w, b, scheme);
  if (scheme.readsCodes !== true || t.attrs.paramDtype !== t.weight.dtype) return linear(gathered(t));
  const { weight, attrs } = t;
  return linear(regain(viewOf(weight, attrs), () => noGrad(() => viewOf(weight, attrs))));
}

/** Entries for ops of @ao/float8; without it they stand for nothing. */
export const float8GatherEntries = (): readonly Entry[] => [
  kindEntry(viewKind),
  vjp(viewOf, (_, __, shard, attrs) => {
    const facts = { shape: shard.shape, dtype: shard.dtype };
    return (g) => [scatterGrad(g, facts, attrs)];
  }),
  override(named<Linear, Tensor>('training_linear'), 1, shardedKind, (x, w, b, scheme) =>
    scope(() => product(x, w as ShardedTensor, b, scheme)),
  ),
  override(named<Cast, Tensor>('float8_scale'), 0, viewKind, (x, dtype, axis, powerOf2) =>
    scope(() =>
      axis === 'all'
        ? scaleOf(x as ShardView, dtype, powerOf2)
        : run<Tensor>('float8_scale', whole(x as ShardView), dtype, axis, powerOf2),
    ),
  ),
  // a scale found ahead, of a parameter
  override(named<Cast, Tensor>('float8_scale'), 0, shardedKind, (x, dtype, axis, powerOf2) =>
    scope(() =>
      axis === 'all'
        ? scaleOf(x as ShardView, dtype, powerOf2)
        : run<Tensor>('float8_scale', gathered(x as ShardedTensor), dtype, axis, powerOf2),
    ),
  ),
  override(named<[x: Tensor, scale: Tensor, dtype: DType], Tensor>('float8_codes'), 0, viewKind, (x, scale, dtype) =>
    scope(() =>
      scale.numel === 1
        ? codesOf(x as ShardView, scale, dtype)
        : run<Tensor>('float8_codes', whole(x as ShardView), scale, dtype),
    ),
  ),
  override(named<Cast, Tensor[]>('to_float8'), 0, viewKind, (x, dtype, axis, powerOf2) =>
    scope(() => {
      if (axis !== 'all') return run<Tensor[]>('to_float8', whole(x as ShardView), dtype, axis, powerOf2);
      const scale = scaleOf(x as ShardView, dtype, powerOf2);
      return [codesOf(x as ShardView, scale, dtype), scale];
    }),
  ),
  override(castTo, 0, viewKind, (x, dtype) => scope(() => castTo(whole(x as ShardView), dtype))),
];
