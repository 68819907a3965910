// CausalLM: what every decoder of a family offers: hidden states of new tokens given a cache, and logits of hidden states.
import { type DType, Module, type Runtime, type Tensor } from '@ao/core';
import type { StaticCache } from './kv-cache.ts';

/** Where new tokens stand: filled positions before them (int32 [1]) and their own positions (int32 [T]). */
export interface Step {
  readonly cache: StaticCache;
  readonly positions: Tensor;
}

export abstract class CausalLM extends Module {
  abstract readonly rt: Runtime;
  /** dtype of activations. */
  abstract readonly dtype: DType;
  abstract readonly device: string;
  abstract readonly vocabSize: number;
  /** Most positions the model was made for. */
  abstract readonly maxPositions: number;

  abstract createCache(length: number, batch?: number): StaticCache;

  /** Token ids int32 [B, T] -> normalised hidden states [B, T, H]; writes the cache, leaves `cache.pos` as it is. */
  abstract hidden(ids: Tensor, step: Step): Tensor;

  /** Hidden states [..., H] -> logits [..., V]. */
  abstract head(hidden: Tensor): Tensor;

  /** Token ids int32 [B, T] -> logits [B, T, V]. */
  forward = (ids: Tensor, step: Step): Tensor => this.head(this.hidden(ids, step));
}
