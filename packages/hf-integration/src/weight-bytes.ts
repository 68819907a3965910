// weightBytes(model): bytes that the parameters take on their device, shared ones once, packed ones as packed.
import { isWrapped, type Module, type Tensor } from '@ao/core';

export function weightBytes(model: Module): number {
  return model.parameters().reduce((sum, t) => sum + tensorBytes(t), 0);
}

export function tensorBytes(t: Tensor): number {
  const packed = t.packed === null ? 0 : t.packed.data.numel * t.packed.data.dtype.itemsize;
  if (isWrapped(t)) return Object.values(t.held).reduce((sum, part) => sum + tensorBytes(part), packed);
  return packed || t.numel * t.dtype.itemsize;
}
