// HistogramObserver: clips by all data, not by batches. |x| (of asymmetric ranges x) is counted in bins of one width, which double
// when larger values come, so that nothing is forgotten; of the thresholds between bins the one is taken whose
//   sum over bins of count * E[(x - quantized(x))^2],  step^2 / 12 within the range, (x - limit)^2 beyond it
// is least. As torch.ao's HistogramObserver, whose search goes inward from both ends; this one tries all ends of `steps`.
import { AoError, add, cast, type Dense, float32, keep, reshape, scope, type Tensor, tensor } from '@ao/core';
import { AffineQuantizedObserver, largestOf, minMaxOf, type ObserverOptions, type Range } from './observer.ts';

export interface HistogramObserverOptions extends ObserverOptions {
  /** An even number; default 2048. */
  readonly bins?: number;
}

export class HistogramObserver extends AffineQuantizedObserver {
  readonly #bins: number;
  /** Counts of bins of `#width` from -bins / 2 to bins / 2. */
  #counts: Float64Array | undefined;
  #width = 0;
  readonly #waiting: Tensor[] = [];

  constructor(options: HistogramObserverOptions) {
    super(options);
    this.#bins = options.bins ?? 2048;
    if (options.granularity.type !== 'PerTensor' || !(this.#bins >= 16 && this.#bins % 2 === 0)) {
      throw new AoError('ERR_AO_CONFIG', `a histogram of ${this.#bins} bins, ${options.granularity.type}`, {
        op: 'observe',
        fix: 'use perTensor() and an even number of bins from 16',
      });
    }
  }

  protected observe(x: Dense, before: Range | undefined): Range {
    this.#waiting.push(keep(cast(add(reshape(x, [-1]), 0), float32)));
    // until it has settled: the range of the last batch
    return before === undefined || this.#counts === undefined ? minMaxOf(x, this.options.granularity) : copyOf(before);
  }

  override async settle(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const [first] = this.#waiting as [Tensor];
    const { rt, device, shape } = { rt: first.rt, device: first.device, shape: this.range?.min.shape ?? [1] };
    for (const t of this.#waiting.splice(0)) {
      const values = (await t.data()) as Float32Array;
      t.dispose();
      this.#count(values);
    }
    const [low, high] = this.#best();
    const make = (v: number): Tensor =>
      keep(scope(() => reshape(tensor(rt, Float32Array.of(v), { dtype: float32, device }), shape)));
    this.range?.min.dispose();
    this.range?.max.dispose();
    this.range = { min: make(low), max: make(high) };
    this.range.min.guard();
    this.range.max.guard();
  }

  #count(values: Float32Array): void {
    const half = this.#bins / 2;
    let top = 0;
    for (const v of values) top = Math.max(top, Math.abs(v));
    if (!Number.isFinite(top)) {
      this.#counts = undefined;
      this.#width = Number.NaN;
      return;
    }
    if (Number.isNaN(this.#width)) return;
    this.#counts ??= new Float64Array(this.#bins);
    if (this.#width === 0) this.#width = top / half;
    while (this.#width * half < top) this.#double();
    const counts = this.#counts;
    for (const v of values) {
      const at = this.#width === 0 ? half : Math.floor(v / this.#width) + half;
      counts[Math.min(Math.max(at, 0), this.#bins - 1)]! += 1;
    }
  }

  /** Two neighbours become one bin. */
  #double(): void {
    const half = this.#bins / 2;
    const next = new Float64Array(this.#bins);
    for (const [i, n] of (this.#counts as Float64Array).entries()) next[Math.floor((i - half) / 2) + half]! += n;
    this.#counts = next;
    this.#width *= 2;
  }

  /** The range with the least error; NaN where the data held NaN or infinity. */
  #best(): [low: number, high: number] {
    if (this.#counts === undefined) return [Number.NaN, Number.NaN];
    const { mappingType, quantMin = -128, quantMax = 127, targetDtype } = this.options;
    const half = this.#bins / 2;
    const edge = (i: number): number => (i - half) * this.#width;
    const filled = [...this.#counts.keys()].filter((i) => this.#counts?.[i]);
    const [first, last] = [edge(filled[0] ?? half), edge((filled.at(-1) ?? half) + 1)];
    // codes of a float dtype are finest near 0: clipping gains nothing
    if (largestOf(targetDtype) !== undefined || this.#width === 0) return [first, last];
    const sums = this.#sums();
    const steps = quantMax - quantMin;
    const cost = (low: number, high: number): number => {
      const step = (high - low) / steps;
      return (sums.within(low, high) * (step * step)) / 12 + sums.below(low) + sums.above(high);
    };
    if (mappingType === 'SYMMETRIC') {
      let best: [number, number] = [-Math.max(-first, last), Math.max(-first, last)];
      let least = Number.POSITIVE_INFINITY;
      for (let i = 1; i <= half; i++) {
        const c = cost(-i * this.#width, i * this.#width);
        if (c < least) [least, best] = [c, [-i * this.#width, i * this.#width]];
      }
      return best;
    }
    return this.#descend(Math.min(first, 0), Math.max(last, 0), cost);
  }

  /** From both ends inward, the end that gains more first, until none does. */
  #descend(low: number, high: number, cost: (low: number, high: number) => number): [number, number] {
    let best: [number, number] = [low, high];
    let least = cost(low, high);
    let [a, b] = best;
    const step = this.#width;
    while (a + step <= 0 || b - step >= 0) {
      const left = a + step <= 0 && a + step < b ? cost(a + step, b) : Number.POSITIVE_INFINITY;
      const right = b - step >= 0 && a < b - step ? cost(a, b - step) : Number.POSITIVE_INFINITY;
      if (left === Number.POSITIVE_INFINITY && right === Number.POSITIVE_INFINITY) break;
      if (left <= right) a += step;
      else b -= step;
      const now = Math.min(left, right);
      if (now < least) [least, best] = [now, [a, b]];
    }
    return best;
  }

  /** Counts within a range and squared distances beyond it, by running sums over bins. */
  #sums() {
    const counts = this.#counts as Float64Array;
    const half = this.#bins / 2;
    const n = new Float64Array(this.#bins + 1);
    const x = new Float64Array(this.#bins + 1);
    const xx = new Float64Array(this.#bins + 1);
    for (let i = 0; i < this.#bins; i++) {
      const center = (i - half + 0.5) * this.#width;
      n[i + 1] = (n[i] as number) + (counts[i] as number);
      x[i + 1] = (x[i] as number) + (counts[i] as number) * center;
      xx[i + 1] = (xx[i] as number) + (counts[i] as number) * center * center;
    }
    const at = (v: number): number => Math.min(Math.max(Math.round(v / this.#width) + half, 0), this.#bins);
    const beyond = (from: number, to: number, limit: number): number => {
      const d = (s: Float64Array): number => (s[to] as number) - (s[from] as number);
      return d(xx) - 2 * limit * d(x) + limit * limit * d(n);
    };
    return {
      within: (low: number, high: number) => (n[at(high)] as number) - (n[at(low)] as number),
      below: (low: number) => beyond(0, at(low), low),
      above: (high: number) => beyond(at(high), this.#bins, high),
    };
  }

  override dispose(): void {
    for (const t of this.#waiting.splice(0)) t.dispose();
    super.dispose();
  }
}

const copyOf = ({ min, max }: Range): Range => ({ min: add(min, 0), max: add(max, 0) });
