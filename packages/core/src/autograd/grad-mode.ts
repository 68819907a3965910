// Whether calls are recorded for gradients, and tensors cut off from the graph.
import { AoError } from '../errors.ts';
import { shared } from '../identity.ts';
import type { Tensor } from '../tensor.ts';
import { alias } from '../unpack.ts';

function withMode<T>(depth: number, fn: () => T): T {
  const s = shared();
  const outer = s.noGrad;
  s.noGrad = depth;
  try {
    const result = fn();
    if (typeof (result as { then?: unknown } | null)?.then !== 'function') return result;
  } finally {
    s.noGrad = outer;
  }
  throw new AoError('ERR_AO_CONFIG', 'noGrad and enableGrad take a synchronous function, this one returned a promise', {
    fix: 'await outside of it',
  });
}

/** Runs fn without recording: what it makes requires no gradient. */
export const noGrad = <T>(fn: () => T): T => withMode(1, fn);

/** Runs fn without recording, because it will run again for that: what draws from a generator while training draws. */
export const recordLater = <T>(fn: () => T): T => withMode(2, fn);

/** Records again, inside noGrad. */
export const enableGrad = <T>(fn: () => T): T => withMode(0, fn);

export const isGradEnabled = (): boolean => shared().noGrad === 0;

/** Whether this call is part of training: it is recorded, or `checkpoint` will record it when it runs it again. */
export const isTraining = (): boolean => shared().noGrad !== 1;

/** The same values, sharing memory, through which no gradient flows; a packed weight comes plain. */
export function detach<T extends Tensor>(t: T): T {
  t.check('detach');
  return alias(t) as T;
}
