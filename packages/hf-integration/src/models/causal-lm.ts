// CausalLM: what every decoder of a family offers. A family gives hidden states and logits; generating, evaluating and
// saving follow from them.
import type { Tensor } from '@ao/core';
import type { ModelStructure } from '@ao/quantization';
import type { GenerationConfig } from '../config/generation-config.ts';
import { type GenerateInput, generate, generateAll } from '../generate/generate.ts';
import type { Generation, GenerationResult } from '../generate/generation.ts';
import type { KVCacheFormat } from './cache-layout.ts';
import type { KVCache, StaticCache } from './kv-cache.ts';
import { PretrainedModel } from './pretrained-model.ts';

/** Text, or token ids. */
export type Prompt = string | readonly number[];

/**
 * Where new tokens stand: filled positions before them (in the cache) and their own positions (int32 [T] or [B, T]). Without a
 * cache they are whole texts, and nothing is written: so gradients flow through.
 */
export interface Step {
  readonly cache?: KVCache;
  readonly positions: Tensor;
}

export abstract class CausalLM extends PretrainedModel {
  abstract readonly vocabSize: number;
  /** Most positions the model was made for. */
  abstract readonly maxPositions: number;

  /** Whether a capture can hold a step: one device runs it, or several that pass tensors on by themselves. */
  get capturable(): boolean {
    const devices = new Set([this.device, ...Object.values(this.hfDeviceMap)]);
    return devices.size === 1 || [...devices].every((device) => this.rt.backend(device).copyFrom !== undefined);
  }

  /** How the weights meet, for calibration; undefined where the model does not tell. */
  get structure(): ModelStructure | undefined {
    return undefined;
  }

  /** For `batch` sequences of at most `length` positions; what they are kept in is what computing gives unless named. */
  abstract createCache(length: number, batch?: number, format?: KVCacheFormat): StaticCache;

  /** Token ids int32 [B, T] -> normalised hidden states [B, T, H]; writes the step's cache, leaves `cache.pos` as it is. */
  abstract hidden(ids: Tensor, step?: Step): Tensor;

  /** Makes what reading whole texts of at most `length` tokens needs, so that a capture may call the model. */
  abstract prepareFor(length: number): void;

  /** Hidden states [..., H] -> logits [..., V]. */
  abstract head(hidden: Tensor): Tensor;

  /** Token ids int32 [B, T] -> logits [B, T, V]; without a step the ids are whole texts. */
  forward = (ids: Tensor, step?: Step): Tensor => this.head(this.hidden(ids, step));

  /**
   * Continues a prompt of text or ids; iterate the result for pieces, or await it for the whole. Several prompts, of any
   * lengths, are decoded together and give an array of results, each the one its prompt gives alone with its own seed.
   */
  generate(
    prompt: Prompt,
    options: GenerateInput & { readonly numReturnSequences: number },
  ): Generation<readonly GenerationResult[]>;
  generate(prompt: Prompt, options?: GenerateInput): Generation;
  generate(prompts: readonly Prompt[], options?: GenerateInput): Generation<readonly GenerationResult[]>;
  generate(
    prompt: Prompt | readonly Prompt[],
    options: GenerateInput = {},
  ): Generation | Generation<readonly GenerationResult[]> {
    const defaults = this.origin?.generationConfig ?? NOTHING;
    if (isBatch(prompt)) return generateAll(this, defaults, prompt, options);
    if (options.numReturnSequences !== undefined) return generateAll(this, defaults, [prompt], options);
    return generate(this, defaults, prompt, options);
  }
}

const isBatch = (prompt: Prompt | readonly Prompt[]): prompt is readonly Prompt[] =>
  typeof prompt !== 'string' && prompt.length > 0 && typeof prompt[0] !== 'number';

const NOTHING: GenerationConfig = {
  bosTokenId: undefined,
  eosTokenIds: [],
  padTokenId: undefined,
  doSample: false,
  temperature: 1,
  topK: undefined,
  topP: undefined,
};
