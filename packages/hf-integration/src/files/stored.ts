// Tensors of a checkpoint by the names that its model has for them: a plain tensor is one entry of the file, a quantized one
// several and a line of metadata (torchao's form, see @ao/quantization).
import {
  AoError,
  type Dense,
  type Runtime,
  type SafetensorsItem,
  type Tensor,
  type TensorFile,
  type Wrapped,
} from '@ao/core';
import { fileNamesOf, flattenTensorStateDict, unflattenTensor } from '@ao/quantization';
import { type ReadOptions, readTensor } from './read-tensor.ts';

export const PLAIN = 'Tensor';

export interface Stored {
  readonly name: string;
  /** torchao's class, or 'Tensor'. */
  readonly type: string;
  /** Its entries in the file. */
  readonly keys: readonly string[];
  readonly nbytes: number;
}

export function storedTensors(file: TensorFile): Map<string, Stored> {
  const size = (key: string): number => {
    const { begin, end } = file.entry(key);
    return end - begin;
  };
  const all = new Map<string, Stored>();
  const taken = new Set<string>();
  const put = (name: string, type: string, keys: readonly string[]): void => {
    const nbytes = keys.reduce((n, key) => n + size(key), 0);
    all.set(name, { name, type, keys, nbytes });
  };
  for (const [name, text] of Object.entries(file.metadata)) {
    const type = classOf(text);
    if (type === undefined || type === PLAIN) continue;
    const keys = fileNamesOf(name, file.metadata);
    const absent = keys.find((key) => !file.has(key));
    if (absent !== undefined || keys.length === 0) {
      throw new AoError('ERR_AO_FORMAT', `${file.name} lacks ${absent ?? 'all parts'} of this ${type}`, {
        tensor: name,
        fix: 'write the checkpoint again',
      });
    }
    for (const key of keys) taken.add(key);
    put(name, type, keys);
  }
  for (const name of file.names) if (!taken.has(name)) put(name, PLAIN, [name]);
  return all;
}

/** Metadata that is no tensor's (format, tensor_names, other tools' notes) gives undefined. */
function classOf(text: string): string | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const { _type: type } = JSON.parse(text) as { readonly _type?: unknown };
    return typeof type === 'string' ? type : undefined;
  } catch {
    return undefined;
  }
}

/** A stored tensor on a device, as the kind that its class means. */
export async function readStored(rt: Runtime, file: TensorFile, stored: Stored, options: ReadOptions): Promise<Tensor> {
  if (stored.type === PLAIN) return readTensor(rt, file, stored.name, options);
  const parts = new Map<string, Dense>();
  try {
    for (const key of stored.keys) parts.set(key, await readTensor(rt, file, key, options));
    return (await unflattenTensor(rt, stored.name, file.metadata, parts))!;
  } catch (error) {
    for (const t of parts.values()) t.dispose();
    throw error;
  }
}

/** What a tensor becomes in a file. */
export interface Storing {
  readonly items: readonly SafetensorsItem[];
  /** Its line of metadata. */
  readonly metadata: string;
}

export function storingPlain(name: string, dtype: string, shape: readonly number[]): Storing {
  return { items: [{ name, dtype, shape }], metadata: JSON.stringify({ _type: PLAIN }).replace(':', ': ') };
}

/** Calls `use` with the plain tensors of t by their names in a file; copies of a packed weight go when it is done. */
export async function flattened<T>(
  name: string,
  t: Tensor,
  use: (tensors: ReadonlyMap<string, Dense>, metadata: string) => T | Promise<T>,
): Promise<T> {
  const { tensors, metadata } = flattenTensorStateDict(new Map([[name, t]]));
  const held = new Set(heldIn(t));
  try {
    return await use(tensors, metadata[name]!);
  } finally {
    for (const part of tensors.values()) if (!held.has(part)) part.dispose();
  }
}

/** The plain tensors that t is made of, those of kinds in it too. */
const heldIn = (t: Tensor): Tensor[] => (t.kind === null ? [t] : Object.values((t as Wrapped).held).flatMap(heldIn));

export function storing(name: string, t: Tensor): Promise<Storing> {
  return flattened(name, t, (tensors, metadata) => ({
    items: [...tensors].map(([key, { dtype, shape }]) => ({ name: key, dtype: dtype.safetensors, shape })),
    metadata,
  }));
}

/** torchao's metadata of one file; `format` is what transformers wants to see. */
export function fileMetadata(
  items: readonly SafetensorsItem[],
  owner: ReadonlyMap<string, string>,
  stored: ReadonlyMap<string, Storing>,
): Record<string, string> {
  const names = [...new Set(items.map((item) => owner.get(item.name)!))];
  const lines = names.map((name) => [name, stored.get(name)!.metadata] as const);
  if ([...stored.values()].every((s) => s.metadata.includes(`"${PLAIN}"`))) return { format: 'pt' };
  const list = `[${names.map((name) => JSON.stringify(name)).join(', ')}]`;
  return { format: 'pt', ...Object.fromEntries(lines), tensor_names: list };
}

/** Which tensor an item of a file belongs to. */
export function ownersOf(stored: ReadonlyMap<string, Storing>): Map<string, string> {
  return new Map([...stored].flatMap(([name, { items }]) => items.map((item) => [item.name, name] as const)));
}
