// Tensors between devices and runtimes: plain bytes, part by part for kinds.
import { fromBits } from './create.ts';
import { isWrapped } from './kind.ts';
import type { Runtime } from './runtime.ts';
import { type Dense, type Tensor, Wrapped } from './tensor.ts';

/** A copy of t on a device (of another runtime, where given); t itself where it is there. A packed weight arrives plain. */
export async function to<T extends Tensor>(t: T, device: string, rt: Runtime = t.rt): Promise<T> {
  if (t.device === device && t.rt === rt) return t;
  if (isWrapped(t)) {
    const parts: Record<string, Tensor> = {};
    for (const [name, part] of Object.entries(t.parts)) parts[name] = await to(part, device, rt);
    return new Wrapped(rt, t.kind, parts, t.attrs, t.shape, t.dtype) as Tensor as T;
  }
  const bits = await t.bits();
  return fromBits(rt, bits, t.shape, t.dtype, { device }) as Dense as Tensor as T;
}

/** The values of a kind as a dense tensor; a dense tensor as it is. */
export function dequantize(t: Tensor): Tensor {
  return t.rt.dequantize(t);
}
