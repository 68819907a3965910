// Blocks that do not divide a tensor: the last one of a dimension is shorter. Primitives see the tensor padded with zeros, whose
// codes are cut off again, so that padding is never visible.
import { cat, contiguous, type Dense, expand, reshape, slice, type Tensor, uint8, viewDtype, zeros } from '@ao/core';

/** Blocks along each dimension, the short last one counted. */
export const gridOf = (shape: readonly number[], blockSize: readonly number[]): number[] =>
  shape.map((n, i) => Math.ceil(n / (blockSize[i] as number)));

/** x with zeros up to a whole number of blocks; x itself where blocks divide it. */
export function padded(x: Tensor, blockSize: readonly number[]): Tensor {
  let out = x;
  gridOf(x.shape, blockSize).forEach((blocks, dim) => {
    const missing = blocks * (blockSize[dim] as number) - (out.shape[dim] as number);
    if (missing === 0) return;
    const shape = out.shape.map((n, i) => (i === dim ? missing : n));
    const zero = zeros(x.rt, shape, { dtype: uint8.itemsize === x.dtype.itemsize ? uint8 : x.dtype, device: x.device });
    out = cat([out, zero.dtype === x.dtype ? zero : viewDtype(zero, x.dtype)], dim);
  });
  return out;
}

/** The first `shape` elements of x. */
export function cropped(x: Tensor, shape: readonly number[]): Tensor {
  return shape.reduce((t, n, dim) => (t.shape[dim] === n ? t : slice(t, dim, 0, n)), x);
}

/** One value a block [grid] -> one an element [shape]. */
export function spread(perBlock: Tensor, blockSize: readonly number[], shape: readonly number[]): Dense {
  const outer = perBlock.shape.flatMap((n) => [n, 1]);
  const inner = perBlock.shape.flatMap((n, i) => [n, blockSize[i] as number]);
  const full = perBlock.shape.map((n, i) => n * (blockSize[i] as number));
  return cropped(reshape(expand(reshape(perBlock, outer), inner), full), shape) as Dense;
}

/** Results of `quantize` on whole groups of x's columns and on the shorter rest, joined by columns. */
export function byGroups<T extends readonly Tensor[]>(
  x: Tensor,
  groupSize: number,
  quantize: (part: Tensor, groupSize: number) => T,
): T {
  const K = x.shape[1] as number;
  const whole = K - (K % groupSize);
  if (whole === K) return quantize(x, groupSize);
  const rest = quantize(contiguous(slice(x, 1, whole)), K - whole);
  if (whole === 0) return rest;
  const main = quantize(contiguous(slice(x, 1, 0, whole)), groupSize);
  return main.map((t, i) => cat([t, rest[i] as Tensor], 1)) as unknown as T;
}
