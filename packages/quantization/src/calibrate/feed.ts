// The calibration data: streamed once, kept for later passes.
export class Feed<T> implements AsyncIterable<T> {
  readonly #source: AsyncIterator<T> | Iterator<T>;
  readonly #seen: T[] = [];
  #ended = false;

  constructor(source: AsyncIterable<T> | Iterable<T>) {
    this.#source =
      Symbol.asyncIterator in source
        ? (source as AsyncIterable<T>)[Symbol.asyncIterator]()
        : (source as Iterable<T>)[Symbol.iterator]();
  }

  /** Batches that were read so far. */
  get count(): number {
    return this.#seen.length;
  }

  /** Batch i, which was read. */
  at(i: number): T {
    return this.#seen[i] as T;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (let i = 0; ; i++) {
      if (i === this.#seen.length) {
        if (this.#ended) return;
        const { value, done } = await this.#source.next();
        if (done === true) {
          this.#ended = true;
          return;
        }
        this.#seen.push(value as T);
      }
      yield this.#seen[i] as T;
    }
  }

  /** Lets the source go where not all of it was read. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#source.return?.();
    this.#ended = true;
  }
}
