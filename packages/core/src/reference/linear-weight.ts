// Linear and embedding on codes, scales and zero points; formulas in ops/linear-weight.ts. Weights decode in float32 steps;
// integer activations follow torchao: the reciprocal of the scale is rounded first, codes round half to even.
import { type KernelEntry, kernel } from '../extension.ts';
import { embeddingWeight, linearWeight } from '../ops/linear-weight.ts';
import type { WeightFormat } from '../packed.ts';
import type { Dense } from '../tensor.ts';
import { roundHalfEven } from './elementwise.ts';
import { linearValues } from './matrix.ts';
import { store, valuesOf } from './memory.ts';
import { checkIndex } from './movement.ts';

const f32 = Math.fround;

/** One code per element: int4 nibbles unpacked, low nibble first. */
function codesOf(codes: Dense, f: WeightFormat): ArrayLike<number> {
  const raw = valuesOf(codes);
  if (f.code !== 'int4') return raw;
  const out = new Int8Array(f.N * f.K);
  const bytes = Math.ceil(f.K / 2);
  for (let n = 0; n < f.N; n++) {
    for (let k = 0; k < f.K; k++) {
      const byte = raw[n * bytes + (k >> 1)]!;
      out[n * f.K + k] = k % 2 === 0 ? (byte << 28) >> 28 : byte >> 4;
    }
  }
  return out;
}

/** Row n of the decoded weight, rounded to float32 at each step, then to bfloat16 or float16 where the scale has it. */
export function decodeRow(out: Float32Array, n: number, q: ArrayLike<number>, s: ArrayLike<number> | undefined, z: ArrayLike<number> | undefined, f: WeightFormat): void {
  const groups = f.K / f.groupSize;
  for (let k = 0; k < f.K; k++) {
    const g = n * groups + Math.floor(k / f.groupSize);
    const code = q[n * f.K + k]!;
    const scale = s === undefined ? 1 : s[g]!;
    const zero = z === undefined ? 0 : z[g]!;
    out[k] = f.zeroDomain === 'float' ? f32(f32(code * scale) + zero) : f32(f32(code - zero) * scale);
  }
}

function decode(codes: Dense, scale: Dense | undefined, zero: Dense | undefined, f: WeightFormat): Float32Array {
  const q = codesOf(codes, f);
  const s = scale && valuesOf(scale);
  const z = zero && valuesOf(zero);
  const out = new Float32Array(f.N * f.K);
  for (let n = 0; n < f.N; n++) decodeRow(out.subarray(n * f.K, (n + 1) * f.K), n, q, s, z, f);
  return out;
}

/** Quantizes and dequantizes x [M, K] as the activation scheme says; the result is what an integer product computes with. */
export function fakeActivation(x: ArrayLike<number>, f: WeightFormat): ArrayLike<number> {
  if (f.activation === 'exact') return x;
  const out = new Float64Array(x.length);
  const span = f.activation === 'int8-group' ? Math.min(32, f.groupSize) : f.K;
  for (let row = 0; row < x.length; row += f.K) {
    for (let at = row; at < row + f.K; at += span) {
      const end = Math.min(at + span, row + f.K);
      let min = 0;
      let max = 0;
      for (let i = at; i < end; i++) {
        min = Math.min(min, x[i]!);
        max = Math.max(max, x[i]!);
      }
      const { scale, zero } = activationParams(f.activation, min, max);
      const inverse = f32(1 / scale);
      for (let i = at; i < end; i++) {
        const code = Math.min(Math.max(roundHalfEven(f32(x[i]! * inverse)) + zero, -128), 127);
        out[i] = (code - zero) * scale;
      }
    }
  }
  return out;
}

const EPS = 2 ** -23;
const TINY = 2 ** -126;

/** Scale and zero point of one row or group from its extremes (both sides include 0). */
export function activationParams(activation: WeightFormat['activation'], min: number, max: number): { scale: number; zero: number } {
  const amax = Math.max(-min, max);
  if (activation === 'int8-group') return { scale: Math.max(f32(amax / 127), TINY), zero: 0 };
  if (activation === 'int8-token') return { scale: Math.max(f32(amax / 127.5), EPS), zero: 0 };
  const scale = Math.max(f32(f32(max - min) / 255), EPS);
  return { scale, zero: Math.min(Math.max(-128 - roundHalfEven(f32(min / scale)), -128), 127) };
}

export const weightKernels = (): KernelEntry[] => [
  kernel(linearWeight, 'reference', (out, x, codes, scale, zero, b, f) => {
    const xs = fakeActivation(valuesOf(x), f);
    store(out, linearValues(xs, decode(codes, scale, zero, f), b && valuesOf(b), x.numel / f.K, f.N, f.K));
  }),
  kernel(embeddingWeight, 'reference', (out, codes, scale, zero, indices, f) => {
    const q = codesOf(codes, f);
    const s = scale && valuesOf(scale);
    const z = zero && valuesOf(zero);
    const row = new Float32Array(f.K);
    const result = new Float32Array(out.numel);
    valuesOf(indices).forEach((index, i) => {
      decodeRow(row, checkIndex('embedding', index, f.N), q, s, z, f);
      result.set(row, i * f.K);
    });
    store(out, result);
  }),
];
