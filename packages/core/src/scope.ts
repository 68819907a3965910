// Scopes: every tensor made inside fn is disposed at its end, except what fn returns and what was kept.
import { AoError } from './errors.ts';
import { shared } from './identity.ts';
import { isTensor, type Tensor, track } from './tensor.ts';

function collect(value: unknown, found: Set<Tensor>): void {
  if (isTensor(value)) {
    found.add(value);
  } else if (Array.isArray(value)) {
    for (const v of value) collect(v, found);
  } else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    for (const v of Object.values(value)) collect(v, found);
  }
}

/**
 * Runs a synchronous fn; tensors in its result (also in arrays and plain objects) outlive it.
 * Throws ERR_AO_CONFIG where fn returns a promise.
 */
export function scope<T>(fn: () => T): T {
  const { scopes } = shared();
  const made: Tensor[] = [];
  scopes.push(made);
  const keep = new Set<Tensor>();
  let result: T;
  try {
    result = fn();
    if (typeof (result as { then?: unknown } | null)?.then === 'function') {
      throw new AoError('ERR_AO_CONFIG', 'scope takes a synchronous function, this one returned a promise', {
        fix: 'await outside the scope, or dispose by `using`',
      });
    }
    collect(result, keep);
  } finally {
    scopes.pop();
    for (const t of made) {
      if (t.disposed) continue;
      if (keep.has(t)) track(t);
      else if (t.kept) t.guard();
      else t.dispose();
    }
  }
  return result;
}

/** Takes a tensor out of its scope: it lives until disposed or collected. */
export function keep<T extends Tensor>(t: T): T {
  t.kept = true;
  return t;
}
