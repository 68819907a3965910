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
}

/** One for each argument; null (or missing) where there is none. A list argument has a list. */
export type Grads = readonly (Tensor | null | undefined | readonly (Tensor | null)[])[];

/** Backward runs without recording and inside a scope. An output that nothing used has a gradient of zeros. */
export type Vjp<A extends Args, R> = (ctx: VjpContext, out: R, ...args: A) => (grad: Outs<R, Tensor>) => Grads;

/** An op's derivative, for an extension's entries. Gradients are dense, in the argument's shape and dtype. */
export function vjp<A extends Args, R>(op: Op<A, R>, rule: Vjp<A, R>): VjpEntry {
  return { type: 'vjp', op: op as unknown as AnyOp, run: rule };
}
