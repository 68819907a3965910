// A state dict to one safetensors file and back, a tensor at a time.
import {
  type ByteSink,
  type ByteSource,
  type Dense,
  openSafetensors,
  type Runtime,
  readTensors,
  type SafetensorsLayout,
  type Tensor,
  writeSafetensors,
} from '@ao/core';
import {
  type FlattenOptions,
  flattenTensorStateDict,
  isMetadataTorchao,
  unflattenTensorStateDict,
} from './state-dict.ts';

/** Writes a state dict, quantized or not; with `form: 'torchao'` as torchao loads it. */
export async function writeStateDict(
  dict: ReadonlyMap<string, Tensor>,
  sink: ByteSink,
  options: FlattenOptions & { readonly signal?: AbortSignal } = {},
): Promise<SafetensorsLayout> {
  const { form, ...rest } = options;
  const { tensors, metadata } = flattenTensorStateDict(dict, form === undefined ? {} : { form });
  const items = [...tensors].map(([name, t]) => ({ name, dtype: t.dtype.safetensors, shape: t.shape }));
  const read = async ({ name }: { readonly name: string }): Promise<Uint8Array> => {
    const bits = await (tensors.get(name) as Dense).bits();
    return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
  };
  return writeSafetensors(sink, items, read, { metadata, ...rest });
}

/** Reads a file of writeStateDict, of torchao, or of plain tensors. */
export async function readStateDict(
  rt: Runtime,
  source: ByteSource,
  options: { readonly device?: string } = {},
): Promise<Map<string, Tensor>> {
  const file = await openSafetensors(source);
  const tensors = await readTensors(rt, file, options);
  if (!isMetadataTorchao(file.metadata)) return tensors;
  return (await unflattenTensorStateDict(rt, tensors, file.metadata)).dict;
}
