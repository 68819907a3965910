// Generation: one run of generate. Iterate it for pieces as they come, or await it for the whole; both may be done.

import { AoError } from '@ao/core';
import type { TokenLogprob } from './logprobs.ts';

export interface Piece {
  /** Which prompt it continues; 0 where there is one. */
  readonly sequence: number;
  readonly id: number;
  /** What this id adds to the text; '' without a tokenizer and inside a character. */
  readonly text: string;
  /** Of `id`; only where logprobs are asked for. */
  readonly logprob?: TokenLogprob;
}

export type FinishReason = 'stop' | 'length';

export interface GenerationResult {
  readonly promptIds: readonly number[];
  /** The new ids; the one that ended the text is the last. */
  readonly ids: readonly number[];
  /** The new text, without stop strings and special tokens; '' without a tokenizer. */
  readonly text: string;
  readonly finishReason: FinishReason;
  /** Ids of the prompt whose keys and values were there already (pastKeyValues). */
  readonly cachedTokens: number;
  /** Ids of the prompt that were read: the others. */
  readonly prefilledTokens: number;
  /** Of each of `ids`; only where they are asked for. */
  readonly logprobs?: readonly TokenLogprob[];
  /** Of this sequence; those of a batch add up. */
  readonly prefillTokensPerSecond: number;
  /** Over the tokens after the first; 0 where there is none. */
  readonly decodeTokensPerSecond: number;
  /** With promptLookupNumTokens or assistantModel. */
  readonly speculation?: Speculation;
}

export interface Speculation {
  /** Ids that were proposed, and those of them that the model chose as well. */
  readonly drafted: number;
  readonly accepted: number;
  /** accepted / drafted; 0 where nothing was proposed. */
  readonly acceptanceRate: number;
  /** Calls of the model after the prompt. */
  readonly rounds: number;
}

/** R is the result: one, or for several prompts an array in their order. */
export class Generation<R = GenerationResult> implements AsyncIterable<Piece>, PromiseLike<R> {
  readonly #run: () => AsyncGenerator<Piece, R>;
  #started = false;
  #result: Promise<R> | undefined;
  #settle: { resolve(r: R): void; reject(e: unknown): void } | undefined;

  constructor(run: () => AsyncGenerator<Piece, R>) {
    this.#run = run;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Piece, void> {
    if (this.#started)
      throw new Error('this generation runs already: iterate or await it once, or call generate again');
    this.#started = true;
    const pieces = this.#run();
    let done = false;
    try {
      for (;;) {
        const next = await pieces.next();
        if (next.done) {
          done = true;
          this.#settle?.resolve(next.value);
          this.#result ??= Promise.resolve(next.value);
          return;
        }
        yield next.value;
      }
    } catch (error) {
      done = true;
      this.#settle?.reject(error);
      throw error;
    } finally {
      if (!done) {
        await pieces.return(undefined as never);
        this.#settle?.reject(
          new AoError('ERR_AO_STREAM', 'the generation was left before its end', {
            op: 'generate',
            fix: 'iterate to the end',
          }),
        );
      }
    }
  }

  // biome-ignore lint/suspicious/noThenProperty: a generation is awaited like a promise
  then<A = R, B = never>(
    onResult?: ((value: R) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.result().then(onResult, onError);
  }

  private result(): Promise<R> {
    if (this.#result) return this.#result;
    this.#result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    if (!this.#started) void this.#drain();
    return this.#result;
  }

  async #drain(): Promise<void> {
    try {
      for await (const _ of this);
    } catch {
      // the promise has it
    }
  }
}
