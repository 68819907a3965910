// Quantized tensors in safetensors files, as torchao flattens them: the tensor a.b.weight of a class with parts qdata, scale
// is stored as a.b._weight_qdata, a.b._weight_scale, and the metadata under its name is
//   {"_type": CLASS, "_data": {attributes}, "_tensor_data_names": [parts]}; a plain tensor keeps its name.
import {
  AoError,
  kindByFileType,
  type Runtime,
  type SafetensorsItem,
  type Tensor,
  type TensorFile,
  Wrapped,
} from '@ao/core';
import type { Json } from '../config/read-json.ts';
import { type ReadOptions, readTensor } from './read-tensor.ts';

export const PLAIN = 'Tensor';

export interface Stored {
  readonly name: string;
  /** torchao's class, or 'Tensor'. */
  readonly type: string;
  readonly attributes: Json;
  /** Part -> its name in the file; a plain tensor has one part ''. */
  readonly keys: ReadonlyMap<string, string>;
  readonly nbytes: number;
}

/** 'a.b.weight' and 'qdata' -> 'a.b._weight_qdata'. */
export function partKey(name: string, part: string): string {
  const cut = name.lastIndexOf('.') + 1;
  return `${name.slice(0, cut)}_${name.slice(cut)}_${part}`;
}

/** Every tensor of a checkpoint by the name that its model has for it. */
export function storedTensors(file: TensorFile): Map<string, Stored> {
  const size = (key: string): number => {
    const { begin, end } = file.entry(key);
    return end - begin;
  };
  const all = new Map<string, Stored>();
  const taken = new Set<string>();
  for (const [name, text] of Object.entries(file.metadata)) {
    const meta = quantizedMeta(file.name, name, text);
    if (!meta) continue;
    const keys = new Map(meta.parts.map((part) => [part, partKey(name, part)]));
    for (const [part, key] of keys) {
      if (!file.has(key)) throw broken(file.name, name, `part ${part} is missing: the file has no ${key}`);
      taken.add(key);
    }
    const nbytes = [...keys.values()].reduce((n, key) => n + size(key), 0);
    all.set(name, { name, type: meta.type, attributes: meta.data, keys, nbytes });
  }
  for (const name of file.names) {
    if (!taken.has(name))
      all.set(name, { name, type: PLAIN, attributes: {}, keys: new Map([['', name]]), nbytes: size(name) });
  }
  return all;
}

interface Meta {
  readonly type: string;
  readonly data: Json;
  readonly parts: readonly string[];
}

/** Metadata that is no torchao entry (format, tensor_names, other tools' notes) is left alone. */
function quantizedMeta(file: string, name: string, text: string): Meta | undefined {
  if (!text.startsWith('{') || !text.includes('"_type"')) return undefined;
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch (error) {
    throw broken(file, name, `its metadata is not JSON: ${(error as Error).message}`);
  }
  const { _type: type, _data: data, _tensor_data_names: parts } = json;
  if (type === PLAIN) return undefined;
  const names = Array.isArray(parts) && parts.length > 0 && parts.every((p) => typeof p === 'string' && p !== '');
  if (typeof type !== 'string' || typeof data !== 'object' || data === null || !names) {
    throw broken(file, name, 'its metadata needs _type, _data and _tensor_data_names');
  }
  return { type, data: data as Json, parts: parts as string[] };
}

function broken(file: string, tensor: string, problem: string): AoError {
  return new AoError('ERR_AO_FORMAT', `${file}: ${problem}`, { tensor, fix: 'write the checkpoint again' });
}

/** A stored tensor on a device, as the kind that its class means. */
export async function readStored(rt: Runtime, file: TensorFile, stored: Stored, options: ReadOptions): Promise<Tensor> {
  if (stored.type === PLAIN) return readTensor(rt, file, stored.name, options);
  const kind = kindByFileType(rt.kinds.values(), stored.type);
  if (!kind?.spec.file) {
    throw new AoError('ERR_AO_FORMAT', `${file.name}: no extension in use reads tensors of class ${stored.type}`, {
      tensor: stored.name,
      fix: "add the one that does to createRuntime({ use }), for torchao's integer classes quantization() from '@ao/quantization'",
    });
  }
  const parts: Record<string, Tensor> = {};
  for (const [part, key] of stored.keys) parts[part] = await readTensor(rt, file, key, options);
  try {
    const { attrs, shape, dtype } = kind.spec.file.decode(stored.attributes, parts);
    return new Wrapped(rt, kind, parts, kind.spec.attrs(attrs), shape, dtype);
  } catch (error) {
    for (const t of Object.values(parts)) t.dispose();
    throw error;
  }
}

/** What a tensor becomes in a file: its items, where each one's bytes come from, and its metadata. */
export interface Storing {
  readonly items: readonly SafetensorsItem[];
  /** The part that an item's name stands for; '' = the tensor itself. */
  readonly partOf: ReadonlyMap<string, string>;
  readonly metadata: {
    readonly _type: string;
    readonly _data?: unknown;
    readonly _tensor_data_names?: readonly string[];
  };
}

export function storing(name: string, t: Tensor): Storing {
  if (t.kind === null) return storingPlain(name, t.dtype.safetensors, t.shape);
  const form = t.kind.spec.file;
  if (!form) {
    throw new AoError('ERR_AO_FORMAT', `tensors of kind ${t.kind.name} have no form in files`, {
      tensor: name,
      fix: 'dequantize it, or use a scheme that torchao can store',
    });
  }
  return withParts(t as Wrapped, (parts) => {
    const names = form.names(t as never);
    const item = (part: string): SafetensorsItem => {
      const { dtype, shape } = parts[part]!;
      return { name: partKey(name, part), dtype: dtype.safetensors, shape };
    };
    return {
      items: names.map(item),
      partOf: new Map(names.map((part) => [partKey(name, part), part])),
      metadata: { _type: form.type, _data: form.encode(t as never), _tensor_data_names: names },
    };
  });
}

/** The same for a tensor that is stored densely, whatever it is now. */
export function storingPlain(name: string, dtype: string, shape: readonly number[]): Storing {
  const items = [{ name, dtype, shape }];
  return { items, partOf: new Map([[name, '']]), metadata: { _type: PLAIN } };
}

/** Parts of a packed weight are unpacked copies: they go when `use` is done. */
export function withParts<T>(t: Wrapped, use: (parts: Readonly<Record<string, Tensor>>) => T): T {
  const { parts, held } = t;
  const free = (): void => {
    for (const [name, part] of Object.entries(parts)) if (held[name] !== part) part.dispose();
  };
  let result: T;
  try {
    result = use(parts);
  } catch (error) {
    free();
    throw error;
  }
  if (result instanceof Promise) return result.finally(free) as T;
  free();
  return result;
}
