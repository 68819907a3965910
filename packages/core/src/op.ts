// Ops: the op is the public function. `meta` gives output shapes and dtypes and throws every argument error; `decompose`
// gives the same result from other ops; kernels join through extensions.

import type { DType } from './dtype.ts';
import { AoError } from './errors.ts';
import { intern, internTable } from './identity.ts';
import type { Runtime } from './runtime.ts';
import { isTensor, type Tensor } from './tensor.ts';

export type Args = readonly unknown[];

export interface Meta {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** One output, or a list of them. */
export type Outs<R, X> = R extends Tensor ? X : { [K in keyof R]: X };

export interface OpSpec<A extends Args, R> {
  meta(...args: A): Outs<NoInfer<R>, Meta>;
  decompose?(...args: A): R;
  /** Ops that only look at memory differently: makes the view, no kernel runs. */
  view?(...args: A): R;
  /** Its kernel of the reference backend, where it is not among `reference()`'s: so it is bundled with the op alone. */
  // biome-ignore lint/suspicious/noExplicitAny: erased, so that an op's type stays its arguments'
  readonly reference?: (out: any, ...args: any[]) => void;
  /** Position of the weight argument (a tensor or a list) that may arrive packed. */
  readonly weightArg?: number;
  /** Positions of the arguments that are written in place, the first of which is returned; the op's name ends in `_`. */
  readonly mutates?: number | readonly number[];
}

export interface Op<A extends Args = never, R = unknown> {
  (...args: A): R;
  readonly id: string;
  readonly spec: OpSpec<A, R>;
}

// biome-ignore lint/suspicious/noExplicitAny: the erased form of an op, as tables hold it
export type AnyOp = Op<any, any>;

/** The runtime of the first tensor among the arguments, or in a list among them. */
export function runtimeOf(id: string, args: Args): Runtime {
  for (const a of args) {
    if (isTensor(a)) return a.rt;
    if (Array.isArray(a)) for (const b of a) if (isTensor(b)) return b.rt;
  }
  throw new AoError('ERR_AO_DTYPE', `${id} got no tensor`, {
    op: id,
    fix: 'make one by tensor(rt, data), zeros(rt, shape), ...',
  });
}

/** Declares an op under a process-wide id. */
export function defineOp<A extends Args, R = Tensor>(id: string, spec: OpSpec<A, R>): Op<A, R> {
  return intern('op', id, () => {
    const op: Op<A, R> = Object.assign((...args: A): R => runtimeOf(id, args).dispatch(op as AnyOp, args) as R, {
      id,
      spec,
    });
    return op;
  });
}

/** An op by its id; undefined where nothing that was imported defines it. */
export function opById(id: string): AnyOp | undefined {
  return internTable<AnyOp>('op').get(id);
}
