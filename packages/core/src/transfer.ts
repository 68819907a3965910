// Tensors between devices and runtimes: plain bytes, part by part for kinds.
import { empty, fromBits } from './create.ts';
import { AoError } from './errors.ts';
import { isWrapped } from './kind.ts';
import type { Runtime, RuntimeImpl } from './runtime.ts';
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

/**
 * A dense t on another device of its runtime; t itself where it is there. Between native backends it is queued behind what both have to
 * do, also inside a capture; where one is the reference backend it waits for t. Gradients do not flow back: throws ERR_AO_DEVICE for what
 * requires them.
 */
export function toDevice(t: Tensor, device: string): Tensor {
  if (t.device === device) return t;
  const rt = t.rt as RuntimeImpl;
  if (isWrapped(t) || t.packed !== null || t.requiresGrad) {
    const what = t.requiresGrad ? 'a tensor that requires gradients' : 'a weight';
    throw new AoError('ERR_AO_DEVICE', `toDevice of ${what} from ${t.device} to ${device}`, {
      op: 'toDevice',
      fix: 'keep what is trained on one device; move weights by await to(t, device)',
    });
  }
  const from = rt.contiguous(t as Dense);
  const out = empty(rt, t.shape, { dtype: t.dtype, device });
  const { storage } = from;
  const [offset, nbytes] = [from.offset * t.dtype.itemsize, t.numel * t.dtype.itemsize];
  rt.recording?.retain([from]);
  const outer = rt.currentOp;
  rt.currentOp = 'toDevice';
  try {
    const { backend, buffer } = out.storage;
    if (backend.copyFrom?.(storage.backend, storage.buffer, offset, buffer, 0, nbytes) !== true) {
      for (const b of [storage.backend, backend]) rt.checkReadable(b, 'toDevice');
      backend.write(buffer, 0, storage.backend.readSync(storage.buffer, offset, nbytes));
    }
  } finally {
    rt.currentOp = outer;
    if (from !== t) from.dispose();
  }
  return out;
}

/** The values of a kind as a dense tensor; a dense tensor as it is. */
export function dequantize(t: Tensor): Tensor {
  return t.rt.dequantize(t);
}
