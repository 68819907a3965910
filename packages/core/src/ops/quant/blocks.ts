// The blocks of a tensor whose elements share one scale.
import { shapeError } from '../checks.ts';

export interface Grid {
  /** Blocks per dimension: the shape of the scale. */
  readonly grid: readonly number[];
  /** torchao's shape without keepdim: dimensions that one block covers are dropped. */
  readonly reduced: readonly number[];
  readonly count: number;
}

/** Length of a block where blocks are runs of the flat tensor, else 0. */
export function blockRun(shape: readonly number[], blockSize: readonly number[]): number {
  const first = blockSize.findIndex((b) => b > 1);
  const runs = first < 0 || blockSize.every((b, i) => i <= first || b === shape[i]);
  return runs ? blockSize.reduce((a, b) => a * b, 1) : 0;
}

/** Throws ERR_AO_SHAPE naming the dimension where blockSize does not divide the shape. */
export function blockGrid(op: string, shape: readonly number[], blockSize: readonly number[]): Grid {
  if (shape.length !== blockSize.length) {
    throw shapeError(
      op,
      `blockSize [${blockSize}] and shape [${shape}] differ in rank`,
      'give one length per dimension',
    );
  }
  const grid = shape.map((size, i) => {
    const block = blockSize[i] as number;
    if (Number.isInteger(block) && block > 0 && size % block === 0) return size / block;
    throw shapeError(
      op,
      `dimension ${i} of [${shape}] is no multiple of its block ${block}`,
      `use a divisor of ${size}`,
    );
  });
  const reduced = grid.filter((_, i) => blockSize[i] === 1 || blockSize[i] !== shape[i]);
  return { grid, reduced, count: grid.reduce((a, b) => a * b, 1) };
}
