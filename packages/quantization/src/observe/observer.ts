// Observers: what a tensor of activations holds over many batches, and the scale and zero point that follow from it, under
// torchao's names. Statistics stay on the device; nothing is read before calculateQparams.
import {
  AoError,
  amax,
  amin,
  cast,
  chooseQparamsAffineWithMinMax,
  type Dense,
  type DType,
  div,
  dtypeByName,
  float32,
  keep,
  maximum,
  minimum,
  mul,
  neg,
  reshape,
  scope,
  type Tensor,
} from '@ao/core';
import { blockSizeOf, type Granularity } from '../config/granularity.ts';

export interface ObserverOptions {
  readonly mappingType: 'SYMMETRIC' | 'ASYMMETRIC';
  /** 'int8', or a float dtype such as 'float8_e4m3fn', whose codes are x / scale. */
  readonly targetDtype: string;
  readonly granularity: Granularity;
  readonly quantMin?: number;
  readonly quantMax?: number;
  /** Least scale. Default 2^-23. */
  readonly eps?: number;
  readonly zeroPointDtype?: DType;
}

/** Least and largest value of each block, float32 of equal shapes. */
export interface Range {
  readonly min: Tensor;
  readonly max: Tensor;
}

/** Sizes [n0 / b0, b0, n1 / b1, b1, ...] and the block dimensions among them. */
export function blocksOf(shape: readonly number[], granularity: Granularity): { view: number[]; dims: number[] } {
  const block = blockSizeOf(shape, granularity);
  const uneven = shape.findIndex((n, i) => n % (block[i] as number) !== 0);
  if (uneven >= 0) {
    throw new AoError('ERR_AO_SHAPE', `blocks of [${block}] do not divide [${shape}]`, {
      op: 'observe',
      fix: 'choose a granularity that divides the shape, or perTensor()',
    });
  }
  return {
    view: shape.flatMap((n, i) => [n / (block[i] as number), block[i] as number]),
    dims: shape.map((_, i) => 2 * i + 1),
  };
}

export abstract class AffineQuantizedObserver {
  readonly options: ObserverOptions;
  #range: Range | undefined;

  constructor(options: ObserverOptions) {
    this.options = options;
  }

  /** Takes in x and gives it back. Empty tensors count for nothing. */
  forward(x: Tensor): Tensor {
    if (x.numel === 0) return x;
    const next = scope(() => {
      const found = this.observe(cast(x, float32) as Dense, this.#range);
      return [found.min, found.max];
    }) as [Tensor, Tensor];
    this.#range?.min.dispose();
    this.#range?.max.dispose();
    for (const t of next) keep(t).guard();
    this.#range = { min: next[0], max: next[1] };
    return x;
  }

  /** The range after x (float32), from the one before. */
  protected abstract observe(x: Dense, before: Range | undefined): Range;

  /** What is waiting on the host to be looked at; awaited after each batch. */
  async settle(): Promise<void> {}

  /** The range that scales are chosen for; undefined before any data. */
  get range(): Range | undefined {
    return this.#range;
  }

  protected set range(range: Range) {
    this.#range = range;
  }

  /** Scale (float32) and zero point, one for each block. Throws ERR_AO_CONFIG before any data. */
  calculateQparams(): [scale: Tensor, zeroPoint: Tensor] {
    if (this.range === undefined) {
      throw new AoError('ERR_AO_CONFIG', 'the observer has seen no data', {
        op: 'calculateQparams',
        fix: 'run the model on calibration data first',
      });
    }
    return qparamsOf(this.range, this.options);
  }

  dispose(): void {
    this.#range?.min.dispose();
    this.#range?.max.dispose();
    this.#range = undefined;
  }
}

/** torchao's choose_qparams_affine_with_min_max; of a float dtype the codes end at its largest finite value. */
export function qparamsOf({ min, max }: Range, o: ObserverOptions): [scale: Tensor, zeroPoint: Tensor] {
  const { eps = 2 ** -23, mappingType, targetDtype, quantMin, quantMax, zeroPointDtype } = o;
  const top = largestOf(targetDtype);
  if (top === undefined) {
    const zero = zeroPointDtype && { zeroPointDtype };
    const options = { quantMin, quantMax, eps, scaleDtype: float32, ...zero };
    return chooseQparamsAffineWithMinMax(min, max, mappingType, targetDtype as 'int8', options);
  }
  if (mappingType !== 'SYMMETRIC') {
    throw new AoError('ERR_AO_CONFIG', `${targetDtype} has no zero point: ${mappingType}`, {
      op: 'calculateQparams',
      fix: "observe with mappingType: 'SYMMETRIC'",
    });
  }
  return scope(() => {
    const scale = maximum(div(maximum(maximum(neg(min), max), 0), top), eps);
    return [scale, mul(scale, 0)];
  }) as [Tensor, Tensor];
}

/** The largest finite value of a float dtype; undefined of an integer one. */
export function largestOf(targetDtype: string): number | undefined {
  if (/^u?int/.test(targetDtype)) return undefined;
  const dtype = dtypeByName(targetDtype);
  let top = 0;
  for (let code = 0; code < 256; code++) {
    const value = dtype.decode(code);
    if (Number.isFinite(value)) top = Math.max(top, value);
  }
  return top;
}

/** A reduction over several dimensions, which are kept with size 1. */
export function overBlocks(
  x: Tensor,
  dims: readonly number[],
  op: (x: Tensor, dim: number, keepdim: boolean) => Tensor,
): Tensor {
  return dims.reduce((t, dim) => (t.shape[dim] === 1 ? t : op(t, dim, true)), x);
}

export function minMaxOf(x: Dense, granularity: Granularity): Range {
  const { view, dims } = blocksOf(x.shape, granularity);
  const grid = view.filter((_, i) => i % 2 === 0);
  const over = (op: typeof amin): Tensor => reshape(overBlocks(reshape(x, view), dims, op), grid);
  return { min: over(amin), max: over(amax) };
}

export function requireSameBlocks(before: Range, now: Range): void {
  if (before.min.shape.join() === now.min.shape.join()) return;
  throw new AoError('ERR_AO_SHAPE', `ranges of [${before.min.shape}] blocks met data of [${now.min.shape}] blocks`, {
    op: 'observe',
    fix: 'give batches of one shape, or observe perTensor()',
  });
}

/** Running least and largest value of all data, torchao's AffineQuantizedMinMaxObserver. */
export class AffineQuantizedMinMaxObserver extends AffineQuantizedObserver {
  protected observe(x: Dense, before: Range | undefined): Range {
    const now = minMaxOf(x, this.options.granularity);
    if (before === undefined) return now;
    requireSameBlocks(before, now);
    return { min: minimum(before.min, now.min), max: maximum(before.max, now.max) };
  }
}
