// Vector-Jacobian products: an op's rule sees a call and returns the function that turns gradients of its outputs into
// gradients of its arguments.
import type { VjpEntry } from '../extension.ts';
import type { AnyOp, Args, Op, Outs } from '../op.ts';
import type { Tensor } from '../tensor.ts';

export interface VjpContext {
  /** Whether argument i (or, in a list, its element) requires a gradient. */
  needs(i: number, element?: number): boolean;
  /**
   * Keeps a tensor for backward, which reads it by calling the result: throws where it was changed in place since. Only
   * what was saved may be read in backward; shapes and dtypes may be read anyway.
   */
  save<T extends Tensor | undefined>(t: T): () => T;
  /** What the `forward` of the entry returned behind the op's own output. */
  readonly besides: readonly Tensor[];
}

/** One for each argument; null (or missing) where there is none. A list argument has a list. */
export type Grads = readonly (Tensor | null | undefined | readonly (Tensor | null)[])[];

/** Backward runs without recording and inside a scope. An output that nothing used has a gradient of zeros. */
export type Vjp<A extends Args, R> = (ctx: VjpContext, out: R, ...args: A) => (grad: Outs<R, Tensor>) => Grads;

/**
 * An op's derivative, for an extension's entries. Gradients are dense, in the argument's shape and dtype. `forward` takes the op's arguments and
 * runs in its place where a gradient is required: its first output is the op's, the others are `besides` of the rule.
 */
export function vjp<A extends Args, R>(op: Op<A, R>, rule: Vjp<A, R>, forward?: Op<A, [R, ...Tensor[]]>): VjpEntry {
  const entry = { type: 'vjp', op: op as unknown as AnyOp, run: rule } as const;
  return forward === undefined ? entry : { ...entry, forward: forward as unknown as AnyOp };
}
