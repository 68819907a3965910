// readTensors: every tensor of a file, as it is stored.
import { fromBits } from '../create.ts';
import { dtypeBySafetensors } from '../dtypes/index.ts';
import type { Runtime } from '../runtime.ts';
import type { Dense } from '../tensor.ts';
import type { TensorFile } from './safetensors-read.ts';

/** The tensors of a file by name, one read after the other, on a device (the runtime's unless given). */
export async function readTensors(
  rt: Runtime,
  file: TensorFile,
  options: { readonly device?: string } = {},
): Promise<Map<string, Dense>> {
  const tensors = new Map<string, Dense>();
  for (const name of file.names) {
    const { dtype, shape } = file.entry(name);
    tensors.set(name, fromBits(rt, await file.read(name), shape, dtypeBySafetensors(dtype), options));
  }
  return tensors;
}
