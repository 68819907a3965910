// Whether calls are recorded for gradients, and tensors cut off from the graph.
import { AoError } from '../errors.ts';
import { shared } from '../identity.ts';
import { isWrapped } from '../kind.ts';
import { Dense, type Tensor, Wrapped } from '../tensor.ts';

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

/** Records again, inside noGrad. */
export const enableGrad = <T>(fn: () => T): T => withMode(0, fn);

export const isGradEnabled = (): boolean => shared().noGrad === 0;

/** The same values, sharing memory, through which no gradient flows. */
export function detach<T extends Tensor>(t: T): T {
  t.check('detach');
  if (isWrapped(t)) {
    if (t.packed !== null) {
      throw new AoError('ERR_AO_CONFIG', 'a packed weight requires no gradient and cannot be detached', {
        op: 'detach',
        fix: 'use it as it is',
      });
    }
    const parts = Object.fromEntries(Object.entries(t.parts).map(([name, part]) => [name, detach(part)]));
    return new Wrapped(t.rt, t.kind, parts, t.attrs, t.shape, t.dtype) as Tensor as T;
  }
  const d = t as Tensor as Dense;
  const out = new Dense(d.rt, d.storage, d.shape, d.dtype, d.strides, d.offset);
  out.lease = d.lease;
  return out as Tensor as T;
}
