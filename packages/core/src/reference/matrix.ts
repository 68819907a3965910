// Matrix products: exact products summed in double, rounded once.
import { type KernelEntry, kernel } from '../extension.ts';
import { linear, matmul } from '../ops/matmul.ts';
import { expand } from '../ops/views.ts';
import type { Dense } from '../tensor.ts';
import { store, valuesOf } from './memory.ts';

/** out[m, n] = sum_k x[m, k] w[n, k] + b[n]. */
export function linearValues(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  b: ArrayLike<number> | undefined,
  M: number,
  N: number,
  K: number,
): Float64Array {
  const out = new Float64Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0, i = m * K, j = n * K; k < K; k++, i++, j++) sum += x[i]! * w[j]!;
      out[m * N + n] = b === undefined ? sum : sum + b[n]!;
    }
  }
  return out;
}

function batched(t: Dense, batch: readonly number[]): ArrayLike<number> {
  const view = expand(t, [...batch, ...t.shape.slice(-2)]) as Dense;
  const values = valuesOf(view);
  view.dispose();
  return values;
}

export const matrix = (): KernelEntry[] => [
  kernel(linear, 'reference', (out, x, w, b) => {
    const [N, K] = w.shape as [number, number];
    store(out, linearValues(valuesOf(x), valuesOf(w), b && valuesOf(b), x.numel / K, N, K));
  }),
  kernel(
    matmul,
    'reference',
    (out, a, b) => {
      const batch = out.shape.slice(0, -2);
      const [M, N] = out.shape.slice(-2) as [number, number];
      const K = a.shape[a.ndim - 1]!;
      const x = batched(a, batch);
      const y = batched(b, batch);
      const result = new Float64Array(out.numel);
      for (let at = 0, i = 0, j = 0; at < result.length; at += M * N, i += M * K, j += K * N) {
        for (let m = 0; m < M; m++) {
          for (let n = 0; n < N; n++) {
            let sum = 0;
            for (let k = 0; k < K; k++) sum += x[i + m * K + k]! * y[j + k * N + n]!;
            result[at + m * N + n] = sum;
          }
        }
      }
      store(out, result);
    },
    { strided: true },
  ),
];
