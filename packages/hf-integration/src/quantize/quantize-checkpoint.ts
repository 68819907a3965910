// quantizeCheckpoint(name, output): disk to disk, one tensor at a time: read, quantize, spool; then the files in their final
// order. Memory: one tensor and its quantized form. The output appears whole: weights first, config.json last.

import { resolve } from 'node:path';
import {
  AoError,
  dtypeBySafetensors,
  keep,
  type Runtime,
  type SafetensorsItem,
  scope,
  type TensorFile,
} from '@ao/core';
import { decibels, errorNorms, type QuantizeReport, type TensorPlan } from '@ao/quantization';
import { autoRuntime } from '../auto-runtime.ts';
import { type ModelConfig, readModelConfig } from '../config/model-config.ts';
import { aliased } from '../files/aliased.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { type ConfigChanges, copyModelFiles, writeConfig } from '../files/model-files.ts';
import { piecesOf, readTensor, sizeOf } from '../files/read-tensor.ts';
import { Spool } from '../files/spool.ts';
import { stage } from '../files/stage.ts';
import { flattened, type Storing, storedTensors, storingPlain } from '../files/stored.ts';
import { writeShards } from '../files/write-shards.ts';
import type { HubOptions } from '../hub/options.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { checkDtypes } from '../load/check-dtypes.ts';
import { checkNames } from '../load/check-names.ts';
import { familyOf, type ModelFamily, outlineOf } from '../models/family.ts';
import type { Outlined } from '../models/untie.ts';
import { outlineFor, planQuantization } from './plan.ts';
import { type Outcome, report } from './report.ts';
import { tensorPlans } from './tensor-plans.ts';
import {
  type QuantizationConfigInput,
  type TorchAoConfig,
  torchAoConfigToJson,
  toTorchAoConfig,
} from './torchao-config.ts';

export interface QuantizeCheckpointOptions extends HubOptions {
  readonly quantizationConfig: QuantizationConfigInput;
  readonly runtime?: Runtime;
  readonly device?: string;
  /** Replace the model that the output folder holds. */
  readonly overwrite?: boolean;
  readonly maxShardSize?: number;
}

export async function quantizeCheckpoint(
  name: string,
  output: string,
  options: QuantizeCheckpointOptions,
): Promise<QuantizeReport> {
  const { device = 'auto', onProgress, signal, maxShardSize } = options;
  const quantization = toTorchAoConfig(options.quantizationConfig, options.runtime);
  const folder = await resolveModel(name, 'model', options);
  const { family, stated, config, outline: all, sources } = await readOutline(folder, quantization);
  if (resolve(folder) === resolve(output)) {
    throw new AoError('ERR_AO_CONFIG', 'the output folder is the model’s own', { fix: 'give another folder' });
  }
  await using checkpoint = await openCheckpoint(folder, all);
  const tensors = aliased(checkpoint.tensors, sources);
  const outline = outlineOf(all, (name) => tensors.has(name));
  const plan = planQuantization(outline, quantization);
  checkNames(family, outline, new Map(tensors.names.map((n) => [n, tensors.entry(n).shape])), folder);
  checkDtypes(outline, tensors, storedTensors(tensors), folder);
  const rt = options.runtime ?? (await autoRuntime({ device }));
  const plans = tensorPlans(rt, plan, (name) => dtypeBySafetensors(tensors.entry(name).dtype).name);
  const staged = await stage(output, { overwrite: options.overwrite ?? false });
  const spool = await Spool.create(staged.folder);
  try {
    const work = new Work(rt, tensors, spool, device === 'auto' ? rt.device : device);
    const total = outline.parameters.reduce((n, p) => n + sizeOf(tensors, p.name), 0);
    let loaded = 0;
    for (const { name } of outline.parameters) {
      signal?.throwIfAborted();
      await work.take(name, plans.get(name));
      loaded += sizeOf(tensors, name);
      onProgress?.({ phase: 'quantize', name, loaded, total });
    }
    await work.measured();
    const read = (key: string): AsyncGenerator<Uint8Array> =>
      spool.has(key) ? spool.read(key) : piecesOf(tensors, key);
    await writeShards(staged.folder, work.stored, read, { maxShardSize, onProgress, signal });
    await spool.remove();
    await copyModelFiles(folder, staged.folder);
    await writeConfig(folder, staged.folder, {
      ...(outline.configChanges as ConfigChanges | undefined),
      quantization_config: torchAoConfigToJson(quantization, rt),
      ...(config === stated ? {} : { tie_word_embeddings: false }),
    });
    signal?.throwIfAborted();
    await staged.commit();
    return report(outline, plan, plans, work.outcomes, false);
  } catch (error) {
    await spool.remove();
    await staged.abort();
    throw error;
  } finally {
    if (!options.runtime) await rt.close();
  }
}

async function readOutline(
  folder: string,
  quantization: TorchAoConfig,
): Promise<Outlined & { readonly family: ModelFamily; readonly stated: ModelConfig }> {
  const stated = await readModelConfig(folder);
  if (stated.quantizationConfig) {
    throw new AoError('ERR_AO_CONFIG', `${folder} is quantized already`, {
      fix: 'quantize the model that it was made from',
    });
  }
  const family = familyOf(stated);
  return { family, stated, ...outlineFor(family, stated, quantization) };
}

/** The loop's state: what each tensor becomes. */
class Work {
  readonly stored = new Map<string, Storing>();
  readonly outcomes = new Map<string, Outcome>();
  readonly #rt: Runtime;
  readonly #file: TensorFile;
  readonly #spool: Spool;
  readonly #device: string;
  #measuring: Promise<void> = Promise.resolve();

  constructor(rt: Runtime, file: TensorFile, spool: Spool, device: string) {
    this.#rt = rt;
    this.#file = file;
    this.#spool = spool;
    this.#device = device;
  }

  async take(name: string, plan: TensorPlan | undefined): Promise<void> {
    const { dtype: stored, shape } = this.#file.entry(name);
    const dtype = dtypeBySafetensors(stored).name;
    const bytesBefore = sizeOf(this.#file, name);
    if (!plan) {
      this.stored.set(name, storingPlain(name, stored, shape));
      this.outcomes.set(name, { dtype, bytesBefore, bytesAfter: bytesBefore, sqnr: null });
      return;
    }
    const weight = keep(await readTensor(this.#rt, this.#file, name, { device: this.#device }));
    const quantized = keep(scope(() => plan.quantize(weight)));
    await flattened(name, quantized, async (tensors, metadata) => {
      const reads = [...tensors].map(([key, part]) => ({ key, part, bits: part.bits() }));
      const norms = errorNorms(weight, quantized);
      weight.dispose();
      const items: SafetensorsItem[] = [];
      let bytesAfter = 0;
      for (const { key, part, bits } of reads) {
        const { buffer, byteOffset, byteLength } = await bits;
        await this.#spool.write(key, new Uint8Array(buffer, byteOffset, byteLength));
        items.push({ name: key, dtype: part.dtype.safetensors, shape: part.shape });
        bytesAfter += byteLength;
      }
      this.stored.set(name, { items, metadata });
      await this.measured();
      this.#measuring = decibels(norms).then((sqnr) => {
        this.outcomes.set(name, { dtype, bytesBefore, bytesAfter, sqnr });
      });
    });
    quantized.dispose();
  }

  /** Errors are measured behind the reads of the parts, while the next tensor comes from the disk. */
  async measured(): Promise<void> {
    await this.#measuring;
  }
}
