// Pooling: one vector of a text's hidden states, and its length made one.
//   cls: h[0]; mean: sum over the text's tokens of h[t] / count; normalise: v / max(|v|, 1e-12), as torch's normalize
import { cast, type Dense, float32, matmul, reshape, select, type Tensor, tensor } from '@ao/core';

export type Pooling = 'cls' | 'mean';

export const POOLINGS: readonly Pooling[] = ['cls', 'mean'];

/** Hidden states [B, T, H] of texts of `lengths` tokens -> float32 [B, H]; what lies behind a text does not count. */
export function pool(hidden: Tensor, pooling: Pooling, lengths: readonly number[]): Dense {
  if (pooling === 'cls') return cast(select(hidden, 1, 0), float32) as Dense;
  const [b, t, h] = hidden.shape as [number, number, number];
  const shares = Float32Array.from({ length: b * t }, (_, i) => {
    const length = lengths[Math.floor(i / t)]!;
    return i % t < length ? 1 / length : 0;
  });
  const weights = tensor(hidden.rt, shares, { shape: [b, 1, t], device: hidden.device });
  return reshape(matmul(weights, cast(hidden, float32)), [b, h]) as Dense;
}

export function normalized(v: Float32Array): Float32Array {
  const norm = Math.max(Math.sqrt(v.reduce((sum, x) => sum + x * x, 0)), 1e-12);
  return v.map((x) => x / norm);
}

/** The rows of [rows, n] as vectors of their own, normalised where asked. */
export function vectors(values: ArrayLike<number>, rows: number, normalize: boolean): Float32Array[] {
  const n = values.length / rows;
  return Array.from({ length: rows }, (_, r) => {
    const v = Float32Array.from({ length: n }, (_x, i) => values[r * n + i]!);
    return normalize ? normalized(v) : v;
  });
}
