// Quantizing rows to a K-quant: a scale (and minimum) for each block by search, those rounded to a super-block's integers, and the
// codes found again for the scales as they are stored. torchao's GGUF primitive rounds none of these.
import { AoError, float16, roundHalfEven } from '@ao/core';
import { K_QUANTS, type KQuantName, SUPER_BLOCK } from './formats.ts';
import { searchScale, searchScaleAndMin } from './search.ts';

export interface KQuantized {
  readonly format: KQuantName;
  /** float16 values, one a super-block. */
  readonly d: Float32Array;
  /** Empty without minima. */
  readonly dmin: Float32Array;
  /** Integers, one a block. */
  readonly scales: Int16Array;
  readonly minima: Int16Array;
  /** One a weight: from 0 with minima, signed without. */
  readonly codes: Int8Array;
}

const half = (v: number): number => float16.decode(float16.encode(v) as never) as number;

/**
 * Quantizes values whose count is a multiple of 256 (rows one after another, their length a multiple of 256). `importance`: how
 * much the error of each weight counts, e.g. the mean square of its input; by default a block's own size, as llama.cpp takes it.
 */
export function quantizeKQuant(values: Float32Array, format: KQuantName, importance?: Float32Array): KQuantized {
  const f = K_QUANTS[format];
  if (values.length % SUPER_BLOCK !== 0) {
    throw new AoError('ERR_AO_SHAPE', `${values.length} values are no multiple of ${SUPER_BLOCK}`, {
      op: 'quantizeKQuant',
      fix: 'use a format with smaller blocks (q8_0, q4_0) for rows of this length',
    });
  }
  const supers = values.length / SUPER_BLOCK;
  const per = SUPER_BLOCK / f.block;
  const out: KQuantized = {
    format,
    d: new Float32Array(supers),
    dmin: new Float32Array(f.minima ? supers : 0),
    scales: new Int16Array(supers * per),
    minima: new Int16Array(f.minima ? supers * per : 0),
    codes: new Int8Array(values.length),
  };
  const weights = new Float64Array(f.block);
  const found = { scale: new Float64Array(per), min: new Float64Array(per) };
  for (let s = 0; s < supers; s++) {
    for (let b = 0; b < per; b++) {
      const at = s * SUPER_BLOCK + b * f.block;
      weigh(values, importance, at, weights, f.minima);
      if (f.minima) {
        const { scale, min } = searchScaleAndMin(values, weights, at, f.block, 2 ** f.bits - 1);
        [found.scale[b], found.min[b]] = [scale, min];
      } else found.scale[b] = searchScale(values, weights, at, f.block, 2 ** (f.bits - 1));
    }
    roundScales(out, s, found);
    for (let b = 0; b < per; b++) encode(values, out, s * per + b, s);
  }
  return out;
}

function weigh(
  values: Float32Array,
  importance: Float32Array | undefined,
  at: number,
  weights: Float64Array,
  affine: boolean,
): void {
  const n = weights.length;
  let square = 0;
  for (let i = at; i < at + n; i++) square += (values[i] as number) ** 2;
  const rms = Math.sqrt(square / n);
  for (let i = 0; i < n; i++) {
    const v = values[at + i] as number;
    if (importance !== undefined) weights[i] = (importance[at + i] as number) * Math.sqrt(square / n + v * v);
    else weights[i] = affine ? rms + Math.abs(v) : v * v;
  }
}

/** Integers of a super-block's scales and minima: the largest of them is exact up to float16. */
function roundScales(out: KQuantized, s: number, { scale, min }: { scale: Float64Array; min: Float64Array }): void {
  const { scaleBits, minima } = K_QUANTS[out.format];
  const per = scale.length;
  let peak = 0;
  for (const v of scale) if (Math.abs(v) > Math.abs(peak)) peak = v;
  // signed scales reach one further down than up
  const [low, high] = minima ? [0, 2 ** scaleBits - 1] : [-(2 ** (scaleBits - 1)), 2 ** (scaleBits - 1) - 1];
  out.d[s] = half(peak / (minima ? high : low));
  const d = out.d[s] as number;
  for (let b = 0; b < per; b++) {
    out.scales[s * per + b] = d === 0 ? 0 : Math.min(high, Math.max(low, roundHalfEven((scale[b] as number) / d)));
  }
  if (!minima) return;
  out.dmin[s] = half(Math.max(...min) / high);
  const dmin = out.dmin[s] as number;
  for (let b = 0; b < per; b++) {
    out.minima[s * per + b] = dmin === 0 ? 0 : Math.min(high, Math.max(0, roundHalfEven((min[b] as number) / dmin)));
  }
}

function encode(values: Float32Array, out: KQuantized, block: number, s: number): void {
  const { bits, block: n, minima } = K_QUANTS[out.format];
  const [low, high] = minima ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  const scale = (out.d[s] as number) * (out.scales[block] as number);
  const min = minima ? (out.dmin[s] as number) * (out.minima[block] as number) : 0;
  for (let i = block * n; i < (block + 1) * n; i++) {
    const q = scale === 0 ? 0 : roundHalfEven(((values[i] as number) + min) / scale);
    out.codes[i] = Math.min(high, Math.max(low, q));
  }
}

/** The values that a K-quant stands for. */
export function dequantizeKQuant(q: KQuantized): Float32Array {
  const { block, minima } = K_QUANTS[q.format];
  return Float32Array.from(q.codes, (code, i) => {
    const [b, s] = [Math.floor(i / block), Math.floor(i / SUPER_BLOCK)];
    const min = minima ? (q.dmin[s] as number) * (q.minima[b] as number) : 0;
    return (q.d[s] as number) * (q.scales[b] as number) * code - min;
  });
}
