// Affine quantization of values in blocks, as torchao's quant_primitives (reference kernels; every operation rounds to the
// dtype torch would use there).
//   SYMMETRIC                 scale = max(-min, max) / ((qmax - qmin) / 2), zero point = middle of the range
//   SYMMETRIC_NO_CLIPPING_ERR scale = max(min / qmin, max / qmax)
//   ASYMMETRIC                scale = (max - min) / (qmax - qmin), zero point = clamp(qmin - round(min / scale))
//   q = clamp(round(x * (1 / scale)) + zero point);  x' = (q - zero point) * scale
import { type MappingName, midPoint, type QuantRange } from '@ao/core';
import { atLeast, type Blocks, blockOf, clamp, type Rounding, roundHalfEven } from './numerics.ts';

export interface QParams {
  readonly scale: Float32Array;
  readonly zeroPoint: Float32Array;
}

export interface ChooseOptions extends QuantRange {
  readonly mapping: MappingName;
  readonly eps: number;
  /** Rounds to the dtype of the values. */
  readonly round: Rounding;
  /** false: the range is not widened to hold 0 (ASYMMETRIC only). */
  readonly preserveZero?: boolean;
}

/** Scale and zero point of each block from its smallest and largest value. */
export function chooseFromRange(min: Float32Array, max: Float32Array, options: ChooseOptions): QParams {
  const { mapping, quantMin, quantMax, eps, round, preserveZero = true } = options;
  const scale = new Float32Array(min.length);
  const zeroPoint = new Float32Array(min.length);
  const range = quantMax - quantMin;
  const middle = Math.trunc(midPoint(options));
  for (let b = 0; b < min.length; b++) {
    const low = preserveZero ? -atLeast(-(min[b] as number), 0) : (min[b] as number);
    const high = preserveZero ? atLeast(max[b] as number, 0) : (max[b] as number);
    if (mapping === 'SYMMETRIC') {
      scale[b] = atLeast(round(atLeast(high, -low) / (range / 2)), eps);
      zeroPoint[b] = middle;
    } else if (mapping === 'SYMMETRIC_NO_CLIPPING_ERR') {
      const negative = round(low / quantMin);
      const positive = round(high / quantMax);
      scale[b] = atLeast(negative > positive ? negative : positive, eps);
      zeroPoint[b] = middle;
    } else {
      const s = atLeast(round(round(high - low) / range), eps);
      scale[b] = s;
      zeroPoint[b] = clamp(round(quantMin - roundHalfEven(round(low / s))), quantMin, quantMax);
    }
  }
  return { scale, zeroPoint };
}

/** tinygemm: scale over the true range, float zero point = min + scale * mid. */
export function chooseTinygemm(
  min: Float32Array,
  max: Float32Array,
  options: QuantRange & { eps: number; round: Rounding },
): QParams {
  const { quantMin, quantMax, eps, round } = options;
  const scale = new Float32Array(min.length);
  const zeroPoint = new Float32Array(min.length);
  const mid = midPoint(options);
  for (let b = 0; b < min.length; b++) {
    const low = min[b] as number;
    const s = atLeast(round(round((max[b] as number) - low) / (quantMax - quantMin)), eps);
    scale[b] = s;
    zeroPoint[b] = round(low + round(s * mid));
  }
  return { scale, zeroPoint };
}

/** Codes as floats (so that fake quantization keeps -0). `zeroPoint` null: none. */
export interface QuantizeOptions extends QuantRange {
  readonly scale: Float32Array;
  readonly zeroPoint: Float32Array | null;
  /** Rounds to the dtype of the scale. */
  readonly roundScale: Rounding;
  /** Rounds to the dtype x and scale promote to. */
  readonly round: Rounding;
}

export function quantizeBlocks(x: ArrayLike<number>, blocks: Blocks, options: QuantizeOptions): Float32Array {
  const { scale, zeroPoint, quantMin, quantMax, roundScale, round } = options;
  const inverse = scale.map((s) => roundScale(1 / s));
  const q = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const b = blockOf(blocks, i);
    const r = roundHalfEven(round((x[i] as number) * (inverse[b] as number)));
    q[i] = clamp(zeroPoint === null ? r : round(r + (zeroPoint[b] as number)), quantMin, quantMax);
  }
  return q;
}

/** q = clamp(round((x - min) / scale)) with min = zero point - scale * mid. */
export function quantizeTinygemm(
  x: ArrayLike<number>,
  blocks: Blocks,
  options: QuantizeOptions & { zeroPoint: Float32Array },
): Float32Array {
  const { scale, zeroPoint, quantMin, quantMax, roundScale, round } = options;
  const mid = midPoint(options);
  const low = scale.map((s, b) => roundScale((zeroPoint[b] as number) - roundScale(s * mid)));
  const q = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const b = blockOf(blocks, i);
    q[i] = clamp(
      roundHalfEven(round(round((x[i] as number) - (low[b] as number)) / (scale[b] as number))),
      quantMin,
      quantMax,
    );
  }
  return q;
}

export interface DequantizeOptions {
  readonly scale: Float32Array;
  readonly zeroPoint: Float32Array | null;
  /** Rounds to the output dtype. */
  readonly roundOut: Rounding;
  /** Rounds to the dtype the output and the scale promote to. */
  readonly round: Rounding;
}

export function dequantizeBlocks(q: ArrayLike<number>, blocks: Blocks, options: DequantizeOptions): Float32Array {
  const { scale, zeroPoint, roundOut, round } = options;
  const out = new Float32Array(q.length);
  for (let i = 0; i < q.length; i++) {
    const b = blockOf(blocks, i);
    const code = roundOut(q[i] as number);
    const shifted = zeroPoint === null ? code : roundOut(code - roundOut(zeroPoint[b] as number));
    out[i] = roundOut(round(shifted * (scale[b] as number)));
  }
  return out;
}

/** x' = (q - mid) * scale + zero point, each step in the output dtype. */
export function dequantizeTinygemm(
  q: ArrayLike<number>,
  blocks: Blocks,
  range: QuantRange,
  options: DequantizeOptions,
): Float32Array {
  const { scale, zeroPoint, roundOut } = options;
  const mid = midPoint(range);
  const out = new Float32Array(q.length);
  for (let i = 0; i < q.length; i++) {
    const b = blockOf(blocks, i);
    const scaled = roundOut(roundOut((q[i] as number) - mid) * (scale[b] as number));
    out[i] = zeroPoint === null ? scaled : roundOut(scaled + (zeroPoint[b] as number));
  }
  return out;
}
