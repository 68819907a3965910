// Tensors seen block by block, for the decompositions: [g0, b0, g1, b1, ...] with scales as [g0, 1, g1, 1, ...].
import type { Tensor } from '../../tensor.ts';
import { amax, amin } from '../reduce.ts';
import { reshape } from '../views.ts';
import { blockGrid } from './blocks.ts';

export interface Blocked {
  /** Splits a tensor of the original shape. */
  split(x: Tensor): Tensor;
  /** A per-block tensor of any shape, ready to broadcast against a split one. */
  perBlock(t: Tensor): Tensor;
  /** Back to the original shape. */
  join(x: Tensor): Tensor;
  readonly grid: readonly number[];
  readonly reduced: readonly number[];
}

export function blocked(op: string, shape: readonly number[], blockSize: readonly number[]): Blocked {
  const { grid, reduced } = blockGrid(op, shape, blockSize);
  const inner = grid.flatMap((g, i) => [g, blockSize[i] as number]);
  const outer = grid.flatMap((g) => [g, 1]);
  return {
    split: (x) => reshape(x, inner),
    perBlock: (t) => reshape(t, outer),
    join: (x) => reshape(x, shape),
    grid,
    reduced,
  };
}

/** Smallest and largest value of each block, as [grid]. */
export function rangeOf(x: Tensor, b: Blocked): [min: Tensor, max: Tensor] {
  const reduce = (f: typeof amin): Tensor => {
    let t = b.split(x);
    for (let d = 1; d < t.ndim; d += 2) t = f(t, d, true);
    return reshape(t, b.grid);
  };
  return [reduce(amin), reduce(amax)];
}
