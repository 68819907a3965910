// Float8 all-gather: where @ao/float8's linears read a weight by one scale for all of it, ranks agree on the scale (the least of those of their rows)
// and exchange codes, a byte a value. The bits are those of casting the whole.
import {
  castTo,
  clone,
  contiguous,
  type DType,
  defineKind,
  defineOp,
  type Entry,
  type KindOf,
  kindEntry,
  type Op,
  opById,
  override,
  permute,
  scope,
  slice,
  type Tensor,
  type WrappedOf,
} from '@ao/core';
import { detach, noGrad, regain, vjp } from '@ao/core/autograd';
import { allGather, allReduce_ } from '../ops/collectives.ts';
import { gatherRows } from './rows.ts';
import { gathered, type ShardedAttrs, type ShardedTensor, scatterGrad, shardedKind } from './sharded-tensor.ts';

interface ViewAttrs extends ShardedAttrs {
  /** The parameter's rows themselves, of which the part is a handle without gradient: they live on until backward. */
  readonly shard: Tensor;
}

/** A sharded weight on its way into a product: what reads it gathers what it needs of it. */
type ShardView = WrappedOf<'weight', never, ViewAttrs>;

const viewKind: KindOf<'weight', never, ViewAttrs> = /*@__PURE__*/ defineKind('shard_view', {
  parts: ['weight'],
  attrs: (value): ViewAttrs => value as ViewAttrs,
  dequantize: (t: ShardView) => whole(t),
});

const whole = ({ weight, attrs }: ShardView): Tensor => gatherRows(weight, attrs.shape, null, attrs.group);

const viewOf = /*@__PURE__*/ defineOp<[shard: Tensor, attrs: ShardedAttrs]>('shard_view', {
  meta: (shard, { shape }) => ({ shape, dtype: shard.dtype }),
  decompose: (shard, attrs) => viewKind.make({ weight: detach(shard) }, { ...attrs, shard }, attrs.shape, shard.dtype),
});

type Axis = 'all' | 'rows' | 'columns';
type Cast = [x: Tensor, dtype: DType, axis: Axis, powerOf2: boolean];
type Both = [x: Tensor, dtype: DType, axis: Axis, turnedAxis: Axis, powerOf2: boolean];

/** An op of @ao/float8, which need not be installed: by its id, for entries. */
const named = <A extends readonly unknown[], R>(id: string): Op<A, R> => ({ id }) as Op<A, R>;
/** The op itself, where something called it. */
const run = <R>(id: string, ...args: readonly unknown[]): R =>
  (opById(id) as unknown as (...a: readonly unknown[]) => R)(...args);

const scaleOf = (shard: Tensor, { group }: ShardedAttrs, dtype: DType, powerOf2: boolean): Tensor =>
  allReduce_(run<Tensor>('float8_scale', shard, dtype, 'all', powerOf2), group, 'min');

const codesOf = (shard: Tensor, { group, shape }: ShardedAttrs, scale: Tensor, dtype: DType): Tensor =>
  slice(allGather(run<Tensor>('float8_codes', shard, scale, dtype), group), 0, 0, shape[0]);

const cast = ({ weight, attrs }: ShardView, dtype: DType, powerOf2: boolean): [codes: Tensor, scale: Tensor] => {
  const scale = scaleOf(weight, attrs, dtype, powerOf2);
  return [codesOf(weight, attrs, scale, dtype), scale];
};

const turned = (codes: Tensor): Tensor => contiguous(permute(codes, [1, 0]));

/** Codes of the transpose, which backward gathers again instead of keeping them. */
const regained = (codes: Tensor, { attrs }: ShardView, dtype: DType, powerOf2: boolean): Tensor =>
  regain(turned(codes), () =>
    noGrad(() => scope(() => turned(codesOf(attrs.shard, attrs, scaleOf(attrs.shard, attrs, dtype, powerOf2), dtype)))),
  );

/** What a weight's products read: a view of which they gather codes, or the whole. */
function readable(t: ShardedTensor, readsCodes: boolean): Tensor {
  const { weight, attrs } = t;
  return readsCodes && attrs.paramDtype === weight.dtype ? viewOf(weight, attrs) : gathered(t);
}

/** Entries for ops of @ao/float8; without it they stand for nothing. */
export const float8GatherEntries = (): readonly Entry[] => [
  kindEntry(viewKind),
  vjp(viewOf, (_, __, shard, attrs) => {
    const facts = { shape: shard.shape, dtype: shard.dtype };
    return (g) => [scatterGrad(g, facts, attrs)];
  }),
  override(named<[w: Tensor, readsCodes: boolean], Tensor>('training_weight'), 0, shardedKind, (w, readsCodes) =>
    scope(() => readable(w as ShardedTensor, readsCodes)),
  ),
  // a scale found ahead, of a parameter
  override(named<Cast, Tensor>('float8_scale'), 0, shardedKind, (x, dtype, axis, powerOf2) =>
    scope(() => {
      const { weight, attrs } = x as ShardedTensor;
      if (axis === 'all') return scaleOf(weight, attrs, dtype, powerOf2);
      return run<Tensor>('float8_scale', gathered(x as ShardedTensor), dtype, axis, powerOf2);
    }),
  ),
  override(named<[x: Tensor, scale: Tensor, dtype: DType], Tensor>('float8_codes'), 0, viewKind, (x, scale, dtype) =>
    scope(() => {
      const { weight, attrs } = x as ShardView;
      if (scale.numel === 1) return codesOf(weight, attrs, scale, dtype);
      return run<Tensor>('float8_codes', whole(x as ShardView), scale, dtype);
    }),
  ),
  override(named<Cast, Tensor[]>('to_float8'), 0, viewKind, (x, dtype, axis, powerOf2) =>
    scope(() => {
      if (axis !== 'all') return run<Tensor[]>('to_float8', whole(x as ShardView), dtype, axis, powerOf2);
      return cast(x as ShardView, dtype, powerOf2);
    }),
  ),
  override(named<Cast, Tensor[]>('to_float8_turned'), 0, viewKind, (x, dtype, axis, powerOf2) =>
    scope(() => {
      if (axis !== 'all') return run<Tensor[]>('to_float8_turned', whole(x as ShardView), dtype, axis, powerOf2);
      const [codes, scale] = cast(x as ShardView, dtype, powerOf2);
      return [regained(codes, x as ShardView, dtype, powerOf2), scale];
    }),
  ),
  override(named<Both, Tensor[]>('to_float8_both'), 0, viewKind, (x, dtype, axis, turnedAxis, powerOf2) =>
    scope(() => {
      const view = x as ShardView;
      if (axis !== 'all' || turnedAxis !== 'all')
        return run<Tensor[]>('to_float8_both', whole(view), dtype, axis, turnedAxis, powerOf2);
      const [codes, scale] = cast(view, dtype, powerOf2);
      return [codes, scale, regained(codes, view, dtype, powerOf2), clone(scale)];
    }),
  ),
  override(castTo, 0, viewKind, (x, dtype) => scope(() => castTo(whole(x as ShardView), dtype))),
];
