// SQNR in decibels: 20 log10(norm(x) / norm(x - y)), torchao's compute_error.
import { add, cast, dequantize, float32, mul, reshape, scope, slice, sqrt, sub, sum, type Tensor } from '@ao/core';

/** Values that are float32 at a time. */
const PIECE = 1 << 22;

/**
 * norm(x) and norm(x - y), not yet read. Rows are summed first, so that float32 holds the sum of a large matrix, and in
 * pieces, so that it takes little memory.
 */
export function errorNorms(x: Tensor, y: Tensor): readonly [signal: Tensor, noise: Tensor] {
  return scope(() => {
    const rows = x.shape[0] ?? 1;
    const step = x.ndim === 2 && x.numel > PIECE ? ROWS * Math.ceil(((PIECE / x.numel) * rows) / ROWS) : rows;
    if (step >= rows) return sums(x, y).map(sqrt) as [Tensor, Tensor];
    const [a, b] = [whole(x, step), whole(y, step)];
    let total: readonly [Tensor, Tensor] | undefined;
    for (let from = 0; from < rows; from += step) {
      const to = Math.min(from + step, rows);
      const before = total;
      total = scope((): [Tensor, Tensor] => {
        const [signal, noise] = sums(slice(a, 0, from, to), slice(b, 0, from, to));
        return before ? [add(before[0], signal), add(before[1], noise)] : [signal, noise];
      });
    }
    return total!.map(sqrt) as [Tensor, Tensor];
  });
}

/** Blocks of weights are no higher, or as high as the weight. */
const ROWS = 128;

/** What rows can be cut from: a kind that has one scale for all its rows is dequantized as a whole. */
function whole(t: Tensor, step: number): Tensor {
  if (t.kind === null) return t;
  try {
    scope(() => slice(t, 0, 0, step)).dispose();
    return t;
  } catch {
    return dequantize(t);
  }
}

/** The sums of the squares of x and of x - y. */
function sums(x: Tensor, y: Tensor): [signal: Tensor, noise: Tensor] {
  const values = (t: Tensor): Tensor => reshape(cast(dequantize(t), float32), [-1, t.shape[t.ndim - 1] ?? 1]);
  const squares = (t: Tensor): Tensor => sum(sum(mul(t, t), -1));
  const a = values(x);
  return [squares(a), squares(sub(a, values(y)))];
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
