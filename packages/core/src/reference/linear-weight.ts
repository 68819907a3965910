// Linear and embedding on codes, scales and zero points; formulas in ops/linear-weight.ts. Weights decode in float32 steps.
import { type KernelEntry, kernel } from '../extension.ts';
import { embeddingWeight, linearWeight } from '../ops/linear-weight.ts';
import { groupsOf, type WeightFormat } from '../packed.ts';
import type { Dense } from '../tensor.ts';
import { fakeActivation } from './activation.ts';
import { linearValues } from './matrix.ts';
import { store, valuesOf } from './memory.ts';
import { checkIndex } from './movement.ts';

const f32 = Math.fround;

/** The number q of each element: int4 nibbles unpacked, low nibble first; a table's values looked up. */
function codesOf(codes: Dense, f: WeightFormat): ArrayLike<number> {
  const raw = valuesOf(codes);
  if (f.code === 'table') return Float32Array.from(raw, (code) => f.table![code]!);
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

/** Row n of the decoded weight, rounded to float32 at each step. */
export function decodeRow(
  out: Float32Array,
  n: number,
  q: ArrayLike<number>,
  s: ArrayLike<number> | undefined,
  z: ArrayLike<number> | undefined,
  f: WeightFormat,
): void {
  const groups = groupsOf(f);
  for (let k = 0; k < f.K; k++) {
    const g = n * groups + Math.floor(k / f.groupSize);
    const code = q[n * f.K + k]!;
    const scale = s === undefined ? 1 : s[g]!;
    const zero = z === undefined ? 0 : z[g]!;
    out[k] = f.zeroDomain === 'float' ? f32(f32(code * scale) + zero) : f32(f32(code - zero) * scale);
  }
}

/** All values of a weight in parts, [N, K]. */
export function decode(codes: Dense, scale: Dense | undefined, zero: Dense | undefined, f: WeightFormat): Float32Array {
  const q = codesOf(codes, f);
  const s = scale && valuesOf(scale);
  const z = zero && valuesOf(zero);
  const out = new Float32Array(f.N * f.K);
  for (let n = 0; n < f.N; n++) decodeRow(out.subarray(n * f.K, (n + 1) * f.K), n, q, s, z, f);
  return out;
}

export const weightKernels = (): KernelEntry[] => [
  kernel(linearWeight, 'reference', (out, x, codes, scale, zero, b, f) => {
    const xs = fakeActivation(valuesOf(x), x.dtype, f);
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
