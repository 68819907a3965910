// CausalLM: what every decoder of a family offers. A family gives hidden states and logits; generating, evaluating and
// saving follow from them.
import { type DType, Module, type Runtime, type Tensor } from '@ao/core';
import type { GenerationConfig } from '../config/generation-config.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { type GenerateInput, generate } from '../generate/generate.ts';
import type { Generation } from '../generate/generation.ts';
import type { TorchAoConfig } from '../quantize/torchao-config.ts';
import { type SaveOptions, savePretrained } from '../save-pretrained.ts';
import type { StaticCache } from './kv-cache.ts';

/** Where new tokens stand: filled positions before them (in the cache) and their own positions (int32 [T]). */
export interface Step {
  readonly cache: StaticCache;
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

  abstract createCache(length: number, batch?: number): StaticCache;

  /** Token ids int32 [B, T] -> normalised hidden states [B, T, H]; writes the cache, leaves `cache.pos` as it is. */
  abstract hidden(ids: Tensor, step: Step): Tensor;

  /** Hidden states [..., H] -> logits [..., V]. */
  abstract head(hidden: Tensor): Tensor;

  /** Token ids int32 [B, T] -> logits [B, T, V]. */
  forward = (ids: Tensor, step: Step): Tensor => this.head(this.hidden(ids, step));

  /** Continues a prompt of text or ids; iterate the result for pieces, or await it for the whole. */
  generate(prompt: string | readonly number[], options: GenerateInput = {}): Generation {
    return generate(this, this.origin?.generationConfig ?? NOTHING, prompt, options);
  }

  /** Writes a folder that fromPretrained, and Python's transformers, load. */
  savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    return savePretrained(this, folder, options);
  }
}

const NOTHING: GenerationConfig = {
  bosTokenId: undefined,
  eosTokenIds: [],
  padTokenId: undefined,
  doSample: false,
  temperature: 1,
  topK: undefined,
  topP: undefined,
};
