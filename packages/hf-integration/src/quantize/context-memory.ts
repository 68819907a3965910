// contextMemory(): what a context of T tokens takes besides the weights.
//   keys and values: 2 * layers * heads rows a token, by what generate's kvCache takes
//   a prompt's activations: [t, K] in and [t, N] out of each linear for the t tokens that are read at once
import { AoError, type DType } from '@ao/core';
import { Fields } from '../config/fields.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { CHUNK } from '../generate/decoder.ts';
import { type CacheFormat, cacheLayout, rowBytes } from '../models/cache-layout.ts';
import type { Outline } from '../models/family.ts';

export interface ContextMemory {
  readonly contextLength: number;
  /** Keys and values of the context, by what generate's kvCache takes. */
  readonly kvCacheBytes: Readonly<Record<string, number>>;
  /** Activations while a prompt is read that fills the context. */
  readonly promptBytes: number;
}

const KV_CACHES: readonly CacheFormat[] = ['auto', 'bf16', 'int8', 'int4'];

/** Throws ERR_AO_CONFIG for more tokens than the model was made for; default: those, at most 4096. */
export function contextMemory(
  config: ModelConfig,
  outline: Outline,
  dtype: DType,
  asked: number | undefined,
): ContextMemory {
  const fields = new Fields(config.json, config.where);
  const made = fields.count('max_position_embeddings', 4096);
  const contextLength = asked ?? Math.min(made, 4096);
  if (!Number.isInteger(contextLength) || contextLength < 1 || contextLength > made) {
    throw new AoError('ERR_AO_CONFIG', `contextLength is ${asked}, the model was made for ${made} positions`, {
      fix: `give a whole number from 1 to ${made}`,
    });
  }
  const { rows, headDim } = keysAndValues(config, fields);
  // codes of 4 bits come in pairs
  const caches = KV_CACHES.filter((name) => name !== 'int4' || headDim % 2 === 0).map((name) => {
    const { keys, values } = cacheLayout(name, dtype);
    return [name, contextLength * rows * (rowBytes(keys, headDim) + rowBytes(values, headDim))] as const;
  });
  const promptBytes = Math.min(contextLength, CHUNK) * activations(outline) * dtype.itemsize;
  return { contextLength, kvCacheBytes: Object.fromEntries(caches), promptBytes };
}

/** Rows of keys a token, and as many of values; an encoder keeps none. */
function keysAndValues({ architecture }: ModelConfig, outer: Fields): { rows: number; headDim: number } {
  if (architecture !== '' && !/CausalLM|ConditionalGeneration/.test(architecture)) return { rows: 0, headDim: 0 };
  const fields = outer.object('text_config') ?? outer;
  const heads = fields.count('num_attention_heads');
  const headDim = fields.has('head_dim') ? fields.count('head_dim') : fields.count('hidden_size') / heads;
  return { rows: fields.count('num_hidden_layers') * fields.count('num_key_value_heads', heads), headDim };
}

function activations({ parameters }: Outline): number {
  const linears = parameters.filter((p) => p.role === 'linear' && !p.output);
  return linears.reduce((sum, { shape }) => sum + shape.at(-2)! + shape.at(-1)!, 0);
}
