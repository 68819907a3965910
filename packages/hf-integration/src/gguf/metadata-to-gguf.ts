// ggufMetadata(config): a model's config.json as GGUF's metadata, and what GGUF cannot say of it, as notes.
import { AoError } from '@ao/core';
import { Fields } from '../config/fields.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { parseRope, rotaryDim, scalingOf } from '../config/rope.ts';
import { slidingLayers } from '../models/blocks/config.ts';
import type { GgufPair } from './gguf-head.ts';
import type { GgufNames } from './names.ts';
import { llama3Factors } from './rope-from-gguf.ts';

export interface GgufMetadata {
  readonly pairs: readonly GgufPair[];
  /** Tables of rotary factors, which GGUF has as tensors. */
  readonly tables: ReadonlyMap<string, readonly number[]>;
  readonly notes: readonly string[];
  readonly heads: { readonly heads: number; readonly kvHeads: number };
}

/** `fileType`: llama.cpp's number of the type of most tensors. */
export function ggufMetadata(
  model: ModelConfig,
  names: GgufNames,
  { name, fileType, vocabSize }: { readonly name: string; readonly fileType: number; readonly vocabSize: number },
): GgufMetadata {
  const f = new Fields(model.json, model.where);
  const arch = names.architecture;
  const heads = f.count('num_attention_heads');
  const kvHeads = f.count('num_key_value_heads', heads);
  const hidden = f.count('hidden_size');
  const gemma = arch.startsWith('gemma');
  const headDim = f.has('head_dim') ? f.count('head_dim') : gemma ? 256 : arch === 'qwen3' ? 128 : hidden / heads;
  const u32 = (key: string, value: number): GgufPair => [`${arch}.${key}`, 'u32', value];
  const f32 = (key: string, value: number): GgufPair => [`${arch}.${key}`, 'f32', value];
  const rope = ropePairs(f, arch, headDim);
  const window = windowOf(f, arch);
  const pairs: GgufPair[] = [
    ['general.architecture', 'string', arch],
    ['general.name', 'string', f.text('_name_or_path', '') || name],
    ['general.file_type', 'u32', fileType],
    ['general.quantization_version', 'u32', 2],
    u32('context_length', f.count('max_position_embeddings', gemma ? 8192 : 4096)),
    u32('embedding_length', hidden),
    u32('block_count', f.count('num_hidden_layers')),
    u32('feed_forward_length', f.count('intermediate_size')),
    u32('attention.head_count', heads),
    u32('attention.head_count_kv', kvHeads),
    u32('attention.key_length', headDim),
    u32('attention.value_length', headDim),
    f32('attention.layer_norm_rms_epsilon', f.positive('rms_norm_eps', arch === 'phi3' ? 1e-5 : 1e-6)),
    u32('vocab_size', vocabSize),
    ...rope.pairs,
    ...(window.size === undefined ? [] : [u32('attention.sliding_window', window.size)]),
  ];
  if (model.modelType === 'mixtral') {
    pairs.push(u32('expert_count', f.count('num_local_experts', 8)));
    pairs.push(u32('expert_used_count', f.count('num_experts_per_tok', 2)));
  }
  if (arch === 'gemma2') {
    pairs.push(f32('attn_logit_softcapping', f.positive('attn_logit_softcapping', 50)));
    pairs.push(f32('final_logit_softcapping', f.positive('final_logit_softcapping', 30)));
  }
  if (gemma) checkGemma(f, arch, { heads, headDim, hidden });
  return { pairs, tables: rope.tables, notes: window.notes, heads: { heads, kvHeads } };
}

/** Which architectures attend within a window there. */
function windowOf(f: Fields, arch: string): { readonly size?: number; readonly notes: readonly string[] } {
  const has =
    f.has('sliding_window') && (arch !== 'qwen2' && arch !== 'qwen3' ? true : f.flag('use_sliding_window', false));
  if (!has) return { notes: [], ...(arch.startsWith('gemma') ? { size: 4096 } : {}) };
  const size = f.count('sliding_window');
  if (arch.startsWith('gemma')) return { size, notes: [] };
  if (arch === 'phi3') return { size, notes: [`llama.cpp leaves the window of ${size} tokens out in phi3`] };
  return { notes: [`GGUF's ${arch} has no window: beyond ${size} tokens it attends to all of them`] };
}

/** llama.cpp takes what it does not find in the file from the architecture. */
function checkGemma(
  f: Fields,
  arch: string,
  { heads, headDim, hidden }: { readonly heads: number; readonly headDim: number; readonly hidden: number },
): void {
  const layers = f.count('num_hidden_layers');
  const largest = arch === 'gemma2' ? 46 : 62;
  const every = arch === 'gemma2' ? 2 : 6;
  const sliding = slidingLayers(f, layers, (i) => (i + 1) % f.count('sliding_window_pattern', every) !== 0);
  const local = scalingOf(f)?.object('sliding_attention') ?? f;
  const taken: readonly (readonly [field: string, is: boolean, means: string])[] = [
    [
      'query_pre_attn_scalar',
      f.positive('query_pre_attn_scalar', 256) === (layers === largest ? hidden / heads : headDim),
      'the head size',
    ],
    [
      'layer_types',
      sliding.every((own, i) => own === ((i + 1) % every !== 0)),
      `full attention in every ${every}th layer`,
    ],
    [
      'rope_local_base_freq',
      arch === 'gemma2' || local.positive(local === f ? 'rope_local_base_freq' : 'rope_theta', 10000) === 10000,
      '10000',
    ],
    ['final_logit_softcapping', arch === 'gemma2' || !f.has('final_logit_softcapping'), 'null'],
  ];
  const wrong = taken.find(([, is]) => !is);
  if (wrong === undefined) return;
  throw new AoError('ERR_AO_CONFIG', `${f.where}: ${wrong[0]} is not ${wrong[2]}, which GGUF takes it to be`, {
    fix: 'GGUF has no field for it; keep the model in safetensors',
  });
}

function ropePairs(
  f: Fields,
  arch: string,
  headDim: number,
): { readonly pairs: readonly GgufPair[]; readonly tables: ReadonlyMap<string, readonly number[]> } {
  const gemma3 = arch === 'gemma3';
  const both = scalingOf(f);
  const full = both?.object('full_attention');
  const rope = parseRope(f, {
    ...(gemma3 ? { theta: 1e6, scaling: full } : {}),
    aliases: arch === 'phi3' ? { su: 'longrope', yarn: 'longrope' } : {},
  });
  const dim = gemma3 ? headDim : rotaryDim(f, headDim);
  const pairs: GgufPair[] = [
    [`${arch}.rope.dimension_count`, 'u32', dim],
    [`${arch}.rope.freq_base`, 'f32', rope.theta],
  ];
  const tables = new Map<string, readonly number[]>();
  const scaling = (type: string, factor: number): void => {
    pairs.push([`${arch}.rope.scaling.type`, 'string', type], [`${arch}.rope.scaling.factor`, 'f32', factor]);
  };
  const original = (n: number): unknown => pairs.push([`${arch}.rope.scaling.original_context_length`, 'u32', n]);
  if (rope.type === 'linear') scaling('linear', rope.factor);
  if (rope.type === 'yarn') {
    scaling('yarn', rope.factor);
    original(rope.originalMaxPositionEmbeddings);
  }
  if (rope.type === 'llama3') tables.set('rope_freqs.weight', llama3Factors(rope, dim));
  if (rope.type === 'longrope') {
    original(rope.originalMaxPositionEmbeddings);
    pairs.push([`${arch}.rope.scaling.attn_factor`, 'f32', rope.attentionFactor]);
    tables.set('rope_factors_long.weight', rope.longFactor);
    tables.set('rope_factors_short.weight', rope.shortFactor);
  }
  return { pairs, tables };
}
