// Keys and values in a safetensors file: ids int32 [n]; of layer i keys.i and values.i [1, Hkv, n, D] in the cache's dtype, or code
// rows. Its metadata names the model by a hash, as what another model computed is not used, and the cache's format.
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import {
  copy_,
  dtypeBySafetensors,
  fromBits,
  int32,
  isDense,
  openSafetensors,
  scope,
  slice,
  type Tensor,
  writeSafetensors,
} from '@ao/core';
import { createFile, openFile } from '../files/node-file.ts';
import type { PastKeyValues } from '../generate/past-key-values.ts';
import { isCacheFormat, type KVCacheFormat } from '../models/cache-layout.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { KVCache } from '../models/kv-cache.ts';
import { torchAoConfigToJson } from '../quantize/torchao-config.ts';

export async function saveCache(past: PastKeyValues, path: string): Promise<void> {
  const { ids, cache } = past;
  const held = new Map(parts(cache!).map(([name, t]) => [name, t]));
  const items = [...held].map(([name, t]) => {
    const [b, heads, , d] = t.shape as [number, number, number, number];
    return { name, shape: [b, heads, ids.length, d], dtype: t.dtype.safetensors };
  });
  const bytesOf = async (name: string): Promise<Uint8Array> => {
    const t = held.get(name);
    if (t === undefined) return bytes(Int32Array.from(ids));
    using part = slice(t, 2, 0, ids.length);
    return bytes(await part.bits());
  };
  await writeSafetensors(
    await createFile(path),
    [{ name: 'ids', shape: [ids.length], dtype: int32.safetensors }, ...items],
    ({ name }) => bytesOf(name),
    {
      metadata: {
        format: 'ao-kv-cache',
        model: await fingerprint(past.model),
        kv_cache: JSON.stringify(cache!.format),
      },
    },
  );
}

/** Fills `past`; where the file is another model's, or is not there, the runtime says so and nothing is filled. */
export async function loadCache(past: PastKeyValues, path: string): Promise<void> {
  const { rt, device } = past.model;
  const say = (reason: string): void =>
    rt.say({ level: 'warn', code: 'kv-cache', message: `${path} ${reason}: the conversation is read anew` });
  if (!(await stat(path).catch(() => undefined))) return say('is not there');
  const source = await openFile(path);
  try {
    const file = await openSafetensors(source);
    if (file.metadata['model'] !== (await fingerprint(past.model))) return say('was made by another model');
    const stored = await file.read('ids');
    const ids = new Int32Array(stored.buffer, stored.byteOffset, stored.byteLength / 4);
    const format = formatOf(file.metadata['kv_cache']);
    if (format === undefined) return say('keeps its numbers in a way that is not known');
    await past.fill([...ids], format, async (cache) => {
      for (const [name, t] of parts(cache)) {
        const { shape, dtype } = file.entry(name);
        const values = fromBits(rt, await file.read(name), shape, dtypeBySafetensors(dtype), { device });
        scope(() => copy_(slice(t, 2, 0, ids.length), values));
        values.dispose();
      }
    });
  } finally {
    await source.close();
  }
}

function formatOf(json: string | undefined): KVCacheFormat | undefined {
  try {
    const format: unknown = JSON.parse(json ?? 'null');
    return isCacheFormat(format) ? format : undefined;
  } catch {
    return undefined;
  }
}

function parts({ keys, values }: KVCache): [name: string, t: Tensor][] {
  return [
    ...keys.map((t, i) => [`keys.${i}`, t] as [string, Tensor]),
    ...values.map((t, i) => [`values.${i}`, t] as [string, Tensor]),
  ];
}

function bytes({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Of the folder, the config, the scheme and the vectors of weights: equal for equal models, in one place on one machine. */
async function fingerprint(model: CausalLM): Promise<string> {
  const hash = createHash('sha256');
  const { origin } = model;
  const scheme = origin?.quantization && torchAoConfigToJson(origin.quantization, model.rt);
  hash.update(JSON.stringify([origin?.folder, origin?.config.json, scheme, model.dtype.name]));
  for (const [name, t] of model.namedParameters()) {
    if (t.ndim === 1 && isDense(t) && t.packed === null) hash.update(name).update(bytes(await t.bits()));
  }
  return hash.digest('hex');
}
