// CausalLM: what every decoder of a family offers. A family gives hidden states and logits; generating, evaluating and
// saving follow from them.
import { type DType, Module, type Runtime, type Tensor } from '@ao/core';
import type { GenerationConfig } from '../config/generation-config.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { type GenerateInput, generate, generateAll } from '../generate/generate.ts';
import type { Generation, GenerationResult } from '../generate/generation.ts';
import { type DequantizeReport, dequantizeModel, isQuantizedModel } from '../quantize/dequantize-model.ts';
import type { TorchAoConfig } from '../quantize/torchao-config.ts';
import { type SaveOptions, savePretrained } from '../save-pretrained.ts';
import type { KVCache, StaticCache } from './kv-cache.ts';

/** Text, or token ids. */
export type Prompt = string | readonly number[];

/** Where new tokens stand: filled positions before them (in the cache) and their own positions (int32 [T] or [B, T]). */
export interface Step {
  readonly cache: KVCache;
  readonly positions: Tensor;
}

/** Where a model came from: what saving and generating need besides the weights. */
export interface Origin {
  readonly folder: string;
  readonly config: ModelConfig;
  readonly generationConfig: GenerationConfig;
  /** What the weights are quantized with. */
  readonly quantization?: TorchAoConfig;
}

export abstract class CausalLM extends Module {
  abstract readonly rt: Runtime;
  /** dtype of activations. */
  abstract readonly dtype: DType;
  abstract readonly device: string;
  abstract readonly vocabSize: number;
  /** Most positions the model was made for. */
  abstract readonly maxPositions: number;
  origin: Origin | undefined;

  /** For `batch` sequences of at most `length` positions; dtype is what computing gives unless named. */
  abstract createCache(length: number, batch?: number, dtype?: DType): StaticCache;

  /** Token ids int32 [B, T] -> normalised hidden states [B, T, H]; writes the cache, leaves `cache.pos` as it is. */
  abstract hidden(ids: Tensor, step: Step): Tensor;

  /** Hidden states [..., H] -> logits [..., V]. */
  abstract head(hidden: Tensor): Tensor;

  /** Token ids int32 [B, T] -> logits [B, T, V]. */
  forward = (ids: Tensor, step: Step): Tensor => this.head(this.hidden(ids, step));

  /**
   * Continues a prompt of text or ids; iterate the result for pieces, or await it for the whole. Several prompts, of any
   * lengths, are decoded together and give an array of results, each the one its prompt gives alone with its own seed.
   */
  generate(prompt: Prompt, options?: GenerateInput): Generation;
  generate(prompts: readonly Prompt[], options?: GenerateInput): Generation<readonly GenerationResult[]>;
  generate(
    prompt: Prompt | readonly Prompt[],
    options: GenerateInput = {},
  ): Generation | Generation<readonly GenerationResult[]> {
    const defaults = this.origin?.generationConfig ?? NOTHING;
    return isBatch(prompt) ? generateAll(this, defaults, prompt, options) : generate(this, defaults, prompt, options);
  }

  /** True where any weight is quantized. */
  get isQuantized(): boolean {
    return isQuantizedModel(this);
  }

  /** Makes every quantized weight floating point again, in place, packed or not; saving then writes a plain model. */
  async dequantize(): Promise<DequantizeReport> {
    const report = await dequantizeModel(this);
    const { quantization: _, ...origin } = this.origin ?? {};
    if (this.origin) this.origin = origin as Origin;
    return report;
  }

  /** Writes a folder that fromPretrained, and Python's transformers, load. */
  savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    return savePretrained(this, folder, options);
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
