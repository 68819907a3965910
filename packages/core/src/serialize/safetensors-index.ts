/**
 * A checkpoint in several files: model.safetensors.index.json says { metadata: { total_size }, weight_map: { tensor: file } }.
 * Opening reads every header, and each file must hold exactly the tensors that the index puts there.
 */
import type { ByteSource } from './bytes.ts';
import { fileTensorBytes } from './file-dtypes.ts';
import { jsonReader } from './json-reader.ts';
import { formatError } from './safetensors-header.ts';
import type { TensorFile } from './safetensors-read.ts';
import { missingTensor, openSafetensors } from './safetensors-read.ts';
import type { SafetensorsItem } from './safetensors-write.ts';
import { compareNames } from './safetensors-write.ts';

export interface SafetensorsIndex {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly weightMap: ReadonlyMap<string, string>;
  /** Each file once, sorted. */
  readonly files: readonly string[];
}

/** `file` names the index in messages. */
export function parseSafetensorsIndex(text: string, file = 'model.safetensors.index.json'): SafetensorsIndex {
  let current: string | undefined;
  const json = jsonReader(text, (problem) => {
    throw formatError(file, problem, current);
  });
  let metadata: Readonly<Record<string, unknown>> = {};
  let weightMap: Map<string, string> | undefined;
  json.object((key) => {
    if (key === 'metadata') {
      const value = json.value();
      if (typeof value !== 'object' || value === null || Array.isArray(value)) json.fail("'metadata' is no object");
      metadata = value as Record<string, unknown>;
    } else if (key === 'weight_map') {
      const map = new Map<string, string>();
      json.object((name) => {
        current = name;
        const shard = json.string();
        if (!/^[^/\\\0]+$/.test(shard) || shard === '.' || shard === '..')
          json.fail(`'${shard}' is no plain file name`);
        map.set(name, shard);
        current = undefined;
      });
      weightMap = map;
    } else {
      json.value();
    }
  });
  json.end();
  if (!weightMap) throw formatError(file, "no 'weight_map'");
  return { metadata, weightMap, files: [...new Set(weightMap.values())].sort(compareNames) };
}

/** Opens a sharded checkpoint as one file. `open` gives the source of a file beside the index. */
export function openSafetensorsIndex(
  text: string,
  open: (file: string) => ByteSource | Promise<ByteSource>,
  name = 'model.safetensors.index.json',
): Promise<TensorFile> {
  const { weightMap, files } = parseSafetensorsIndex(text, name);
  return openShards(name, weightMap, files, open);
}

async function openShards(
  name: string,
  weightMap: ReadonlyMap<string, string>,
  files: readonly string[],
  open: (file: string) => ByteSource | Promise<ByteSource>,
): Promise<TensorFile> {
  const shards = new Map<string, TensorFile>();
  for (const file of files) {
    const shard = await openSafetensors(await open(file));
    for (const tensor of shard.names) {
      if (weightMap.get(tensor) !== file) {
        const where = weightMap.has(tensor) ? `puts it in ${weightMap.get(tensor)}` : 'does not list it';
        throw formatError(file, `holds this tensor, but ${name} ${where}`, tensor);
      }
    }
    shards.set(file, shard);
  }
  for (const [tensor, file] of weightMap) {
    if (!shards.get(file)?.has(tensor)) throw formatError(file, `lacks this tensor, which ${name} puts there`, tensor);
  }
  const names = files.flatMap((file) => shards.get(file)?.names ?? []);
  const shardOf = (tensor: string): TensorFile => {
    const shard = shards.get(weightMap.get(tensor) ?? '');
    if (!shard) throw missingTensor(name, tensor, names);
    return shard;
  };
  return {
    name,
    metadata: Object.freeze(Object.assign(Object.create(null), ...[...shards.values()].map((s) => s.metadata))),
    names,
    has: (tensor) => weightMap.has(tensor),
    entry: (tensor) => shardOf(tensor).entry(tensor),
    read: async (tensor) => shardOf(tensor).read(tensor),
    readRange: async (tensor, begin, end) => shardOf(tensor).readRange(tensor, begin, end),
    locate: (tensor) => shardOf(tensor).locate(tensor),
  };
}

export interface Shard<T extends SafetensorsItem = SafetensorsItem> {
  readonly file: string;
  readonly items: readonly T[];
  readonly nbytes: number;
}

/**
 * Splits tensors into files of at most maxBytes of data, in the given order, as huggingface_hub does: a tensor larger than
 * that gets a file of its own. One file is `model.safetensors`, n are `model-00001-of-0000n.safetensors`.
 */
export function planShards<T extends SafetensorsItem>(
  items: readonly T[],
  maxBytes: number,
  stem = 'model',
): Shard<T>[] {
  const shards: { items: T[]; nbytes: number }[] = [];
  let open: { items: T[]; nbytes: number } = { items: [], nbytes: 0 };
  for (const item of items) {
    const nbytes = fileTensorBytes(item.dtype, item.shape);
    if (typeof nbytes === 'string')
      throw formatError(stem, nbytes, item.name, 'use a dtype and shape that the format has');
    if (nbytes > maxBytes) {
      shards.push({ items: [item], nbytes });
      continue;
    }
    if (open.nbytes + nbytes > maxBytes) {
      shards.push(open);
      open = { items: [], nbytes: 0 };
    }
    open.items.push(item);
    open.nbytes += nbytes;
  }
  if (open.items.length > 0 || shards.length === 0) shards.push(open);
  const five = (n: number): string => String(n).padStart(5, '0');
  const file = (i: number): string => (shards.length > 1 ? `-${five(i + 1)}-of-${five(shards.length)}` : '');
  return shards.map((shard, i) => ({ file: `${stem}${file(i)}.safetensors`, ...shard }));
}

const ascii = (text: string): string =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** The text of model.safetensors.index.json, byte for byte as transformers prints it. */
export function safetensorsIndex(shards: readonly Shard[], metadata: Readonly<Record<string, number>> = {}): string {
  const total = shards.reduce((n, shard) => n + shard.nbytes, 0);
  const facts = Object.entries({ total_size: total, ...metadata }).sort(([a], [b]) => compareNames(a, b));
  const map = shards.flatMap(({ file, items }) => items.map(({ name }) => [name, file] as const));
  map.sort(([a], [b]) => compareNames(a, b));
  const lines = (rows: readonly string[]): string => (rows.length > 0 ? `{\n    ${rows.join(',\n    ')}\n  }` : '{}');
  const head = lines(facts.map(([key, value]) => `${ascii(key)}: ${value}`));
  const body = lines(map.map(([name, file]) => `${ascii(name)}: ${ascii(file)}`));
  return `{\n  "metadata": ${head},\n  "weight_map": ${body}\n}\n`;
}
