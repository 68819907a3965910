// Log-likelihoods of token sequences, in nats: sum of log p(id | the ids before it) over the last `count` ids of each. A sequence
// that begins like the one before it (endings of one context) is read from where it differs.
import { AoError, prepare } from '@ao/core';
import type { CausalLM } from '../models/causal-lm.ts';
import type { StaticCache } from '../models/kv-cache.ts';
import { tokenLosses } from './token-losses.ts';

export class LogLikelihood {
  readonly #model: CausalLM;
  #cache: StaticCache | undefined;
  /** The ids that the cache holds. */
  #held: readonly number[] = [];

  private constructor(model: CausalLM) {
    this.#model = model;
  }

  static async of(model: CausalLM): Promise<LogLikelihood> {
    await prepare(model);
    return new LogLikelihood(model);
  }

  /** At least one id stands before the last `count`; at most one more than the model has positions. */
  async score(ids: readonly number[], count: number): Promise<number> {
    const { maxPositions } = this.#model;
    if (count < 1 || ids.length <= count || ids.length > maxPositions + 1) {
      throw new AoError(
        'ERR_AO_CONFIG',
        `${count} of ${ids.length} ids to predict, the model has ${maxPositions} positions`,
        {
          op: 'logLikelihood',
          fix: 'give an id before those, and at most one more than the model has positions',
        },
      );
    }
    const inputs = ids.slice(0, -1);
    const cache = this.#room(inputs.length);
    const first = inputs.length - count;
    let shared = 0;
    while (shared < first && shared < this.#held.length && inputs[shared] === this.#held[shared]) shared++;
    this.#held = [];
    const losses = await tokenLosses(this.#model, cache, inputs.slice(shared), ids.slice(-count), shared);
    this.#held = inputs;
    return -losses.reduce((sum, loss) => sum + loss, 0);
  }

  /** A cache for so many positions: the same while it is long enough. */
  #room(length: number): StaticCache {
    if (this.#cache !== undefined && this.#cache.length >= length) return this.#cache;
    this.#cache?.dispose();
    this.#held = [];
    this.#cache = this.#model.createCache(Math.min(this.#model.maxPositions, Math.max(2 * length, 512)));
    return this.#cache;
  }

  [Symbol.dispose](): void {
    this.#cache?.dispose();
  }
}
