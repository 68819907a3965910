// estimate(name): the memory that a model will take, from its config and headers alone, before a byte of its weights is there:
//   weights as a file, and as this machine packs them; keys and values of a context; what reading a prompt needs meanwhile,
//   [T, K] in and [T, N] out of each linear for the T tokens that are read at once; whether that fits.
// A weight's packed bytes are those of slices of it that go the way that loading goes (memory-of.ts).
import { freemem, totalmem } from 'node:os';
import { AoError, type DType, dtypeByName, dtypeBySafetensors, type Runtime } from '@ao/core';
import type { TensorPlan } from '@ao/quantization';
import { autoRuntime } from '../auto-runtime.ts';
import { Fields } from '../config/fields.ts';
import { type ModelConfig, readModelConfig } from '../config/model-config.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { PLAIN, storedTensors } from '../files/stored.ts';
import { CHUNK } from '../generate/decoder.ts';
import { locateHeaders } from '../hub/locate-headers.ts';
import type { HubOptions } from '../hub/options.ts';
import { checkNames } from '../load/check-names.ts';
import { familyOf, type Outline } from '../models/family.ts';
import { memoryOf } from './memory-of.ts';
import { planQuantization } from './plan.ts';
import { tensorPlans } from './tensor-plans.ts';
import { type TorchAoConfig, torchAoConfigFromJson } from './torchao-config.ts';

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

export interface Estimate {
  readonly architecture: string;
  readonly parameters: number;
  readonly contextLength: number;
  readonly dtype: string;
  /** Keys and values of the context, by what generate's kvCache takes. */
  readonly kvCacheBytes: Readonly<Record<string, number>>;
  /** Activations while a prompt is read that fills the context. */
  readonly promptBytes: number;
  /** Node, the packages and the kernels: this process now. */
  readonly processBytes: number;
  /** Memory of the machine, or of the container where that is less. */
  readonly memoryBytes: number;
  /** Of it, free now. */
  readonly freeBytes: number;
  readonly schemes: readonly SchemeEstimate[];
}

const KV_CACHES: Readonly<Record<string, (dtype: DType) => DType>> = {
  auto: (dtype) => dtype,
  bf16: () => dtypeByName('bfloat16'),
};

/** Throws ERR_AO_CONFIG for a scheme that does not fit the model, as quantizing it would. */
export async function estimate(name: string, options: EstimateOptions = {}): Promise<Estimate> {
  const { folder, files } = await locateHeaders(name, options);
  const config = await readModelConfig(folder);
  const family = familyOf(config);
  const outline = family.outline(config);
  await using checkpoint = await openCheckpoint(folder, files);
  const { tensors } = checkpoint;
  const stored = storedTensors(tensors);
  const shapes = new Map(outline.parameters.map((p) => [p.name, p.shape]));
  const shapeOf = (parameter: string): readonly number[] =>
    stored.get(parameter)?.type === PLAIN ? tensors.entry(parameter).shape : (shapes.get(parameter) ?? []);
  checkNames(family, outline, new Map([...stored.keys()].map((s) => [s, shapeOf(s)])), folder);
  const storedType = (parameter: string): string =>
    stored.get(parameter)!.type === PLAIN
      ? dtypeBySafetensors(tensors.entry(parameter).dtype).name
      : (config.dtype ?? 'float32');
  const { dtype: asked = 'auto' } = options;
  const first = outline.parameters.find((p) => stored.get(p.name)?.type === PLAIN);
  const dtype = dtypeByName(asked === 'auto' ? (config.dtype ?? (first ? storedType(first.name) : 'float32')) : asked);
  const contextLength = contextOf(config, options.contextLength);
  const values = keysAndValues(config) * contextLength;
  const promptBytes = Math.min(contextLength, CHUNK) * activations(outline) * dtype.itemsize;
  const kvCacheBytes = byKvCache((cache) => values * cache(dtype).itemsize);

  const rt = options.runtime ?? (await autoRuntime());
  try {
    const memory = memoryOf(rt);
    const processBytes = process.memoryUsage.rss();
    const memoryBytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
    const one = (scheme: string, given: TorchAoConfig | null): SchemeEstimate => {
      const quantization =
        given ?? (config.quantizationConfig && torchAoConfigFromJson(config.quantizationConfig, config.where));
      const plan = quantization && planQuantization(outline, quantization);
      // of a file that is quantized already, the plans tell what its tensors are
      const plans = plan
        ? tensorPlans(rt, plan, (p) => (given ? storedType(p) : dtype.name))
        : new Map<string, TensorPlan>();
      const configs = new Map(plan?.parameters.map((p) => [p.parameter.name, p.config]));
      let diskBytes = 0;
      let weightBytes = 0;
      for (const spec of outline.parameters) {
        diskBytes += (given && plans.get(spec.name)?.bytes) ?? stored.get(spec.name)!.nbytes;
        weightBytes += memory(spec, { stored: storedType(spec.name), dtype, config: configs.get(spec.name) ?? null });
      }
      const totalBytes = byKvCache((_, cache) => weightBytes + kvCacheBytes[cache]! + promptBytes + processBytes);
      return {
        scheme,
        diskBytes,
        weightBytes,
        totalBytes,
        fits: Math.min(...Object.values(totalBytes)) <= memoryBytes,
      };
    };
    return {
      architecture: config.architecture || config.modelType,
      parameters: outline.parameters.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0),
      contextLength,
      dtype: dtype.name,
      kvCacheBytes,
      promptBytes,
      processBytes,
      memoryBytes,
      freeBytes: freemem(),
      schemes: Object.entries(options.schemes ?? { 'as it is': null }).map(([scheme, given]) => one(scheme, given)),
    };
  } finally {
    if (!options.runtime) await rt.close();
  }
}

function byKvCache(value: (cache: (dtype: DType) => DType, name: string) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(KV_CACHES).map(([name, cache]) => [name, value(cache, name)]));
}

function contextOf({ json, where }: ModelConfig, asked: number | undefined): number {
  const made = new Fields(json, where).count('max_position_embeddings', 4096);
  const length = asked ?? Math.min(made, 4096);
  if (Number.isInteger(length) && length >= 1 && length <= made) return length;
  throw new AoError('ERR_AO_CONFIG', `contextLength is ${length}, the model was made for ${made} positions`, {
    fix: `give a whole number from 1 to ${made}`,
  });
}

/** Numbers a token that a prompt's layers read and write. */
function activations({ parameters }: Outline): number {
  const linears = parameters.filter((p) => p.role === 'linear' && !p.output);
  return linears.reduce((sum, { shape }) => sum + shape.at(-2)! + shape.at(-1)!, 0);
}

/** Numbers that a token adds to the cache: 2 * layers * heads * head size; an encoder keeps none. */
function keysAndValues({ json, where, architecture }: ModelConfig): number {
  if (architecture !== '' && !/CausalLM|ConditionalGeneration/.test(architecture)) return 0;
  const outer = new Fields(json, where);
  const fields = outer.object('text_config') ?? outer;
  const heads = fields.count('num_attention_heads');
  const headDim = fields.has('head_dim') ? fields.count('head_dim') : fields.count('hidden_size') / heads;
  return 2 * fields.count('num_hidden_layers') * fields.count('num_key_value_heads', heads) * headDim;
}
