// The order of rows: each epoch in an order of its own, drawn by Fisher-Yates from Philox (key seed, counter (i, epoch)), so that the number
// of rows drawn so far says where it stands.
import { AoError, philox } from '@ao/core';

export interface SamplerOptions {
  /** 0 unless given. */
  readonly seed?: number;
  /** false: rows in their order, again and again. */
  readonly shuffle?: boolean;
}

/** The order of n rows in an epoch. */
export function permutation(n: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((philox(seed, i, epoch)[0] / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

export class Sampler {
  /** Rows drawn so far, over all epochs: set it to go on from there. */
  position = 0;
  readonly length: number;
  readonly #seed: number;
  readonly #shuffle: boolean;
  #order: { readonly epoch: number; readonly rows: Uint32Array } | undefined;

  constructor(length: number, { seed = 0, shuffle = true }: SamplerOptions = {}) {
    if (!(Number.isInteger(length) && length > 0))
      throw new AoError('ERR_AO_CONFIG', `a sampler of ${length} rows`, { fix: 'give a dataset that has rows' });
    this.length = length;
    this.#seed = seed;
    this.#shuffle = shuffle;
  }

  /** The next rows; after the last of an epoch come those of the next one. */
  next(count: number): number[] {
    return Array.from({ length: count }, () => {
      const at = this.position++;
      const index = at % this.length;
      return this.#shuffle ? this.#epoch(Math.floor(at / this.length))[index]! : index;
    });
  }

  #epoch(epoch: number): Uint32Array {
    if (this.#order?.epoch !== epoch) this.#order = { epoch, rows: permutation(this.length, this.#seed, epoch) };
    return this.#order.rows;
  }
}
