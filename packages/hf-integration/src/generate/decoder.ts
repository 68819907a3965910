// Decoder: a model, a cache for B sequences and the loop's own tensors. `prefill` reads the prompts and chooses the first
// token of each, `step` reads the last tokens [B, 1] and chooses the next. Tokens, positions and random state live on the
// device, so a step needs nothing from the host: it is captured once and replayed. `verify` reads several tokens of one
// sequence [1, T] in a call and chooses after each.
//   token int32 [B]; state int32 [B, 2]: of sequence b the seed + b and the draws made
import {
  addScalar_,
  arange,
  copy_,
  empty,
  int32,
  keep,
  noGrad,
  type Plan,
  reshape,
  type SampleOptions,
  sample_,
  scope,
  slice,
  type Tensor,
  tensor,
} from '@ao/core';
import type { CausalLM } from '../models/causal-lm.ts';
import type { StaticCache } from '../models/kv-cache.ts';
import { LogitProcessing } from './logit-processing.ts';
import { LogProbs, type TokenLogprob } from './logprobs.ts';
import type { Sampling } from './options.ts';
import type { PastKeyValues } from './past-key-values.ts';

/** Prompt tokens a call: bounds scratch memory and the time between looks at the abort signal. */
export const CHUNK = 512;

type Verified = readonly [ids: Tensor, positions: Tensor, state: Tensor];

/** What a step chose for each sequence. */
export interface Chosen {
  readonly ids: ArrayLike<number>;
  readonly logprobs?: readonly TokenLogprob[] | undefined;
}

export class Decoder {
  readonly #model: CausalLM;
  readonly #batch: number;
  readonly #cache: StaticCache;
  readonly #token: Tensor;
  readonly #state: Tensor;
  readonly #options: SampleOptions;
  readonly #logits: LogitProcessing | undefined;
  readonly #logprobs: LogProbs | undefined;
  readonly #captured: boolean;
  readonly #seed: number;
  readonly #past: PastKeyValues | undefined;
  #plan: Plan | undefined;
  /** By how many tokens they read. */
  readonly #verifications = new Map<number, Plan>();

  /** `length`: most positions of a sequence. `past` is open: its cache is used and stays its own. */
  constructor(model: CausalLM, batch: number, length: number, sampling: Sampling, past?: PastKeyValues) {
    const { rt, device } = model;
    const state = Array.from({ length: batch }, (_, b) => [(sampling.seed + b) | 0, 0]);
    this.#model = model;
    this.#batch = batch;
    this.#past = past;
    this.#cache = past?.cache ?? model.createCache(length, batch, sampling.kvCache);
    this.#seed = sampling.seed;
    this.#token = keep(tensor(rt, new Int32Array(batch), { dtype: int32, device }));
    this.#state = keep(tensor(rt, state, { dtype: int32, device }));
    this.#options = {
      temperature: sampling.temperature,
      topK: sampling.topK ?? 0,
      topP: sampling.topP ?? 1,
      minP: sampling.minP ?? 0,
    };
    const shape = { batch, vocabSize: model.vocabSize, length, device };
    if (sampling.logits || sampling.responseFormat) this.#logits = new LogitProcessing(rt, shape, sampling);
    if (sampling.logprobs !== undefined) this.#logprobs = new LogProbs(rt, batch, sampling.logprobs, device);
    this.#captured = sampling.cacheImplementation === 'static' && model.capturable;
  }

  /**
   * Reads one prompt for each sequence but the `cached` ids that are there, neighbours with the same array once; resolves with
   * their first new tokens.
   */
  async prefill(prompts: readonly (readonly number[])[], signal?: AbortSignal, cached = 0): Promise<Chosen> {
    for (const [b, ids] of prompts.entries()) {
      if (b > 0 && prompts[b - 1] === ids) continue;
      const others = prompts.slice(b).findIndex((p) => p !== ids);
      const copies = others < 0 ? prompts.length - b : others;
      for (let at = cached; at < ids.length; at += CHUNK) {
        if (b + at > cached) await this.#model.rt.backend(this.#model.device).sync();
        signal?.throwIfAborted();
        this.#readPrompt(b, copies, ids, at);
      }
    }
    return this.#read();
  }

  /** Queues one step; resolves with the tokens it chose once it has run. */
  step(): Promise<Chosen> {
    if (this.#captured) {
      this.#plan ??= this.#model.rt.capture(() => this.#advance());
      for (const t of this.#plan.replay()) t.dispose();
    } else scope(() => this.#advance());
    return this.#read();
  }

  /**
   * Reads ids of the one sequence from position `at`; resolves with the token chosen after each, as steps would choose it:
   * `draws` of them were chosen before. A step goes on from the last.
   */
  async verify(ids: readonly number[], at: number, draws: number): Promise<ArrayLike<number>> {
    const { rt, device } = this.#model;
    const n = ids.length;
    const int = (values: readonly number[], shape: readonly number[]): Tensor =>
      keep(tensor(rt, Int32Array.from(values), { shape, dtype: int32, device }));
    const inputs = [
      int(ids, [1, n]),
      int(
        Array.from(ids, (_, i) => at + i),
        [n],
      ),
      int(
        ids.flatMap((_, i) => [this.#seed, draws + i]),
        [n, 2],
      ),
    ] as const;
    this.#cache.truncate(at);
    const chosen = this.#captured
      ? this.#verification(n, inputs).replay(...inputs)[0]!
      : scope(() => this.#choices(...inputs));
    for (const t of inputs) t.dispose();
    try {
      return (await chosen.data()) as Int32Array;
    } finally {
      chosen.dispose();
    }
  }

  /** Nobody reads sequence b any more. Its row goes on from position 0, so that it costs little and never leaves the cache. */
  leave(b: number): void {
    this.#cache.truncate(0, b);
    this.#logits?.leave(b);
  }

  /** The tokens that sequence b may choose next, as bits int32 [ceil(V / 32)]. */
  allow(b: number, mask: Int32Array): void {
    this.#logits!.allow(b, mask);
  }

  dispose(): void {
    this.#logits?.dispose();
    this.#logprobs?.dispose();
    for (const plan of [this.#plan, ...this.#verifications.values()]) plan?.dispose();
    if (this.#past === undefined) this.#cache.dispose();
    this.#token.dispose();
    this.#state.dispose();
  }

  /** One chunk of the prompt of sequences b to b + copies - 1, from `at`; after the last their first new tokens are chosen. */
  #readPrompt(b: number, copies: number, ids: readonly number[], at: number): void {
    const { rt, device } = this.#model;
    const part = ids.slice(at, at + CHUNK);
    scope(() => {
      const cache = this.#cache.sequence(b);
      const x = tensor(rt, Int32Array.from(part), { shape: [1, part.length], dtype: int32, device });
      const h = this.#model.hidden(x, { cache, positions: arange(rt, at, at + part.length, 1, { device }) });
      addScalar_(cache.pos, part.length);
      this.#past?.push(part);
      if (at + part.length < ids.length) return;
      const last = slice(h, 1, part.length - 1, part.length);
      for (let c = b; c < b + copies; c++) {
        if (c > b) this.#cache.fork(b, c, ids.length);
        this.#logits?.begin(c, ids);
        const own = (t: Tensor): Tensor => slice(t, 0, c, c + 1);
        this.#choose(own(this.#token), last, own(this.#state), c);
      }
    });
  }

  #advance(): void {
    const { pos } = this.#cache;
    const x = reshape(this.#token, [this.#batch, 1]);
    const h = this.#model.hidden(x, { cache: this.#cache, positions: reshape(pos, [this.#batch, 1]) });
    addScalar_(pos, 1);
    this.#choose(this.#token, h, this.#state);
  }

  #verification(n: number, inputs: Verified): Plan {
    let plan = this.#verifications.get(n);
    if (plan === undefined) {
      plan = this.#model.rt.capture((ids, positions, state) => this.#choices(ids!, positions!, state!), ...inputs);
      this.#verifications.set(n, plan);
    }
    return plan;
  }

  /** The token after each of ids [1, T]; the last, its state and position are what a step reads. */
  #choices(ids: Tensor, positions: Tensor, state: Tensor): Tensor {
    const { rt, device } = this.#model;
    const n = ids.numel;
    const h = this.#model.hidden(ids, { cache: this.#cache, positions });
    addScalar_(this.#cache.pos, n);
    const chosen = empty(rt, [n], { dtype: int32, device });
    this.#choose(chosen, h, state);
    copy_(this.#token, slice(chosen, 0, n - 1, n));
    copy_(this.#state, slice(state, 0, n - 1, n));
    return chosen;
  }

  /** h [N, 1, H], or [1, N, H] of one sequence -> the next token of all, or the first of sequence b alone. */
  #choose(token: Tensor, h: Tensor, state: Tensor, b?: number): void {
    const logits = noGrad(() => reshape(this.#model.head(h), [token.numel, this.#model.vocabSize]));
    const logp = this.#logprobs?.of(logits);
    const last = b === undefined ? token : undefined;
    sample_(token, this.#logits?.apply(logits, last, b) ?? logits, state, this.#options);
    if (logp !== undefined) this.#logprobs!.record(logp, token, b);
  }

  async #read(): Promise<Chosen> {
    const ids = this.#token.data() as Promise<Int32Array>;
    const logprobs = this.#logprobs?.read(ids);
    return { ids: await ids, logprobs: await logprobs };
  }
}
