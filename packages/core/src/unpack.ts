// The plain form of a packed tensor, made anew from the packed bytes.
import { isWrapped } from './kind.ts';
import { type Tensor, Wrapped } from './tensor.ts';

/** The same tensor with plain bytes; `t` itself where it is not packed. */
export function unpackedOf(t: Tensor): Tensor {
  if (t.packed === null) return t;
  if (!isWrapped(t)) return t.packed.unpack().codes;
  return new Wrapped(t.rt, t.kind, { ...t.parts }, t.attrs, t.shape, t.dtype);
}
