// State dicts in torchao's safetensors form: a quantized tensor "a.b.weight" becomes the tensors "a.b._weight_qdata", ... and
// one JSON string of metadata under its name; "tensor_names" lists all. Names, order and text equal torchao's.
import {
  AoError,
  type Dense,
  fileFormOf,
  isWrapped,
  kindByFileType,
  type Runtime,
  type Tensor,
  Wrapped,
} from '@ao/core';
import { type Json, pythonJson } from '../config/python-json.ts';
import { requireTorchaoForm } from './torchao-form.ts';

export interface FlatStateDict {
  readonly tensors: Map<string, Dense>;
  readonly metadata: Record<string, string>;
}

export interface UnflatStateDict {
  readonly dict: Map<string, Tensor>;
  /** Tensors that no complete entry of the metadata uses: parts of tensors that other shards hold. */
  readonly leftover: Map<string, Dense>;
}

/** "a.b.weight" -> "a.b._weight_"; torchao fails on a name without a dot, here it is "_weight_". */
function prefixOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return `${name.slice(0, dot + 1)}_${name.slice(dot + 1)}_`;
}

export interface FlattenOptions {
  /**
   * 'ao' (default): each kind's own form, which may be ours alone and smaller. 'torchao': one that torchao loads, else
   * ERR_AO_FORMAT naming the tensor.
   */
  readonly form?: 'ao' | 'torchao';
}

/** Plain tensors and metadata for a safetensors file; a packed weight gives its plain parts. */
export function flattenTensorStateDict(
  dict: ReadonlyMap<string, Tensor>,
  { form = 'ao' }: FlattenOptions = {},
): FlatStateDict {
  const tensors = new Map<string, Dense>();
  const metadata: Record<string, string> = {};
  for (const [name, t] of dict) {
    metadata[name] = pythonJson(isWrapped(t) ? flattenWrapped(name, t, tensors, form) : { _type: 'Tensor' });
    if (!isWrapped(t)) tensors.set(name, t as Dense);
  }
  metadata.tensor_names = pythonJson([...dict.keys()]);
  return { tensors, metadata };
}

/** Puts the plain parts of t into `tensors`; the entry of a part that is of a kind itself stands in `_data` under its name. */
function flattenWrapped(name: string, t: Wrapped, tensors: Map<string, Dense>, form: 'ao' | 'torchao'): Json {
  const file = form === 'torchao' ? requireTorchaoForm(name, t) : fileFormOf(t);
  if (file === undefined) {
    throw new AoError('ERR_AO_FORMAT', `a tensor of kind ${t.kind.name} has no form in a file`, {
      tensor: name,
      fix: 'dequantize it first',
    });
  }
  const names = file.names(t as never);
  const parts = file.store?.(t as never) ?? t.parts;
  const { ao, ...own } = file.encode(t as never) as Record<string, Json>;
  const data: Record<string, Json> = own;
  for (const part of names) {
    const value = parts[part] as Tensor;
    if (isWrapped(value)) data[part] = flattenWrapped(prefixOf(name) + part, value, tensors, form);
    else tensors.set(prefixOf(name) + part, value as Dense);
  }
  const json = { _type: file.type, _data: data, _tensor_data_names: names };
  return ao === undefined ? json : { ...json, ao };
}

interface Entry {
  readonly _type?: string;
  readonly _data?: Readonly<Record<string, unknown>>;
  readonly _tensor_data_names?: readonly string[];
  readonly ao?: unknown;
}

function parse(name: string, text: string | undefined): Entry {
  try {
    return JSON.parse(text ?? '') as Entry;
  } catch (cause) {
    throw new AoError('ERR_AO_FORMAT', 'its metadata is no JSON', {
      tensor: name,
      fix: 'the file is damaged: save the model again',
      cause,
    });
  }
}

function tensorNames(metadata: Readonly<Record<string, string>>): string[] {
  const names = parse('tensor_names', metadata.tensor_names) as unknown;
  if (Array.isArray(names) && names.every((n) => typeof n === 'string')) return names as string[];
  throw new AoError('ERR_AO_FORMAT', 'tensor_names is no list of names', {
    fix: 'the file is damaged: save the model again',
  });
}

/** True for the metadata of a file that torchao or this package wrote, whatever kinds it names. */
export function isMetadataTorchao(metadata: Readonly<Record<string, string>> | undefined): boolean {
  if (metadata?.tensor_names === undefined) return false;
  try {
    const names = tensorNames(metadata);
    return names.length > 0 && names.every((name) => typeof parse(name, metadata[name])._type === 'string');
  } catch {
    return false;
  }
}

/** Names in a file of the parts of one tensor, by its metadata; of a plain tensor its own name. */
export function fileNamesOf(name: string, metadata: Readonly<Record<string, string>>): string[] {
  return fileNames(name, parse(name, metadata[name]));
}

function fileNames(name: string, entry: Entry): string[] {
  if (entry._type === 'Tensor') return [name];
  return (entry._tensor_data_names ?? []).flatMap((part) => {
    const inner = nested(entry, part);
    return inner ? fileNames(prefixOf(name) + part, inner) : [prefixOf(name) + part];
  });
}

/** The entry of a part that is of a kind itself. */
function nested(entry: Entry, part: string): Entry | undefined {
  const inner = entry._data?.[part] as Entry | null | undefined;
  return Array.isArray(inner?._tensor_data_names) ? inner : undefined;
}

/** One tensor from its parts, by file name; undefined where one of them is missing. */
export async function unflattenTensor(
  rt: Runtime,
  name: string,
  metadata: Readonly<Record<string, string>>,
  tensors: ReadonlyMap<string, Dense>,
): Promise<Tensor | undefined> {
  return unflattenEntry(rt, name, parse(name, metadata[name]), tensors);
}

async function unflattenEntry(
  rt: Runtime,
  name: string,
  entry: Entry,
  tensors: ReadonlyMap<string, Dense>,
): Promise<Tensor | undefined> {
  if (entry._type === 'Tensor') return tensors.get(name);
  const found = kindByFileType(rt.kinds.values(), entry._type ?? '');
  if (found === undefined) {
    throw new AoError('ERR_AO_FORMAT', `no extension in use reads a ${entry._type}`, {
      tensor: name,
      fix: `add the extension that has it to createRuntime({ use }), e.g. quantization() from '@ao/quantization'; known: ${[...rt.kinds.keys()].join(', ') || 'none'}`,
    });
  }
  const { kind, form } = found;
  const stored: Record<string, Tensor> = {};
  for (const part of entry._tensor_data_names ?? []) {
    const inner = nested(entry, part);
    const key = prefixOf(name) + part;
    const t = inner ? await unflattenEntry(rt, key, inner, tensors) : tensors.get(key);
    if (t === undefined) return undefined;
    stored[part] = t;
  }
  const json = { ...entry._data, ...(entry.ao !== undefined && { ao: entry.ao }) };
  const { attrs, shape, dtype, parts = stored } = form.decode(json, stored);
  if (parts !== stored) {
    for (const t of Object.values(stored)) if (!Object.values(parts).includes(t)) t.dispose();
    return new Wrapped(rt, kind, { ...parts }, kind.spec.attrs(attrs), shape, dtype);
  }
  // torchao stores zero points of 0 too
  const known =
    'symmetric' in (attrs as object) && (await isZero(stored.zero_point))
      ? { ...(attrs as object), symmetric: true }
      : attrs;
  return new Wrapped(rt, kind, stored, kind.spec.attrs(known), shape, dtype);
}

async function isZero(zero: Tensor | undefined): Promise<boolean> {
  return zero !== undefined && zero.dtype.category === 'int' && (await zero.data()).every((z) => z === 0);
}

/** The inverse of flattenTensorStateDict; parts whose tensor is not complete stay in `leftover`, so shards work. */
export async function unflattenTensorStateDict(
  rt: Runtime,
  tensors: ReadonlyMap<string, Dense>,
  metadata: Readonly<Record<string, string>>,
): Promise<UnflatStateDict> {
  const dict = new Map<string, Tensor>();
  const leftover = new Map(tensors);
  for (const name of tensorNames(metadata)) {
    const t = await unflattenTensor(rt, name, metadata, tensors);
    if (t === undefined) continue;
    dict.set(name, t);
    for (const used of fileNamesOf(name, metadata)) leftover.delete(used);
  }
  return { dict, leftover };
}
