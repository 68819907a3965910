// The scale, and minimum, of one block that lose least: sum over i of weight_i (w_i - value_i)^2. Candidates are grids a little
// finer and coarser than the block's range; the codes of each give the best scale and minimum by least squares.
import { roundHalfEven } from '@ao/core';

export interface BlockScale {
  readonly scale: number;
  /** value = scale q - min, min >= 0; 0 without minima. */
  readonly min: number;
}

const STEPS = 20;

/** value = scale q - min with q = 0 .. top, for w[at .. at + n]. */
export function searchScaleAndMin(
  w: Float32Array,
  weights: Float64Array,
  at: number,
  n: number,
  top: number,
): BlockScale {
  let low = 0;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = at; i < at + n; i++) {
    low = Math.min(low, w[i] as number);
    high = Math.max(high, w[i] as number);
  }
  if (high <= low) return { scale: 0, min: -low };
  let best: BlockScale = { scale: (high - low) / top, min: -low };
  let least = lossOf(w, weights, at, n, top, best);
  for (let step = 0; step <= STEPS; step++) {
    const inverse = (top - 1 + (2 * step) / STEPS) / (high - low);
    const fitted = fit(w, weights, at, n, top, inverse, low);
    if (fitted === undefined) continue;
    const loss = lossOf(w, weights, at, n, top, fitted);
    if (loss < least) [best, least] = [fitted, loss];
  }
  return best;
}

/** Least squares of scale and minimum for the codes round((w - low) inverse). */
function fit(
  w: Float32Array,
  weights: Float64Array,
  at: number,
  n: number,
  top: number,
  inverse: number,
  low: number,
): BlockScale | undefined {
  let [s, sq, sqq, sw, sqw] = [0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const v = w[at + i] as number;
    const q = Math.min(top, Math.max(0, roundHalfEven((v - low) * inverse)));
    const weight = weights[i] as number;
    s += weight;
    sq += weight * q;
    sqq += weight * q * q;
    sw += weight * v;
    sqw += weight * q * v;
  }
  const determinant = s * sqq - sq * sq;
  if (!(determinant > 0)) return undefined;
  const min = -(sqq * sw - sq * sqw) / determinant;
  // a minimum above 0 cannot be stored: the block starts at 0 then
  if (min < 0) return { scale: sqw / sqq, min: 0 };
  return { scale: (s * sqw - sq * sw) / determinant, min };
}

function lossOf(
  w: Float32Array,
  weights: Float64Array,
  at: number,
  n: number,
  top: number,
  { scale, min }: BlockScale,
): number {
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const v = w[at + i] as number;
    const q = scale === 0 ? 0 : Math.min(top, Math.max(0, roundHalfEven((v + min) / scale)));
    loss += (weights[i] as number) * (scale * q - min - v) ** 2;
  }
  return loss;
}

/** value = scale q with q = -half .. half - 1; the value of largest magnitude lies at the long end, so scale may be negative. */
export function searchScale(w: Float32Array, weights: Float64Array, at: number, n: number, half: number): number {
  let peak = 0;
  for (let i = at; i < at + n; i++) if (Math.abs(w[i] as number) > Math.abs(peak)) peak = w[i] as number;
  if (peak === 0) return 0;
  let best = 0;
  let most = 0;
  for (let step = -9; step <= 9; step++) {
    const inverse = -(half + 0.1 * step) / peak;
    let [sqq, sqw] = [0, 0];
    for (let i = 0; i < n; i++) {
      const v = w[at + i] as number;
      const q = Math.min(half - 1, Math.max(-half, roundHalfEven(v * inverse)));
      sqq += (weights[i] as number) * q * q;
      sqw += (weights[i] as number) * q * v;
    }
    // what the best scale of these codes explains of sum weight w^2
    if (sqq > 0 && sqw * sqw > most * sqq) [most, best] = [(sqw * sqw) / sqq, sqw / sqq];
  }
  return best;
}
