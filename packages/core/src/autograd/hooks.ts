// Functions called during backward: on a leaf's gradient before it is accumulated, and after.
import { intern } from '../identity.ts';
import type { Tensor } from '../tensor.ts';

export interface HookHandle {
  remove(): void;
}

type Hooks<F> = WeakMap<Tensor, Set<F>>;
type GradHook = (grad: Tensor) => Tensor | undefined;
type LeafHook = (leaf: Tensor) => void;

const before = (): Hooks<GradHook> => intern('autograd', 'hooks', () => new WeakMap());
const after = (): Hooks<LeafHook> => intern('autograd', 'post-accumulate', () => new WeakMap());

function add<F>(hooks: Hooks<F>, t: Tensor, fn: F): HookHandle {
  const set = hooks.get(t) ?? new Set<F>();
  hooks.set(t, set.add(fn));
  return { remove: () => void set.delete(fn) };
}

/** Calls fn with the leaf's gradient of each backward; what fn returns takes its place. */
export const registerHook = (leaf: Tensor, fn: GradHook): HookHandle => add(before(), leaf, fn);

/** Calls fn after a backward has brought `leaf.grad` up to date (once for each backward). */
export const registerPostAccumulateGradHook = (leaf: Tensor, fn: LeafHook): HookHandle => add(after(), leaf, fn);

type Callback = (completed: boolean) => void;
const queue = (): Callback[] => intern('autograd', 'callbacks', () => []);

/** Calls fn once at the end of the `backward` that runs now, also of one that failed: torch's queue_callback. */
export const queueCallback = (fn: Callback): void => void queue().push(fn);

export function endOfBackward(completed: boolean): void {
  for (const fn of queue().splice(0)) fn(completed);
}

export function hookedGrad(leaf: Tensor, grad: Tensor): Tensor {
  let g = grad;
  for (const fn of before().get(leaf) ?? []) g = fn(g) ?? g;
  return g;
}

export function afterAccumulate(leaf: Tensor): void {
  for (const fn of after().get(leaf) ?? []) fn(leaf);
}
