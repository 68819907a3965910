// PastKeyValues: keys and values of one text that outlive a generation, and the ids they belong to. The next prompt is read
// from where it differs: what a position holds depends on the ids up to it alone.
import { AoError, copy_, scope, slice } from '@ao/core';
import { cacheLayout, type KVCacheFormat, layoutName } from '../models/cache-layout.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { StaticCache } from '../models/kv-cache.ts';

/** How many ids a and b begin with in common. */
export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[n] === b[n]) n++;
  return n;
}

export class PastKeyValues {
  readonly model: CausalLM;
  #cache: StaticCache | undefined;
  #ids: number[] = [];
  #busy = false;
  #assistant: PastKeyValues | undefined;

  /** Holds nothing until a generation reads a prompt into it. */
  constructor(model: CausalLM) {
    this.model = model;
  }

  /** Whose keys and values it holds, position by position. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** undefined until something was read. */
  get cache(): StaticCache | undefined {
    return this.#cache;
  }

  /**
   * Takes hold of it for one generation: room for `length` positions, of which the first `cached` hold what `ids` begins
   * with. The last id is never among them: what follows it is known by reading it.
   */
  open(ids: readonly number[], length: number, format: KVCacheFormat): { cache: StaticCache; cached: number } {
    if (this.#busy) {
      throw new AoError('ERR_AO_CONFIG', 'pastKeyValues: another generation is using them', {
        op: 'generate',
        fix: 'await the running one first, or give each text its own',
      });
    }
    const name = layoutName(cacheLayout(format, this.model.dtype));
    if (this.#cache !== undefined && layoutName(this.#cache.layout) !== name) this.reset();
    const cached = Math.min(commonPrefix(this.#ids, ids), ids.length - 1);
    this.#ids = this.#ids.slice(0, cached);
    const cache = this.#room(length, format, cached);
    cache.truncate(cached);
    this.#busy = true;
    return { cache, cached };
  }

  /** These ids are being read behind the others. */
  push(ids: readonly number[]): void {
    for (const id of ids) this.#ids.push(id);
  }

  /** The generation has ended; `ids` is what is known to be in the cache. Without them nothing is. */
  close(ids?: readonly number[]): void {
    this.#busy = false;
    if (ids === undefined) this.reset();
    else this.#ids = [...ids];
  }

  /** Holds what `write` puts into the first positions of a cache: the keys and values of `ids`. */
  async fill(
    ids: readonly number[],
    format: KVCacheFormat,
    write: (cache: StaticCache) => Promise<void>,
  ): Promise<void> {
    this.reset();
    await write(this.#room(ids.length, format, 0));
    this.#ids = [...ids];
  }

  /** Those of a draft model that reads the same text. */
  assistant(model: CausalLM): PastKeyValues {
    if (this.#assistant?.model !== model) {
      this.#assistant?.dispose();
      this.#assistant = new PastKeyValues(model);
    }
    return this.#assistant;
  }

  /** Forgets everything and frees it. */
  reset(): void {
    this.#cache?.dispose();
    this.#cache = undefined;
    this.#ids = [];
  }

  dispose(): void {
    this.reset();
    this.#assistant?.dispose();
    this.#assistant = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A cache of `length` positions or more, the first `kept` as they were. It grows by doubling. */
  #room(length: number, format: KVCacheFormat, kept: number): StaticCache {
    const old = this.#cache;
    if (old !== undefined && old.length >= length) return old;
    const doubled = Math.min(2 * (old?.length ?? 0), this.model.maxPositions);
    const grown = this.model.createCache(Math.max(length, doubled), 1, format);
    if (old !== undefined && kept > 0) {
      scope(() => {
        for (const [to, from] of [...pairs(grown.keys, old.keys), ...pairs(grown.values, old.values)])
          copy_(slice(to, 2, 0, kept), slice(from, 2, 0, kept));
      });
    }
    old?.dispose();
    this.#cache = grown;
    return grown;
  }
}

function pairs<T>(a: readonly T[], b: readonly T[]): [T, T][] {
  return a.map((x, i) => [x, b[i]!]);
}
