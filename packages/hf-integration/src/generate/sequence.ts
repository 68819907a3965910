// Sequence: one prompt and what follows it, up to an end id, a stop string or its most new tokens.

import type { Matcher } from '../grammar/constraint.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { FinishReason, GenerationResult } from './generation.ts';
import type { TokenLogprob } from './logprobs.ts';
import type { Sampling } from './options.ts';
import { StopStrings } from './stop-strings.ts';

export class Sequence {
  readonly promptIds: readonly number[];
  readonly most: number;
  readonly ids: number[] = [];
  /** Where the text stands in the response format. */
  readonly matcher: Matcher | undefined;
  ended = false;
  readonly #ends: ReadonlySet<number>;
  readonly #stream: ReturnType<Tokenizer['stream']> | undefined;
  readonly #stops: StopStrings;
  readonly #logprobs: TokenLogprob[] = [];
  #text = '';
  #finishReason: FinishReason = 'length';
  #last = 0;

  constructor(
    promptIds: readonly number[],
    most: number,
    { stopStrings, eosTokenIds }: Sampling,
    tokenizer: Tokenizer | undefined,
    matcher?: Matcher,
  ) {
    this.matcher = matcher;
    this.promptIds = promptIds;
    this.most = most;
    this.#ends = eosTokenIds;
    this.#stream = tokenizer?.stream();
    this.#stops = new StopStrings(stopStrings);
  }

  /** Takes the next id, which came at `time` (ms); what it adds to the text. */
  push(id: number, time: number, logprob?: TokenLogprob): string {
    this.ids.push(id);
    if (logprob !== undefined) this.#logprobs.push(logprob);
    this.#last = time;
    let text = '';
    const end = this.#ends.has(id);
    if (!end) this.matcher?.accept(id);
    if (end || this.matcher?.complete) this.#finishReason = 'stop';
    if (!end) text = this.#stops.push(this.#stream?.push(id) ?? '');
    if (this.#stops.matched !== undefined) this.#finishReason = 'stop';
    this.ended = this.#finishReason === 'stop' || this.ids.length >= this.most;
    if (this.ended && this.#stops.matched === undefined)
      text += this.#stops.push(this.#stream?.end() ?? '') + this.#stops.end();
    this.#text += text;
    return text;
  }

  /** The ids that were certainly read: all but the last, or as far as the prompt was read. */
  read(prefilled: readonly number[]): readonly number[] {
    return this.ids.length === 0 ? prefilled : [...this.promptIds, ...this.ids.slice(0, -1)];
  }

  /** The tokens that may come next, as bits: only for a sequence with a response format. */
  mask(): Int32Array {
    return this.matcher!.mask(this.most - this.ids.length - 1);
  }

  /** The whole, of a prefill that took from `start` to `first` (ms) and found `cached` ids of the prompt read already. */
  result(start: number, first: number, cached = 0): GenerationResult {
    const { promptIds, ids } = this;
    return {
      promptIds,
      ids,
      text: this.#text,
      finishReason: this.#finishReason,
      ...(this.#logprobs.length > 0 ? { logprobs: this.#logprobs } : {}),
      cachedTokens: cached,
      prefilledTokens: promptIds.length - cached,
      prefillTokensPerSecond: ((promptIds.length - cached) / (first - start)) * 1000,
      decodeTokensPerSecond: ids.length > 1 ? ((ids.length - 1) / (this.#last - first)) * 1000 : 0,
    };
  }
}
