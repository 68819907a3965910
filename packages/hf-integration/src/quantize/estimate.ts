// estimate(name): the memory that a model will take, from its config and headers alone, before a byte of its weights is there:
//   weights as a file, and as this machine packs them; a context's keys, values and activations; whether that fits.
// A weight's packed bytes are those of slices of it that go the way that loading goes (memory-of.ts).
import { freemem, totalmem } from 'node:os';
import { dtypeBySafetensors, type Runtime } from '@ao/core';
import type { TensorPlan } from '@ao/quantization';
import { autoRuntime } from '../auto-runtime.ts';
import { readModelConfig } from '../config/model-config.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { PLAIN, storedTensors } from '../files/stored.ts';
import { dtypeOf, quantizationOf } from '../from-pretrained.ts';
import { locateHeaders } from '../hub/locate-headers.ts';
import type { HubOptions } from '../hub/options.ts';
import { checkNames } from '../load/check-names.ts';
import { familyOf, outlineOf } from '../models/family.ts';
import { type ContextMemory, contextMemory } from './context-memory.ts';
import { memoryOf } from './memory-of.ts';
import { planQuantization } from './plan.ts';
import { tensorPlans } from './tensor-plans.ts';
import type { TorchAoConfig } from './torchao-config.ts';

export interface EstimateOptions extends HubOptions {
  /** What to compare, by names of your own; null = as it is. Default: as it is. */
  readonly schemes?: Readonly<Record<string, TorchAoConfig | null>>;
  /** Tokens of keys and values. Default: what the model was made for, at most 4096. */
  readonly contextLength?: number;
  /** dtype of activations; 'auto' (default) = the checkpoint's. */
  readonly dtype?: string;
  /** Its device packs the weights. Default: autoRuntime(), closed at the end. */
  readonly runtime?: Runtime;
}

export interface SchemeEstimate {
  readonly scheme: string;
  /** Of the tensors in safetensors files. */
  readonly diskBytes: number;
  /** As packed for this machine. */
  readonly weightBytes: number;
  /** Weights, keys and values, a prompt's activations, and the process, by kvCache. */
  readonly totalBytes: Readonly<Record<string, number>>;
  /** With the smallest kvCache, in this machine's memory. */
  readonly fits: boolean;
}

export interface Estimate extends ContextMemory {
  readonly architecture: string;
  readonly parameters: number;
  /** Of activations. */
  readonly dtype: string;
  /** Node, the packages and the kernels: this process now. */
  readonly processBytes: number;
  /** Memory of the machine, or of the container where that is less. */
  readonly memoryBytes: number;
  /** Of it, free now. */
  readonly freeBytes: number;
  readonly schemes: readonly SchemeEstimate[];
}

/** Throws ERR_AO_CONFIG for a scheme that does not fit the model, as quantizing it would. */
export async function estimate(name: string, options: EstimateOptions = {}): Promise<Estimate> {
  const { folder, files } = await locateHeaders(name, options);
  const config = await readModelConfig(folder);
  const family = familyOf(config);
  const all = family.outline(config);
  await using checkpoint = await openCheckpoint(folder, all, files);
  const { tensors } = checkpoint;
  const stored = storedTensors(tensors);
  const outline = outlineOf(all, (parameter) => stored.has(parameter));
  const isPlain = (parameter: string): boolean => stored.get(parameter)?.type === PLAIN;
  const shapes = new Map(outline.parameters.map((p) => [p.name, p.shape]));
  const shapeOf = (parameter: string): readonly number[] =>
    isPlain(parameter) ? tensors.entry(parameter).shape : (shapes.get(parameter) ?? []);
  checkNames(family, outline, new Map([...stored.keys()].map((s) => [s, shapeOf(s)])), folder);
  const typeOf = (parameter: string): string => dtypeBySafetensors(tensors.entry(parameter).dtype).name;
  const plain = outline.parameters.find((p) => isPlain(p.name));
  const dtype = dtypeOf(options.dtype ?? 'auto', config, plain && typeOf(plain.name));
  const context = contextMemory(config, outline, dtype, options.contextLength);

  const rt = options.runtime ?? (await autoRuntime());
  try {
    const memory = memoryOf(rt);
    const processBytes = process.memoryUsage.rss();
    const memoryBytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
    const one = (scheme: string, asked: TorchAoConfig | null): SchemeEstimate => {
      // of a file that is quantized already, its config tells what its tensors become
      const quantization = quantizationOf(folder, config, stored, asked ?? undefined, rt);
      const plan = quantization && planQuantization(outline, quantization);
      const type = (parameter: string): string => (isPlain(parameter) ? typeOf(parameter) : dtype.name);
      const plans = plan ? tensorPlans(rt, plan, type) : new Map<string, TensorPlan>();
      const configs = new Map(plan?.parameters.map((p) => [p.parameter.name, p.config]));
      let diskBytes = 0;
      let weightBytes = 0;
      for (const spec of outline.parameters) {
        diskBytes += (asked && plans.get(spec.name)?.bytes) ?? stored.get(spec.name)!.nbytes;
        weightBytes += memory(spec, { stored: type(spec.name), dtype, config: configs.get(spec.name) ?? null });
      }
      const rest = weightBytes + context.promptBytes + processBytes;
      const totals = Object.entries(context.kvCacheBytes).map(([cache, bytes]) => [cache, rest + bytes] as const);
      const fits = totals.some(([, total]) => total <= memoryBytes);
      return { scheme, diskBytes, weightBytes, totalBytes: Object.fromEntries(totals), fits };
    };
    return {
      architecture: config.architecture || config.modelType,
      parameters: outline.parameters.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0),
      dtype: dtype.name,
      ...context,
      processBytes,
      memoryBytes,
      freeBytes: freemem(),
      schemes: Object.entries(options.schemes ?? { 'as it is': null }).map(([scheme, asked]) => one(scheme, asked)),
    };
  } finally {
    if (!options.runtime) await rt.close();
  }
}
