// What the configs of most decoders have in common, by transformers' names.
import { Fields } from '../../config/fields.ts';
import type { ModelConfig } from '../../config/model-config.ts';
import { parseRope, type RopeDefaults, type RopeParameters, rotaryDim } from '../../config/rope.ts';
import { type Gating, gatingOf } from './mlp.ts';
import type { NormSpec } from './weights.ts';

/** What a family's config class assumes where config.json is silent. */
export interface Defaults {
  readonly maxPositions: number;
  readonly eps?: number;
  readonly tied?: boolean;
  readonly headDim?: number;
  readonly theta?: number;
}

export interface Common {
  readonly fields: Fields;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layerCount: number;
  readonly maxPositions: number;
  readonly tied: boolean;
  readonly norm: NormSpec;
  readonly heads: {
    readonly hiddenSize: number;
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
  };
  readonly gating: Gating;
}

export function commonOf(
  { json, where }: ModelConfig,
  defaults: Defaults,
  act = 'hidden_act',
  fallback = 'silu',
): Common {
  const f = new Fields(json, where);
  const hiddenSize = f.count('hidden_size');
  const heads = f.count('num_attention_heads');
  const kvHeads = f.has('num_key_value_heads') ? f.count('num_key_value_heads') : heads;
  const headDim = f.has('head_dim') ? f.count('head_dim') : (defaults.headDim ?? hiddenSize / heads);
  if (heads % kvHeads !== 0) throw f.error('num_key_value_heads', 'a divisor of num_attention_heads');
  if (!Number.isInteger(headDim) || headDim % 2) throw f.error('head_dim', 'an even whole number');
  return {
    fields: f,
    vocabSize: f.count('vocab_size'),
    hiddenSize,
    intermediateSize: f.count('intermediate_size'),
    layerCount: f.count('num_hidden_layers'),
    maxPositions: f.count('max_position_embeddings', defaults.maxPositions),
    tied: f.flag('tie_word_embeddings', defaults.tied ?? false),
    norm: { eps: f.positive('rms_norm_eps', defaults.eps ?? 1e-6) },
    heads: { hiddenSize, heads, kvHeads, headDim },
    gating: gatingOf(f, act, fallback),
  };
}

export interface Rope {
  readonly rope: RopeParameters;
  readonly dim: number;
}

/** Rotary positions of heads of `headDim` values. */
export function ropeOf(f: Fields, headDim: number, defaults: RopeDefaults = {}): Rope {
  const rope = parseRope(f, defaults);
  const dim = rotaryDim(f, headDim);
  if (rope.type === 'longrope' && [rope.shortFactor, rope.longFactor].some((list) => list.length !== dim / 2)) {
    throw f.error('rope_scaling', `factors for ${dim / 2} frequencies, half of the ${dim} values that are rotated`);
  }
  return { rope, dim };
}

/** `sliding_window`, undefined where it is null. `fallback`: what the family assumes where it is absent. */
export function windowOf(f: Fields, fallback?: number): number | undefined {
  if (f.json['sliding_window'] === undefined) return fallback;
  return f.has('sliding_window') ? f.count('sliding_window') : undefined;
}

const TYPES = ['full_attention', 'sliding_attention'];

/** Which layers attend within the window: as `layer_types` says, else by `sliding`. */
export function slidingLayers(f: Fields, count: number, sliding: (layer: number) => boolean): boolean[] {
  const types = f.json['layer_types'];
  if (types === undefined || types === null) return Array.from({ length: count }, (_, i) => sliding(i));
  if (Array.isArray(types) && types.length === count && types.every((t) => TYPES.includes(t as string)))
    return types.map((t) => t === 'sliding_attention');
  throw f.error('layer_types', `a list of ${TYPES.join(' and ')}, one for each of ${count} layers`);
}

/** Windows of Qwen's layers: none unless use_sliding_window, else of the layers that `sliding` or layer_types selects. */
export function optionalWindows(f: Fields, count: number, sliding: (layer: number) => boolean): (number | undefined)[] {
  const window = f.flag('use_sliding_window', false) ? windowOf(f, 4096) : undefined;
  return slidingLayers(f, count, sliding).map((own) => (own ? window : undefined));
}
