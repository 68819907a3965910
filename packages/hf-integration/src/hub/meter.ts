// Meter: the progress of a download over all its files: bytes that are there of all that are wanted, the rate of the last few
// seconds, and the seconds left at that rate. What an earlier download had left counts as there, but not for the rate.
import type { OnProgress } from '../progress.ts';

const WINDOW = 5000;
const EVERY = 100;

export class Meter {
  readonly #total: number;
  readonly #onProgress: OnProgress;
  readonly #now: () => number;
  /** Times and bytes that came until then. */
  readonly #marks: { readonly time: number; readonly came: number }[];
  #loaded = 0;
  #came = 0;
  #told = Number.NEGATIVE_INFINITY;

  constructor(total: number, onProgress: OnProgress, now: () => number = () => performance.now()) {
    this.#total = total;
    this.#onProgress = onProgress;
    this.#now = now;
    this.#marks = [{ time: now(), came: 0 }];
  }

  /** `fresh`: they came over the wire now. */
  add(name: string, bytes: number, fresh: boolean): void {
    this.#loaded += bytes;
    if (fresh && bytes > 0) this.#came += bytes;
    const time = this.#now();
    const done = this.#loaded === this.#total;
    if (!done && time - this.#told < EVERY) return;
    this.#told = time;
    this.#marks.push({ time, came: this.#came });
    while (this.#marks.length > 2 && time - this.#marks[1]!.time >= WINDOW) this.#marks.shift();
    const first = this.#marks[0]!;
    const bytesPerSecond = time > first.time ? (1000 * (this.#came - first.came)) / (time - first.time) : 0;
    const left = this.#total - this.#loaded;
    this.#onProgress({
      phase: 'download',
      name,
      loaded: this.#loaded,
      total: this.#total,
      bytesPerSecond,
      ...(bytesPerSecond > 0 && { secondsLeft: left / bytesPerSecond }),
    });
  }
}
