// Random words by element: word i % 4 of Philox at counter i / 4, under a state tensor int32 [2] of seed and call.
import { int32 } from './dtypes/index.ts';
import { requireDtype, requireShape, shapeError } from './ops/checks.ts';
import { philox } from './philox.ts';
import { isDense, type Tensor } from './tensor.ts';

/** n words (uint32). */
export function randomWords(seed: number, call: number, n: number): Uint32Array {
  const words = new Uint32Array(4 * Math.ceil(n / 4));
  for (let i = 0; i < words.length; i += 4) words.set(philox(seed, i / 4, call), i);
  return words.subarray(0, n);
}

/** `state` of an op that draws numbers and raises its call by one, in place. */
export function requireState(op: string, state: Tensor): void {
  requireDtype(op, 'state', state, [int32]);
  requireShape(op, 'state', state, [2]);
  if (!isDense(state) || !state.contiguous)
    throw shapeError(op, 'state is written in place: it must be contiguous', 'clone(state)');
}
