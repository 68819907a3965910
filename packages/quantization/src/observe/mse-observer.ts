// AffineQuantizedMSEObserver: clips outliers where that rounds the rest better. Of the thresholds t_i = i / steps max|x|, i = 1 to
// steps, the one with the least mean of (x - quantized(x; -t, t))^2, for each block (torchao; Wei et al. 2022, arXiv 2209.13325).
// Of several batches the mean of their thresholds, where torchao forgets all but the last.
import {
  abs,
  add,
  cast,
  type Dense,
  div,
  dtypeByName,
  fakeQuantizeAffine,
  float32,
  keep,
  lt,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  reshape,
  scope,
  sub,
  type Tensor,
  where,
} from '@ao/core';
import { blockSizeOf } from '../config/granularity.ts';
import {
  AffineQuantizedObserver,
  blocksOf,
  largestOf,
  minMaxOf,
  type ObserverOptions,
  overBlocks,
  qparamsOf,
  type Range,
  requireSameBlocks,
} from './observer.ts';

export interface MSEObserverOptions extends ObserverOptions {
  /** Thresholds that are tried. Default 100. */
  readonly steps?: number;
  /** Only the first batch counts. */
  readonly runOnce?: boolean;
}

export class AffineQuantizedMSEObserver extends AffineQuantizedObserver {
  readonly #steps: number;
  readonly #runOnce: boolean;
  #batches = 0;

  constructor(options: MSEObserverOptions) {
    super(options);
    this.#steps = options.steps ?? 100;
    this.#runOnce = options.runOnce ?? false;
  }

  protected observe(x: Dense, before: Range | undefined): Range {
    if (before !== undefined && this.#runOnce) return { min: add(before.min, 0), max: add(before.max, 0) };
    const now = this.#search(x);
    this.#batches += 1;
    if (before === undefined) return now;
    requireSameBlocks(before, now);
    const mixed = (a: Tensor, b: Tensor): Tensor => add(a, div(sub(b, a), this.#batches));
    return { min: mixed(before.min, now.min), max: mixed(before.max, now.max) };
  }

  #search(x: Dense): Range {
    let { min, max } = minMaxOf(x, this.options.granularity);
    const top = maximum(abs(min), max);
    let least: Tensor = add(mul(min, 0), 1e9);
    for (let i = 1; i <= this.#steps; i++) {
      [min, max, least] = scope(() => {
        const limit = mul(div(top, this.#steps), i);
        const loss = this.#loss(x, { min: neg(limit), max: limit });
        const better = lt(loss, least);
        return [where(better, neg(limit), min), where(better, limit, max), minimum(loss, least)].map(keep);
      }) as [Tensor, Tensor, Tensor];
    }
    return { min, max };
  }

  #loss(x: Dense, range: Range): Tensor {
    const { granularity, targetDtype, quantMin, quantMax } = this.options;
    const [scale, zero] = qparamsOf(range, this.options);
    const block = blockSizeOf(x.shape, granularity);
    const { view, dims } = blocksOf(x.shape, granularity);
    const spread = (t: Tensor): Tensor =>
      reshape(
        t,
        view.map((n, i) => (i % 2 === 0 ? n : 1)),
      );
    const top = largestOf(targetDtype);
    const limits = { quantMin, quantMax };
    const rounded =
      top === undefined
        ? fakeQuantizeAffine(x, block, scale, zero, 'int8', limits)
        : reshape(roundedFloat(reshape(x, view), spread(scale), top, targetDtype), x.shape);
    const error = sub(rounded, x);
    return reshape(overBlocks(reshape(mul(error, error), view), dims, mean), scale.shape);
  }
}

function roundedFloat(x: Tensor, scale: Tensor, top: number, targetDtype: string): Tensor {
  const codes = minimum(maximum(div(x, scale), -top), top);
  return mul(cast(cast(codes, dtypeByName(targetDtype)), float32), scale);
}
