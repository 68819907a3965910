// asTorchao(name, t): the entries that torchao's own file has for a quantized tensor, and each of them by its name. What torchao
// cannot load is an error that names the tensor.
import type { Dense, Tensor } from '@ao/core';
import { flattenTensorStateDict } from '@ao/quantization';
import type { Storing } from '../files/stored.ts';

export interface TorchaoForm {
  readonly storing: Storing;
  make(t: Tensor, key: string): Tensor;
}

/** `outline` has shapes and dtypes; its numbers do not matter. */
export function asTorchao(name: string, outline: Tensor): TorchaoForm {
  const flat = (t: Tensor) => flattenTensorStateDict(new Map([[name, t]]), { form: 'torchao' });
  const { tensors, metadata } = flat(outline);
  const items = [...tensors].map(([key, { dtype, shape }]) => ({ name: key, dtype: dtype.safetensors, shape }));
  return {
    storing: { items, metadata: metadata[name]! },
    make: (t, key) => flat(t).tensors.get(key) as Dense,
  };
}
