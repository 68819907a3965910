// Super-blocks of 256 values: Q4_K and Q6_K, rounded so that the squared error is small at every level.
//   Q4_K   8 sub-blocks of 32: w = (d ls) q - (dmin lm), q in 0..15, ls and lm in 0..63
//   Q6_K   16 sub-blocks of 16: w = (d ls) q, q in -32..31, ls in -128..127
// A sub-block's scale and offset: for trial scales around the range, round the codes and solve for the scale and offset that
// fit them best (least squares). The super-block's float16 d covers the largest; each sub-block then takes, of the parts next
// to the rounded one, those that leave the least error, with codes rounded anew by what will be read back.
import { float16 } from '@ao/core';
import { type EncodeBlock, putHalf } from './encode-blocks.ts';

const rounded16 = (x: number): number => float16.decode(float16.encode(x));
const clamp = (x: number, low: number, high: number): number => (x < low ? low : x > high ? high : x);

/** Squared error of x[i..i+n) as clamp(round((x + min) / scale)) * scale - min. */
function errorOf(x: Float32Array, i: number, n: number, scale: number, min: number, low: number, high: number): number {
  const by = scale === 0 ? 0 : 1 / scale;
  let sum = 0;
  for (let k = i; k < i + n; k++) {
    const e = clamp(Math.round((x[k]! + min) * by), low, high) * scale - min - x[k]!;
    sum += e * e;
  }
  return sum;
}

const TRIALS = 20;

/** [scale, min] with w = scale q - min, min >= 0, q in 0..15. */
function fitAsymmetric(x: Float32Array, i: number): [scale: number, min: number] {
  let [low, high] = [0, 0];
  for (let k = i; k < i + 32; k++) {
    low = Math.min(low, x[k]!);
    high = Math.max(high, x[k]!);
  }
  if (high === low) return [0, -low];
  let best: [number, number] = [(high - low) / 15, -low];
  let least = errorOf(x, i, 32, best[0], best[1], 0, 15);
  for (let t = 0; t <= TRIALS; t++) {
    const by = (14 + t / 10) / (high - low);
    let [n, sq, sqq, sx, sqx] = [0, 0, 0, 0, 0];
    for (let k = i; k < i + 32; k++) {
      const q = clamp(Math.round((x[k]! - low) * by), 0, 15);
      n++;
      sq += q;
      sqq += q * q;
      sx += x[k]!;
      sqx += q * x[k]!;
    }
    const det = n * sqq - sq * sq;
    if (det <= 0) continue;
    let scale = (n * sqx - sq * sx) / det;
    let offset = (sx * sqq - sq * sqx) / det;
    if (offset > 0) [scale, offset] = [sqx / sqq, 0];
    if (!(scale > 0)) continue;
    const error = errorOf(x, i, 32, scale, -offset, 0, 15);
    if (error < least) [least, best] = [error, [scale, -offset]];
  }
  return best;
}

/** scale with w = scale q, q in -32..31; its sign lets the value of greatest magnitude be -32. */
function fitSymmetric(x: Float32Array, i: number): number {
  let value = 0;
  for (let k = i; k < i + 16; k++) if (Math.abs(x[k]!) > Math.abs(value)) value = x[k]!;
  if (value === 0) return 0;
  let best = value / -32;
  let least = errorOf(x, i, 16, best, 0, -32, 31);
  for (let t = -TRIALS / 2; t <= TRIALS / 2; t++) {
    const by = -(32 + t / 10) / value;
    let [sqq, sqx] = [0, 0];
    for (let k = i; k < i + 16; k++) {
      const q = clamp(Math.round(x[k]! * by), -32, 31);
      sqq += q * q;
      sqx += q * x[k]!;
    }
    if (sqq === 0) continue;
    const scale = sqx / sqq;
    const error = errorOf(x, i, 16, scale, 0, -32, 31);
    if (error < least) [least, best] = [error, scale];
  }
  return best;
}

/** The scale and offset, of the parts next to what was fitted, with the least error. */
function nearest(
  x: Float32Array,
  i: number,
  d: number,
  dmin: number,
  [scale, min]: readonly [number, number],
): [ls: number, lm: number] {
  const [s, m] = [d === 0 ? 0 : Math.round(scale / d), dmin === 0 ? 0 : Math.round(min / dmin)];
  let best: [number, number] = [clamp(s, 0, 63), clamp(m, 0, 63)];
  let least = Number.POSITIVE_INFINITY;
  for (let ls = Math.max(0, s - 1); ls <= Math.min(63, s + 1); ls++) {
    for (let lm = Math.max(0, m - 1); lm <= Math.min(63, m + 1); lm++) {
      const error = errorOf(x, i, 32, d * ls, dmin * lm, 0, 15);
      if (error < least) [least, best] = [error, [ls, lm]];
    }
  }
  return best;
}

const q4K: EncodeBlock = (x, i, out, at) => {
  const fits = Array.from({ length: 8 }, (_, b) => fitAsymmetric(x, i + 32 * b));
  const d = rounded16(Math.max(...fits.map(([scale]) => scale)) / 63);
  const dmin = rounded16(Math.max(...fits.map(([, min]) => min)) / 63);
  putHalf(out, at, d);
  putHalf(out, at + 2, dmin);
  out.fill(0, at + 4, at + 144);
  for (let b = 0; b < 8; b++) {
    const from = i + 32 * b;
    const [ls, lm] = nearest(x, from, d, dmin, fits[b]!);
    putScaleAndMin(out, at + 4, b, ls, lm);
    const by = ls === 0 || d === 0 ? 0 : 1 / (d * ls);
    for (let k = 0; k < 32; k++) {
      const q = clamp(Math.round((x[from + k]! + dmin * lm) * by), 0, 15);
      out[at + 16 + (b >> 1) * 32 + k]! |= b & 1 ? q << 4 : q;
    }
  }
};

/** 8 scales and 8 mins of 6 bits in 12 bytes: the upper two bits of the last four lie above the first four. */
function putScaleAndMin(out: Uint8Array, at: number, b: number, ls: number, lm: number): void {
  if (b < 4) {
    out[at + b]! |= ls;
    out[at + 4 + b]! |= lm;
    return;
  }
  out[at + 4 + b] = (ls & 15) | ((lm & 15) << 4);
  out[at + b - 4]! |= (ls >> 4) << 6;
  out[at + b]! |= (lm >> 4) << 6;
}

const q6K: EncodeBlock = (x, i, out, at) => {
  const fits = Array.from({ length: 16 }, (_, b) => fitSymmetric(x, i + 16 * b));
  const greatest = fits.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  const d = rounded16(greatest / -128);
  out.fill(0, at, at + 210);
  putHalf(out, at + 208, d);
  for (let b = 0; b < 16; b++) {
    const ls = d === 0 ? 0 : nearestSymmetric(x, i + 16 * b, d, fits[b]!);
    out[at + 192 + b] = ls;
    const by = ls === 0 ? 0 : 1 / (d * ls);
    for (let k = 0; k < 16; k++) {
      const q = clamp(Math.round(x[i + 16 * b + k]! * by), -32, 31) + 32;
      const [part, j] = [b >> 3, 16 * (b & 7) + k];
      out[at + part * 64 + (j & 63)]! |= j & 64 ? (q & 15) << 4 : q & 15;
      out[at + 128 + part * 32 + (j & 31)]! |= (q >> 4) << (2 * (j >> 5));
    }
  }
};

function nearestSymmetric(x: Float32Array, i: number, d: number, scale: number): number {
  const s = Math.round(scale / d);
  let [best, least] = [clamp(s, -128, 127), Number.POSITIVE_INFINITY];
  for (let ls = Math.max(-128, s - 1); ls <= Math.min(127, s + 1); ls++) {
    const error = errorOf(x, i, 16, d * ls, 0, -32, 31);
    if (error < least) [least, best] = [error, ls];
  }
  return best;
}

export const kBlockEncoders: Readonly<Record<string, EncodeBlock>> = /*@__PURE__*/ Object.freeze({
  Q4_K: q4K,
  Q6_K: q6K,
});
