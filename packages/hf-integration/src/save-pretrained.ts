// savePretrained(model, folder): config.json, weights (in files of at most maxShardSize) and the small files beside them; the
// folder appears, or changes, only when all is written.

import { join } from 'node:path';
import {
  AoError,
  castTo,
  keep,
  planShards,
  type RawArray,
  type SafetensorsItem,
  safetensorsIndex,
  type Tensor,
  type Wrapped,
  writeSafetensors,
} from '@ao/core';
import { pythonJson } from '@ao/quantization';
import { copyModelFiles, writeConfig } from './files/model-files.ts';
import { createFile, writeText } from './files/node-file.ts';
import { stage } from './files/stage.ts';
import { PLAIN, type Storing, storing, storingPlain, withParts } from './files/stored.ts';
import type { CausalLM } from './models/causal-lm.ts';
import type { OnProgress } from './progress.ts';
import { type TorchAoConfig, torchAoConfigToJson } from './quantize/torchao-config.ts';
import { UpcastTensor } from './upcast.ts';

export interface SaveOptions {
  /** What the model is quantized with; known where fromPretrained quantized or loaded it. */
  readonly quantizationConfig?: TorchAoConfig;
  /** Bytes; default 5 GB, as in transformers. */
  readonly maxShardSize?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const SHARD = 5_000_000_000;

export async function savePretrained(model: CausalLM, folder: string, options: SaveOptions = {}): Promise<void> {
  const { origin } = model;
  if (!origin)
    throw new AoError('ERR_AO_CONFIG', 'this model has no config to save', { fix: 'load models by fromPretrained' });
  const quantization = options.quantizationConfig ?? origin.quantization;
  const parameters = new Map([...model.namedParameters()]);
  const stored = new Map(
    [...parameters].map(([name, t]) => [
      name,
      UpcastTensor.is(t) ? storingPlain(name, t.dtype.safetensors, t.shape) : storing(name, t),
    ]),
  );
  const quantized = [...stored.values()].some((s) => s.metadata._type !== PLAIN);
  if (quantized && !quantization) {
    throw new AoError('ERR_AO_CONFIG', 'the model is quantized, but its config is not known', {
      fix: 'pass savePretrained(folder, { quantizationConfig: torchAoConfig(...) }) with what quantize_ was given',
    });
  }
  const staged = await stage(folder, { overwrite: true });
  try {
    await writeWeights(staged.folder, parameters, stored, quantized, options);
    await copyModelFiles(origin.folder, staged.folder);
    await writeConfig(origin.folder, staged.folder, {
      dtype: model.dtype.name,
      quantization_config: quantized ? torchAoConfigToJson(quantization!) : (undefined as never),
    });
    options.signal?.throwIfAborted();
    await staged.commit();
  } catch (error) {
    await staged.abort();
    throw error;
  }
}

async function writeWeights(
  folder: string,
  parameters: ReadonlyMap<string, Tensor>,
  stored: ReadonlyMap<string, Storing>,
  quantized: boolean,
  { maxShardSize = SHARD, onProgress, signal }: SaveOptions,
): Promise<void> {
  const owner = new Map<string, string>();
  for (const [name, { items }] of stored) for (const item of items) owner.set(item.name, name);
  const items = [...stored.values()].flatMap((s) => s.items);
  const shards = planShards(items, maxShardSize);
  const total = shards.reduce((n, s) => n + s.nbytes, 0);
  let loaded = 0;
  for (const { file, items: part } of shards) {
    const sink = await createFile(join(folder, file));
    const metadata = fileMetadata(part, owner, stored, quantized);
    await writeSafetensors(
      sink,
      part,
      async ({ name: key, begin, end }) => {
        const name = owner.get(key)!;
        const bytes = await bytesOf(parameters.get(name)!, stored.get(name)!.partOf.get(key)!);
        loaded += end - begin;
        onProgress?.({ phase: 'save', name, loaded, total });
        return bytes;
      },
      { metadata, ...(signal === undefined ? {} : { signal }) },
    );
  }
  if (shards.length > 1) await writeText(join(folder, 'model.safetensors.index.json'), safetensorsIndex(shards));
}

/** torchao's metadata of one file; `format` is what transformers wants to see. */
export function fileMetadata(
  items: readonly SafetensorsItem[],
  owner: ReadonlyMap<string, string>,
  stored: ReadonlyMap<string, Pick<Storing, 'metadata'>>,
  quantized: boolean,
): Record<string, string> {
  if (!quantized) return { format: 'pt' };
  const names = [...new Set(items.map((item) => owner.get(item.name)!))];
  const text = (value: unknown): string => pythonJson(value as Parameters<typeof pythonJson>[0]);
  return {
    format: 'pt',
    ...Object.fromEntries(names.map((name) => [name, text(stored.get(name)!.metadata)])),
    tensor_names: text(names),
  };
}

async function bytesOf(t: Tensor, part: string): Promise<Uint8Array> {
  if (part !== '') return withParts(t as Wrapped, async (parts) => bytes(await parts[part]!.bits()));
  // a weight that only waits in a narrower dtype is stored in its own
  const dense = UpcastTensor.is(t) ? withParts(t, ({ code }) => keep(castTo(code!, t.dtype))) : t;
  try {
    return bytes(await dense.bits());
  } finally {
    if (dense !== t) dense.dispose();
  }
}

function bytes({ buffer, byteOffset, byteLength }: RawArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
