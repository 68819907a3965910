// torchao's Int4Tensor formula over groups of a row, in float32 (reference kernel), and int4 codes two to a byte.
//   scale = max(max - min, 1e-6) / 15, zero = min + 8 scale, q = clamp(round((w - min) / scale), 0, 15) - 8
//   w' = q * scale + zero;  byte = q[even] & 15 | q[odd] << 4
import { atLeast, clamp, roundHalfEven } from './numerics.ts';

const { fround } = Math;

export interface Int4Row {
  /** -8..7, one per element. */
  readonly codes: Int8Array;
  readonly scale: Float32Array;
  readonly zero: Float32Array;
}

export function int4Row(x: ArrayLike<number>, group: number): Int4Row {
  const groups = x.length / group;
  const codes = new Int8Array(x.length);
  const scale = new Float32Array(groups);
  const zero = new Float32Array(groups);
  const floor = fround(1e-6);
  for (let g = 0; g < groups; g++) {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = g * group; i < (g + 1) * group; i++) {
      const v = x[i] as number;
      if (v < low) low = v;
      if (v > high) high = v;
    }
    const s = fround(atLeast(fround(high - low), floor) / 15);
    scale[g] = s;
    zero[g] = fround(low + fround(s * 8));
    for (let i = g * group; i < (g + 1) * group; i++) {
      codes[i] = clamp(roundHalfEven(fround(fround((x[i] as number) - low) / s)), 0, 15) - 8;
    }
  }
  return { codes, scale, zero };
}

export function packNibbles(codes: ArrayLike<number>): Int8Array {
  const out = new Int8Array(codes.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = ((codes[2 * i] as number) & 15) | ((codes[2 * i + 1] as number) << 4);
  return out;
}

export function unpackNibbles(bytes: ArrayLike<number>): Int8Array {
  const out = new Int8Array(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) {
    const b = bytes[i] as number;
    out[2 * i] = (b << 28) >> 28;
    out[2 * i + 1] = (b << 24) >> 28;
  }
  return out;
}
