// The int8 forms of an activation row, with scale s, zero point z and x ~ (q - z) s; codes round half to even:
//   int8-group       per min(32, group) values: s = max(amax / 127, 2^-126), q = clamp(round(x * (1/s)), -127, 127)
//   int8-token       per row (torchao's symmetric): s = max(amax / 127.5, eps), q = clamp(round(x * (1/s)), -128, 127)
//   int8-token-asym  per row (torchao's 8da4w): s = max((hi - lo) / 255, eps) with lo <= 0 <= hi, z = clamp(-128 - round(lo/s))
// As torch rounds: int8-token rounds s to x's dtype and goes on in float32, int8-token-asym rounds each step to it. eps is 2^-23, or
// the dtype's smallest normal for asym.
import type { DType } from '../dtype.ts';
import type { WeightFormat } from '../packed.ts';
import { roundHalfEven } from './elementwise.ts';

const f32 = Math.fround;

interface Params {
  readonly scale: number;
  readonly inverse: number;
  readonly zero: number;
  readonly low: number;
}

const clamp = (x: number, low: number): number => Math.min(Math.max(x, low), 127);

function params(
  mode: WeightFormat['activation'],
  min: number,
  max: number,
  round: (x: number) => number,
  dtype: DType,
): Params {
  const amax = Math.max(-min, max);
  if (mode === 'int8-group') {
    const scale = Math.max(f32(amax / 127), 2 ** -126);
    return { scale, inverse: f32(1 / scale), zero: 0, low: -127 };
  }
  if (mode === 'int8-token') {
    const scale = Math.max(round(f32(amax / 127.5)), round(2 ** -23));
    return { scale, inverse: f32(1 / scale), zero: 0, low: -128 };
  }
  const scale = Math.max(round(f32(round(f32(max - min)) / 255)), dtype.smallestNormal);
  const zero = clamp(-128 - roundHalfEven(round(f32(min / scale))), -128);
  return { scale, inverse: inverseOf(scale, round), zero, low: -128 };
}

/** 1/s in the dtype; float32's where that overflows. */
function inverseOf(scale: number, round: (x: number) => number): number {
  const inverse = round(f32(1 / scale));
  return Number.isFinite(inverse) ? inverse : f32(1 / scale);
}

/** x [M, K] quantized and dequantized: what an integer product computes with. A span that is not finite gives NaN. */
export function fakeActivation(x: ArrayLike<number>, dtype: DType, f: WeightFormat): ArrayLike<number> {
  const mode = f.activation;
  if (mode === 'exact') return x;
  const round = mode === 'int8-group' || dtype.name === 'float32' ? f32 : (v: number) => dtype.decode(dtype.encode(v));
  const product = mode === 'int8-token-asym' ? round : f32;
  const span = mode === 'int8-group' ? Math.min(32, f.groupSize) : f.K;
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += f.K) {
    for (let at = row; at < row + f.K; at += span) {
      const end = Math.min(at + span, row + f.K);
      let min = 0;
      let max = 0;
      let finite = true;
      for (let i = at; i < end; i++) {
        min = Math.min(min, x[i]!);
        max = Math.max(max, x[i]!);
        finite &&= Number.isFinite(x[i]!);
      }
      const p = params(mode, min, max, round, dtype);
      for (let i = at; i < end; i++) {
        const code = clamp(roundHalfEven(product(f32(x[i]! * p.inverse))) + p.zero, p.low);
        out[i] = finite ? (code - p.zero) * p.scale : Number.NaN;
      }
    }
  }
  return out;
}
