// Decoder: a model, its cache and the loop's own tensors. `prefill` reads the prompt and chooses the first token, `step`
// reads the last token and chooses the next. Token, position and random state live on the device, so a step needs
// nothing from the host: it is captured once and replayed.
import {
  addScalar_,
  arange,
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
const CHUNK = 512;

export class Decoder {
  readonly #model: CausalLM;
  readonly #cache: StaticCache;
  readonly #token: Tensor;
  readonly #state: Tensor;
  readonly #options: { readonly temperature: number; readonly topK: number; readonly topP: number };
  readonly #captured: boolean;
  #plan: Plan | undefined;

  constructor(model: CausalLM, length: number, sampling: Sampling) {
    const { rt, device } = model;
    this.#model = model;
    this.#cache = model.createCache(length);
    this.#token = keep(tensor(rt, [0], { dtype: int32, device }));
    this.#state = keep(tensor(rt, [sampling.seed | 0, 0], { dtype: int32, device }));
    this.#options = { temperature: sampling.temperature, topK: sampling.topK ?? 0, topP: sampling.topP ?? 1 };
    this.#captured = sampling.cacheImplementation === 'static';
  }

  /** Reads the prompt; resolves with the first new token. */
  async prefill(ids: readonly number[], signal?: AbortSignal): Promise<number> {
    const { rt, device } = this.#model;
    for (let at = 0; at < ids.length; at += CHUNK) {
      signal?.throwIfAborted();
      const part = ids.slice(at, at + CHUNK);
      const last = at + part.length === ids.length;
      scope(() => {
        const x = tensor(rt, Int32Array.from(part), { shape: [1, part.length], dtype: int32, device });
        const positions = arange(rt, at, at + part.length, 1, { device });
        const h = this.#model.hidden(x, { cache: this.#cache, positions });
        addScalar_(this.#cache.pos, part.length);
        if (last) this.#choose(slice(h, 1, part.length - 1, part.length));
      });
      if (!last) await rt.backend(device).sync();
    }
    return this.#read();
  }

  /** Queues one step; resolves with the token it chose once it has run. */
  step(): Promise<number> {
    if (this.#captured) {
      this.#plan ??= this.#model.rt.capture(() => this.#advance());
      for (const t of this.#plan.replay()) t.dispose();
    } else scope(() => this.#advance());
    return this.#read();
  }

  dispose(): void {
    this.#plan?.dispose();
    this.#cache.dispose();
    this.#token.dispose();
    this.#state.dispose();
  }

  #advance(): void {
    const x = reshape(this.#token, [1, 1]);
    const h = this.#model.hidden(x, { cache: this.#cache, positions: this.#cache.pos });
    addScalar_(this.#cache.pos, 1);
    this.#choose(h);
  }

  /** h [1, 1, H] -> the next token. */
  #choose(h: Tensor): void {
    const logits = this.#model.head(h);
    sample_(this.#token, reshape(logits, [this.#model.vocabSize]), this.#state, this.#options);
  }

  async #read(): Promise<number> {
    return Number((await this.#token.data())[0]);
  }
}
