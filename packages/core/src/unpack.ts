// The plain form of a packed tensor, made anew from the packed bytes; and tensors that share memory but not their lives.
import { isWrapped } from './kind.ts';
import { Dense, type Tensor, Wrapped } from './tensor.ts';

/** A tensor on the same memory, which lives until both are disposed. A packed one comes plain. */
export function alias(t: Tensor): Tensor {
  if (t.packed !== null) return unpackedOf(t);
  if (isWrapped(t)) return rewrapped(t, t.parts, t.held);
  const d = t as Dense;
  const out = new Dense(d.rt, d.storage, d.shape, d.dtype, d.strides, d.offset);
  out.lease = d.lease;
  return out;
}

/** t's kind over `parts`; those that t holds itself are shared. */
function rewrapped(
  t: Wrapped,
  parts: Readonly<Record<string, Tensor>>,
  held: Readonly<Record<string, Tensor>>,
): Wrapped {
  const own: Record<string, Tensor> = {};
  for (const [name, part] of Object.entries(parts)) own[name] = held[name] === part ? alias(part) : part;
  return new Wrapped(t.rt, t.kind, own, t.attrs, t.shape, t.dtype);
}

/** The same tensor with plain bytes; `t` itself where it is not packed. */
export function unpackedOf(t: Tensor): Tensor {
  if (t.packed === null) return t;
  if (!isWrapped(t)) return t.packed.unpack().codes;
  return rewrapped(t, t.parts, t.held);
}
