// HQQ: half-quadratic quantization (reference kernels, float32).
//   Full: W ~ (q - zero) / s over groups of a row; s = qmax / (max - min); 20 proximal steps on zero:
//     e = W - (q - zero) / s;  shrunk = sign(e) relu(|e| - |e|^(p-1) / beta);  zero = mean(q - (W - shrunk) s);  beta *= kappa
//     p = 0.7, beta = 10, kappa = 1.01; stops when mean |e| stops falling.
//   Scale only: alternate q = clamp(round(W / s)) and s = sum(W q) / sum(q q), 20 steps, until s moves by less than 1e-5.
import type { QuantRange } from '@ao/core';
import { atLeast, clamp, roundHalfEven } from './numerics.ts';

const { fround } = Math;
const STEPS = 20;

/** The sum in float32 by halves, as core's halvedSum. */
function halvedSum(values: Float32Array): number {
  const s = values.slice();
  for (let n = s.length; n > 1; n = Math.ceil(n / 2)) {
    const half = Math.ceil(n / 2);
    for (let i = 0; i < n - half; i++) s[i]! += s[half + i]!;
  }
  return s[0] ?? 0;
}

export interface HqqResult {
  readonly codes: Uint8Array;
  /** Per group: w = (q - zero) * scale. */
  readonly scale: Float32Array;
  readonly zero: Float32Array;
}

/** x holds groups of `group` values one after another. */
export function hqq(x: Float32Array, group: number, bits: number): HqqResult {
  const groups = x.length / group;
  const top = Math.round(2 ** bits - 1);
  const scale = new Float32Array(groups);
  const zero = new Float32Array(groups);
  for (let g = 0; g < groups; g++) {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = g * group; i < (g + 1) * group; i++) {
      const v = x[i] as number;
      if (v < low) low = v;
      if (v > high) high = v;
    }
    // top / (max - min) is reciprocal times top in torch; a flat group would be infinite and is held at 2e4.
    const s = Math.min(fround(fround(1 / fround(high - low)) * top), 2e4);
    scale[g] = s;
    const z = fround(-low * s);
    zero[g] = bits === 4 ? roundHalfEven(z) : z;
  }
  improveZero(x, group, scale, zero, top);
  const codes = new Uint8Array(x.length);
  for (let i = 0; i < x.length; i++) codes[i] = code(x[i] as number, Math.floor(i / group), scale, zero, top);
  return { codes, scale: scale.map((s) => 1 / s), zero };
}

function code(w: number, g: number, scale: Float32Array, zero: Float32Array, top: number): number {
  return clamp(roundHalfEven(fround(fround(w * (scale[g] as number)) + (zero[g] as number))), 0, top);
}

function improveZero(x: Float32Array, group: number, scale: Float32Array, zero: Float32Array, top: number): void {
  const power = fround(0.7 - 1);
  let beta = 10;
  let best = 1e4;
  for (let step = 0; step < STEPS; step++) {
    const weight = fround(1 / beta);
    const [sizes, errors] = [new Float32Array(x.length), new Float32Array(scale.length)];
    const terms = new Float32Array(group);
    for (let g = 0; g < scale.length; g++) {
      const s = scale[g] as number;
      const z = zero[g] as number;
      for (let i = g * group; i < (g + 1) * group; i++) {
        const w = x[i] as number;
        const q = code(w, g, scale, zero, top);
        const e = fround(w - fround(fround(q - z) / s));
        const size = Math.abs(e);
        sizes[i] = size;
        const kept = atLeast(fround(size - fround(weight * fround(size ** power))), 0);
        terms[i - g * group] = q - fround(fround(w - Math.sign(e) * kept) * s);
      }
      errors[g] = halvedSum(sizes.subarray(g * group, (g + 1) * group));
      zero[g] = halvedSum(terms) / group;
    }
    beta *= 1.01;
    const error = fround(halvedSum(errors) / x.length);
    if (error >= best) break;
    best = error;
  }
}

export interface HqqScaleOnlyResult {
  readonly codes: Int8Array;
  readonly scale: Float32Array;
}

/** Symmetric codes with the least-squares scale of each group. */
export function hqqScaleOnly(x: Float32Array, group: number, range: QuantRange): HqqScaleOnlyResult {
  const { quantMin, quantMax } = range;
  const groups = x.length / group;
  const eps = 2 ** -23;
  const largest = Math.max(Math.abs(quantMin), Math.abs(quantMax)) || 1;
  let scale = new Float32Array(groups);
  for (let g = 0; g < groups; g++) {
    let peak = 0;
    for (let i = g * group; i < (g + 1) * group; i++) peak = Math.max(peak, Math.abs(x[i] as number));
    scale[g] = atLeast(fround(peak / largest), eps);
  }
  const quantize = (i: number, s: number): number =>
    clamp(roundHalfEven(fround((x[i] as number) / s)), quantMin, quantMax);
  for (let step = 0; step < STEPS; step++) {
    const next = new Float32Array(groups);
    const products = new Float32Array(group);
    let moved = 0;
    for (let g = 0; g < groups; g++) {
      const s = scale[g] as number;
      let square = 0;
      for (let i = g * group; i < (g + 1) * group; i++) {
        const q = quantize(i, s);
        products[i - g * group] = (x[i] as number) * q;
        square += q * q;
      }
      next[g] = atLeast(square > 0 ? fround(halvedSum(products) / square) : s, eps);
      moved = Math.max(moved, fround(Math.abs(fround((next[g] as number) - s)) / atLeast(s, eps)));
    }
    scale = next;
    if (moved < 1e-5) break;
  }
  const codes = new Int8Array(x.length);
  for (let i = 0; i < x.length; i++) codes[i] = quantize(i, scale[Math.floor(i / group)] as number);
  return { codes, scale };
}
