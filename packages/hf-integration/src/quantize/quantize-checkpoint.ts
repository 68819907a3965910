// quantizeCheckpoint(name, output): disk to disk, one tensor at a time: read, quantize, spool; then the files in their final
// order. Memory: one tensor and its quantized form. The output appears whole: weights first, config.json last. However the
// process ends, the same call goes on where it stopped (journal.ts), to the same bytes.

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  AoError,
  dtypeBySafetensors,
  isAoError,
  keep,
  type Runtime,
  type SafetensorsItem,
  scope,
  type Tensor,
  type TensorFile,
} from '@ao/core';
import { decibels, errorNorms, type QuantizeReport, type TensorPlan } from '@ao/quantization';
import { autoRuntime } from '../auto-runtime.ts';
import { type ModelConfig, readModelConfig } from '../config/model-config.ts';
import { aliased } from '../files/aliased.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { checkFinite, finitePieces } from '../files/finite.ts';
import { type ConfigChanges, copyModelFiles, writeConfig } from '../files/model-files.ts';
import { readTensor, release, sizeOf } from '../files/read-tensor.ts';
import { checkFree, commitFolder } from '../files/stage.ts';
import { flattened, type Storing, storedTensors, storingPlain } from '../files/stored.ts';
import { writeShards } from '../files/write-shards.ts';
import type { HubOptions } from '../hub/options.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { checkDtypes } from '../load/check-dtypes.ts';
import { checkNames } from '../load/check-names.ts';
import { LARGE } from '../load/load-weights.ts';
import { familyOf, type ModelFamily, outlineOf } from '../models/family.ts';
import type { Outlined } from '../models/untie.ts';
import { type Done, Journal } from './journal.ts';
import { originOf } from './origin.ts';
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
  try {
    const plans = tensorPlans(rt, plan, (name) => dtypeBySafetensors(tensors.entry(name).dtype).name);
    const journal = await Journal.open(output, await originOf(folder, tensors, quantization, maxShardSize, rt));
    const work = new Work(rt, tensors, journal, device === 'auto' ? rt.device : device);
    let begun = false;
    try {
      if (journal.end === undefined) checkFree(output, options);
      begun = true;
      const total = outline.parameters.reduce((n, p) => n + sizeOf(tensors, p.name), 0);
      let loaded = 0;
      for (const { name } of outline.parameters) {
        signal?.throwIfAborted();
        await work.take(name, plans.get(name));
        loaded += sizeOf(tensors, name);
        onProgress?.({ phase: 'quantize', name, loaded, total });
      }
      await work.measured();
      if (journal.end === undefined) {
        const resume = existsSync(journal.model);
        await mkdir(journal.model, { recursive: true });
        await writeShards(journal.model, work.stored, work.read, { maxShardSize, onProgress, signal, resume });
        await copyModelFiles(folder, journal.model);
        await writeConfig(folder, journal.model, {
          ...(outline.configChanges as ConfigChanges | undefined),
          quantization_config: torchAoConfigToJson(quantization, rt),
          ...(config === stated ? {} : { tie_word_embeddings: false }),
        });
      }
      signal?.throwIfAborted();
      await commitFolder(journal.model, journal.output, await journal.finish());
      await journal.remove();
      return report(outline, plan, plans, work.outcomes, false);
    } catch (error) {
      // what is wrong with the model is wrong the next time too; all else is gone on with
      await work.measured().catch(() => {});
      if (journal.done.size === 0 || (begun && isAoError(error))) await journal.remove();
      else await journal.close();
      throw error;
    }
  } catch (error) {
    throw diskError(error, output);
  } finally {
    if (!options.runtime) await rt.close();
  }
}

/** A full disk, told with what to do. */
function diskError(error: unknown, output: string): unknown {
  const { code } = error as { readonly code?: unknown };
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new AoError('ERR_AO_MEMORY', `${output}: the disk is full`, {
    fix: 'free some space and run the same again: it goes on where it stopped',
    cause: error,
  });
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
  readonly #journal: Journal;
  readonly #device: string;
  #measuring: Promise<void> = Promise.resolve();

  constructor(rt: Runtime, file: TensorFile, journal: Journal, device: string) {
    this.#rt = rt;
    this.#file = file;
    this.#journal = journal;
    this.#device = device;
  }

  async take(name: string, plan: TensorPlan | undefined): Promise<void> {
    const { dtype: stored, shape } = this.#file.entry(name);
    const dtype = dtypeBySafetensors(stored).name;
    const bytesBefore = sizeOf(this.#file, name);
    const done = this.#journal.done.get(name);
    if (!plan) {
      this.stored.set(name, storingPlain(name, stored, shape));
      this.outcomes.set(name, { dtype, bytesBefore, bytesAfter: bytesBefore, sqnr: null });
    } else if (done) {
      this.stored.set(name, done.storing);
      this.outcomes.set(name, done.outcome);
    } else {
      await this.#quantize(name, plan, { dtype, bytesBefore });
    }
  }

  async #quantize(name: string, plan: TensorPlan, before: Pick<Outcome, 'dtype' | 'bytesBefore'>): Promise<void> {
    const weight = keep(await readTensor(this.#rt, this.#file, name, { device: this.#device }));
    const quantized = keep(scope(() => plan.quantize(weight)));
    await flattened(name, quantized, async (tensors, metadata) => {
      const reads = [...tensors].map(([key, part]) => ({ key, part, bits: part.bits() }));
      const norms = errorNorms(weight, quantized);
      weight.dispose();
      const items: SafetensorsItem[] = [];
      const bytes: Uint8Array[] = [];
      for (const { key, part, bits } of reads) {
        const { buffer, byteOffset, byteLength } = await bits;
        bytes.push(new Uint8Array(buffer, byteOffset, byteLength));
        items.push({ name: key, dtype: part.dtype.safetensors, shape: part.shape });
      }
      const place = await this.#journal.write(bytes);
      for (const part of bytes) release(part);
      const storing = { items, metadata };
      this.stored.set(name, storing);
      await this.measured();
      this.#measuring = silent(this.#measure(name, storing, norms, place, before));
    });
    quantized.dispose();
    if (before.bytesBefore > LARGE) this.#rt.backend(this.#device).trim();
  }

  async #measure(
    name: string,
    storing: Storing,
    norms: readonly [Tensor, Tensor],
    place: Pick<Done, 'begin' | 'sizes' | 'crc'>,
    before: Pick<Outcome, 'dtype' | 'bytesBefore'>,
  ): Promise<void> {
    const signal = await norms[0].item();
    const sqnr = await decibels(norms);
    if (!Number.isFinite(signal)) await checkFinite(this.#file, name);
    const bytesAfter = place.sizes.reduce((a, b) => a + b, 0);
    const outcome = { ...before, bytesAfter, sqnr };
    this.outcomes.set(name, outcome);
    await this.#journal.add({ name, storing, outcome, ...place });
  }

  /** Errors are measured behind the reads of the parts, while the next tensor comes from the disk. */
  measured(): Promise<void> {
    return this.#measuring;
  }

  /** The bytes of an item, quantized or as they are. */
  read = (key: string, name: string): AsyncGenerator<Uint8Array> =>
    this.#journal.done.has(name)
      ? this.#journal.read(
          name,
          this.stored.get(name)!.items.findIndex((item) => item.name === key),
        )
      : finitePieces(this.#file, key);
}

/** A rejection before its turn is no unhandled one: who awaits the promise gets it. */
function silent(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
