// PARQ's proximal maps: how far parameters are drawn to the values of their quantizer at a step.
import { add, div, gt, maximum, minimum, mul, slice, sub, type Tensor, where } from '@ao/core';
import { configError } from '../config/fake-quantize.ts';

export interface ProxMap {
  /** p [rows, columns] at a step; `q` its rounding, absent between two searches for `levels` [rows or 1, n] -> p drawn. */
  apply(p: Tensor, q: Tensor | undefined, levels: Tensor, step: number): Tensor;
  /** 1 leaves p, towards 0 it is drawn harder; absent where a map has no slope. */
  inverseSlope?(step: number): number;
}

interface Anneal {
  /** The first step that draws. */
  readonly annealStart: number;
  /** From this step on parameters are their quantizer's values. */
  readonly annealEnd: number;
}

function checkAnneal({ annealStart, annealEnd }: Anneal): void {
  if (annealStart < annealEnd) return;
  throw configError(`annealing from step ${annealStart} to ${annealEnd}`, 'give annealStart < annealEnd');
}

const level = (levels: Tensor, i: number): Tensor => slice(levels, 1, i, i + 1);

/** Of each p the value that `pick` gives for the last bound below it; the first value below all bounds. */
function bucket(p: Tensor, bounds: Tensor, first: Tensor, pick: (i: number) => Tensor): Tensor {
  let out = first;
  for (let i = 0; i < bounds.shape[1]!; i++) out = where(gt(p, level(bounds, i)), pick(i), out);
  return out;
}

function nearest(p: Tensor, levels: Tensor): Tensor {
  const n = levels.shape[1]!;
  const middles = div(add(slice(levels, 1, 0, n - 1), slice(levels, 1, 1, n)), 2);
  return bucket(p, middles, level(levels, 0), (i) => level(levels, i + 1));
}

/** p becomes its value: the straight-through estimator. */
export class ProxHardQuant implements ProxMap {
  apply(p: Tensor, q: Tensor | undefined, levels: Tensor): Tensor {
    return q ?? nearest(p, levels);
  }
}

/** theta q + (1 - theta) p, theta growing from 0 to 1 as a line. */
export class ProxBinaryRelax implements ProxMap {
  readonly #anneal: Anneal;

  constructor(anneal: Anneal) {
    checkAnneal(anneal);
    this.#anneal = anneal;
  }

  apply(p: Tensor, q: Tensor | undefined, levels: Tensor, step: number): Tensor {
    const { annealStart, annealEnd } = this.#anneal;
    if (step < annealStart) return p;
    const value = q ?? nearest(p, levels);
    if (step >= annealEnd) return value;
    const theta = (step - annealStart) / (annealEnd - annealStart);
    return add(mul(p, 1 - theta), mul(value, theta));
  }
}

/**
 * Piecewise affine: between neighbours a < b with the centre c, clamp(c + (p - c) / r, a, b); r falls from 1 to 0 as a sigmoid of the step,
 * r = (f(t) - f(1)) / (f(0) - f(1)) where f(t) = 1 / (1 + exp(steepness (t - annealCenter))), ends taken at +-steepness / 2.
 */
export class ProxPARQ implements ProxMap {
  readonly #options: Anneal & { readonly steepness: number; readonly annealCenter: number };

  constructor(options: Anneal & { readonly steepness?: number; readonly annealCenter?: number }) {
    checkAnneal(options);
    const { steepness = 10, annealCenter = 0.5 } = options;
    if (!(steepness > 0)) throw configError(`steepness ${steepness}`, 'give a number above 0');
    this.#options = { ...options, steepness, annealCenter };
  }

  apply(p: Tensor, q: Tensor | undefined, levels: Tensor, step: number): Tensor {
    const { annealStart, annealEnd } = this.#options;
    if (step < annealStart) return p;
    if (step >= annealEnd) return q ?? nearest(p, levels);
    const last = levels.shape[1]! - 1;
    const low = bucket(p, levels, level(levels, 0), (i) => level(levels, i));
    const high = bucket(p, levels, level(levels, 0), (i) => level(levels, Math.min(i + 1, last)));
    const centre = div(add(low, high), 2);
    return minimum(maximum(add(centre, div(sub(p, centre), this.inverseSlope(step))), low), high);
  }

  inverseSlope(step: number): number {
    const { annealStart, annealEnd, steepness, annealCenter } = this.#options;
    if (step < annealStart) return 1;
    if (step >= annealEnd) return 0;
    const at = (x: number): number => 1 / (1 + Math.exp(steepness * x));
    const here = at((step - annealStart) / (annealEnd - annealStart) - annealCenter);
    return Math.max(2 ** -126, (here - at(0.5)) / (at(-0.5) - at(0.5)));
  }
}
