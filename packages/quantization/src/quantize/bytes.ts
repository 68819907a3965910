// Memory that tensors hold, packed or plain.
import { type Dense, isWrapped, type Module, stateDict, type Tensor } from '@ao/core';

const denseBytes = (t: Dense): number => t.numel * t.dtype.itemsize;

/** Bytes a tensor holds now; of a quantized one all its parts. */
export function tensorBytes(t: Tensor): number {
  const packed = t.packed === null ? 0 : denseBytes(t.packed.data);
  if (isWrapped(t)) return packed + Object.values(t.held).reduce((sum, part) => sum + tensorBytes(part), 0);
  return t.packed === null ? denseBytes(t as Dense) : packed;
}

/** All parameters, ties counted once. */
export function modelBytes(model: Module): number {
  return [...stateDict(model).values()].reduce((sum, t) => sum + tensorBytes(t), 0);
}
