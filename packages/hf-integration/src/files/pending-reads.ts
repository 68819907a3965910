// PendingReads: reads that a backend does in its own time. What follows from them is enqueued at once; only so much may be
// under way that an abort or an error is soon felt.

/** Limits of what may be under way. */
const BYTES = 512 << 20;
const READS = 512;

export class PendingReads {
  readonly #reads: { done: Promise<void>; readonly nbytes: number }[] = [];
  #bytes = 0;

  /** Resolves once there is room for more; rejects where a read that it waited for failed. */
  async add(done: Promise<void>, nbytes: number): Promise<void> {
    this.#reads.push({ done: silent(done), nbytes });
    this.#bytes += nbytes;
    while (this.#bytes > BYTES || this.#reads.length > READS) await this.#oldest();
  }

  /** Calls fn once what was added so far is done. */
  after(fn: () => void): void {
    const last = this.#reads.at(-1);
    if (last === undefined) fn();
    else last.done = silent(last.done.then(fn));
  }

  /** Resolves when all are done; rejects with the first that failed. */
  async all(): Promise<void> {
    while (this.#reads.length > 0) await this.#oldest();
  }

  /** Waits for the end of all, however they end: the file may be closed then. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#reads.splice(0).map((read) => read.done));
  }

  async #oldest(): Promise<void> {
    const { done, nbytes } = this.#reads.shift()!;
    this.#bytes -= nbytes;
    await done;
  }
}

/** A rejection before its turn is no unhandled one: who awaits the promise gets it. */
function silent(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
