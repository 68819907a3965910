// savePretrained(model, folder): config.json, weights (in files of at most maxShardSize) and the small files beside them; the
// folder appears, or changes, only when all is written.

import { AoError, castTo, scope, type Tensor } from '@ao/core';
import { type ConfigChanges, copyModelFiles, writeConfig } from './files/model-files.ts';
import { stage } from './files/stage.ts';
import { flattened, PLAIN, type Storing, storing, storingPlain } from './files/stored.ts';
import { writeShards } from './files/write-shards.ts';
import type { PretrainedModel } from './models/pretrained-model.ts';
import type { OnProgress } from './progress.ts';
import { type QuantizationConfigInput, torchAoConfigToJson, toTorchAoConfig } from './quantize/torchao-config.ts';
import { UpcastTensor } from './upcast.ts';

export interface SaveOptions {
  /** What the model is quantized with; known where fromPretrained quantized or loaded it. */
  readonly quantizationConfig?: QuantizationConfigInput;
  /** Bytes; default 5 GB, as in transformers. */
  readonly maxShardSize?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export async function savePretrained(model: PretrainedModel, folder: string, options: SaveOptions = {}): Promise<void> {
  const { origin } = model;
  if (!origin) {
    throw new AoError('ERR_AO_CONFIG', 'this model has no config to save', { fix: 'load models by fromPretrained' });
  }
  const given = options.quantizationConfig;
  const quantization = given === undefined ? origin.quantization : toTorchAoConfig(given, model.rt);
  const parameters = new Map([...model.namedParameters()]);
  const stored = new Map<string, Storing>();
  for (const [name, t] of parameters) {
    // a weight that only waits in a narrower dtype is stored in its own
    const plain = UpcastTensor.is(t);
    stored.set(name, plain ? storingPlain(name, t.dtype.safetensors, t.shape) : await storing(name, t));
  }
  const quantized = [...stored.values()].some((s) => !s.metadata.includes(`"${PLAIN}"`));
  if (quantized && !quantization) {
    throw new AoError('ERR_AO_CONFIG', 'the model is quantized, but its config is not known', {
      fix: 'pass savePretrained(folder, { quantizationConfig: torchAoConfig(...) }) with what quantize_ was given',
    });
  }
  const staged = await stage(folder, { overwrite: true });
  try {
    const read = async function* (key: string, name: string): AsyncGenerator<Uint8Array> {
      yield await bytesOf(name, parameters.get(name)!, key);
    };
    await writeShards(staged.folder, stored, read, options);
    await copyModelFiles(origin.folder, staged.folder);
    const tie = origin.config.json['tie_word_embeddings'];
    await writeConfig(origin.folder, staged.folder, {
      ...(origin.configChanges as ConfigChanges | undefined),
      dtype: model.dtype.name,
      // transformers reads the older name too; two would contradict each other
      torch_dtype: undefined,
      ...(typeof tie === 'boolean' ? { tie_word_embeddings: tie } : {}),
      quantization_config: quantized ? torchAoConfigToJson(quantization!, model.rt) : undefined,
    });
    options.signal?.throwIfAborted();
    await staged.commit();
  } catch (error) {
    await staged.abort();
    throw error;
  }
}

/** The bytes of the item `key` of a parameter. */
async function bytesOf(name: string, t: Tensor, key: string): Promise<Uint8Array> {
  const dense = UpcastTensor.is(t) ? scope(() => castTo(t.parts['code']!, t.dtype)) : t;
  try {
    return await flattened(name, dense, async (tensors) => {
      const { buffer, byteOffset, byteLength } = await tensors.get(key)!.bits();
      return new Uint8Array(buffer, byteOffset, byteLength);
    });
  } finally {
    if (dense !== t) dense.dispose();
  }
}
