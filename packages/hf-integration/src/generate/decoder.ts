// Decoder: a model, a cache for B sequences and the loop's own tensors. `prefill` reads the prompts and chooses the first
// token of each, `step` reads the last tokens [B, 1] and chooses the next. Tokens, positions and random state live on the
// device, so a step needs nothing from the host: it is captured once and replayed.
//   token int32 [B]; state int32 [B, 2]: of sequence b the seed + b and the draws made
import {
  addScalar_,
  arange,
  bfloat16,
  int32,
  keep,
  type Plan,
  reshape,
  sample_,
  scope,
  slice,
  type Tensor,
  tensor,
} from '@ao/core';
import type { CausalLM } from '../models/causal-lm.ts';
import type { StaticCache } from '../models/kv-cache.ts';
import type { Sampling } from './options.ts';

/** Prompt tokens a call: bounds scratch memory and the time between looks at the abort signal. */
export const CHUNK = 512;

export class Decoder {
  readonly #model: CausalLM;
  readonly #batch: number;
  readonly #cache: StaticCache;
  readonly #token: Tensor;
  readonly #state: Tensor;
  readonly #options: { readonly temperature: number; readonly topK: number; readonly topP: number };
  readonly #captured: boolean;
  #plan: Plan | undefined;

  /** `length`: most positions of a sequence. */
  constructor(model: CausalLM, batch: number, length: number, sampling: Sampling) {
    const { rt, device } = model;
    const state = Array.from({ length: batch }, (_, b) => [(sampling.seed + b) | 0, 0]);
    this.#model = model;
    this.#batch = batch;
    this.#cache = model.createCache(length, batch, sampling.kvCache === 'bf16' ? bfloat16 : undefined);
    this.#token = keep(tensor(rt, new Int32Array(batch), { dtype: int32, device }));
    this.#state = keep(tensor(rt, state, { dtype: int32, device }));
    this.#options = { temperature: sampling.temperature, topK: sampling.topK ?? 0, topP: sampling.topP ?? 1 };
    this.#captured = sampling.cacheImplementation === 'static';
  }

  /** Reads one prompt for each sequence; resolves with their first new tokens. */
  async prefill(prompts: readonly (readonly number[])[], signal?: AbortSignal): Promise<ArrayLike<number>> {
    for (const [b, ids] of prompts.entries()) {
      for (let at = 0; at < ids.length; at += CHUNK) {
        if (b + at > 0) await this.#model.rt.backend(this.#model.device).sync();
        signal?.throwIfAborted();
        this.#readPrompt(b, ids, at);
      }
    }
    return this.#read();
  }

  /** Queues one step; resolves with the tokens it chose once it has run. */
  step(): Promise<ArrayLike<number>> {
    if (this.#captured) {
      this.#plan ??= this.#model.rt.capture(() => this.#advance());
      for (const t of this.#plan.replay()) t.dispose();
    } else scope(() => this.#advance());
    return this.#read();
  }

  /** Nobody reads sequence b any more. Its row goes on from position 0, so that it costs little and never leaves the cache. */
  leave(b: number): void {
    this.#cache.truncate(0, b);
  }

  dispose(): void {
    this.#plan?.dispose();
    this.#cache.dispose();
    this.#token.dispose();
    this.#state.dispose();
  }

  /** One chunk of the prompt of sequence b, from `at`; after the last the first new token is chosen. */
  #readPrompt(b: number, ids: readonly number[], at: number): void {
    const { rt, device } = this.#model;
    const part = ids.slice(at, at + CHUNK);
    scope(() => {
      const cache = this.#cache.sequence(b);
      const x = tensor(rt, Int32Array.from(part), { shape: [1, part.length], dtype: int32, device });
      const h = this.#model.hidden(x, { cache, positions: arange(rt, at, at + part.length, 1, { device }) });
      addScalar_(cache.pos, part.length);
      if (at + part.length < ids.length) return;
      const own = (t: Tensor): Tensor => slice(t, 0, b, b + 1);
      this.#choose(own(this.#token), slice(h, 1, part.length - 1, part.length), own(this.#state));
    });
  }

  #advance(): void {
    const { pos } = this.#cache;
    const x = reshape(this.#token, [this.#batch, 1]);
    const h = this.#model.hidden(x, { cache: this.#cache, positions: reshape(pos, [this.#batch, 1]) });
    addScalar_(pos, 1);
    this.#choose(this.#token, h, this.#state);
  }

  /** h [N, 1, H] -> the next token of each. */
  #choose(token: Tensor, h: Tensor, state: Tensor): void {
    const logits = this.#model.head(h);
    sample_(token, reshape(logits, [token.numel, this.#model.vocabSize]), state, this.#options);
  }

  async #read(): Promise<ArrayLike<number>> {
    return (await this.#token.data()) as Int32Array;
  }
}
