// SQNR in decibels: 20 log10(norm(x) / norm(x - y)), torchao's compute_error.
import { cast, dequantize, float32, mul, reshape, scope, sqrt, sub, sum, type Tensor } from '@ao/core';

const norm = (t: Tensor): Tensor => sqrt(sum(sum(mul(t, t), -1)));

/** norm(x) and norm(x - y), not yet read. Rows are summed first, so that float32 holds the sum of a large matrix. */
export function errorNorms(x: Tensor, y: Tensor): readonly [signal: Tensor, noise: Tensor] {
  return scope(() => {
    const values = (t: Tensor): Tensor => {
      const dense = cast(dequantize(t), float32);
      return reshape(dense, [-1, t.shape[t.ndim - 1] ?? 1]);
    };
    const a = values(x);
    return [norm(a), norm(sub(a, values(y)))];
  });
}

export async function decibels([signal, noise]: readonly [Tensor, Tensor]): Promise<number> {
  const [s, n] = [await signal.item(), await noise.item()];
  signal.dispose();
  noise.dispose();
  return 20 * Math.log10(s / n);
}

/** Infinity where both are equal. Tensors of any kind. */
export function computeError(x: Tensor, y: Tensor): Promise<number> {
  return decibels(errorNorms(x, y));
}
