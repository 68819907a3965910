// Shared arithmetic of the reference kernels: values in float32, and a function that rounds to a tensor's dtype, as torch
// does after each operation.
import { blockGrid, blockRun, type DType } from '@ao/core';

export { roundHalfEven } from '@ao/core';

export type Rounding = (x: number) => number;

const bits = /*@__PURE__*/ new Float32Array(1);
const words = /*@__PURE__*/ new Uint32Array(bits.buffer);

function toBfloat16(x: number): number {
  bits[0] = x;
  const w = words[0] as number;
  if ((w & 0x7fffffff) > 0x7f800000) return Number.NaN;
  words[0] = (w + 0x7fff + ((w >>> 16) & 1)) & 0xffff0000;
  return bits[0] as number;
}

/** float32, then the nearest value of `dtype`: what torch's opmath does. */
export function roundingOf(dtype: DType): Rounding {
  if (dtype.name === 'float32') return Math.fround;
  if (dtype.name === 'bfloat16') return toBfloat16;
  return (x) => dtype.decode(dtype.encode(Math.fround(x)));
}

/** torch.clamp: NaN stays NaN. */
export const clamp = (x: number, low: number, high: number): number => (x < low ? low : x > high ? high : x);

export const atLeast = (x: number, low: number): number => (x < low ? low : x);

export interface Blocks {
  readonly count: number;
  /** Elements of a block that lie side by side, where blocks are runs of the flat array; else 0. */
  readonly run: number;
  /** Block of each element where run is 0. */
  readonly map: Int32Array | null;
}

export function blocksOf(op: string, shape: readonly number[], blockSize: readonly number[]): Blocks {
  const { grid, count } = blockGrid(op, shape, blockSize);
  const run = blockRun(shape, blockSize);
  if (run > 0) return { count, run, map: null };
  const numel = shape.reduce((a, b) => a * b, 1);
  return { count, run: 0, map: blockMap(shape, blockSize, grid, numel) };
}

function blockMap(
  shape: readonly number[],
  blockSize: readonly number[],
  grid: readonly number[],
  numel: number,
): Int32Array {
  const map = new Int32Array(numel);
  let inner = 1;
  let innerGrid = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    const size = shape[d] as number;
    const block = blockSize[d] as number;
    for (let i = 0; i < numel; i++) {
      const index = Math.floor(i / inner) % size;
      map[i] = (map[i] as number) + Math.floor(index / block) * innerGrid;
    }
    inner *= size;
    innerGrid *= grid[d] as number;
  }
  return map;
}

/** Block of element i. */
export function blockOf(blocks: Blocks, i: number): number {
  return blocks.map === null ? Math.floor(i / blocks.run) : (blocks.map[i] as number);
}

/** Smallest and largest value of each block; NaN where a block has one. */
export function blockRange(x: ArrayLike<number>, blocks: Blocks): { min: Float32Array; max: Float32Array } {
  const min = new Float32Array(blocks.count).fill(Number.POSITIVE_INFINITY);
  const max = new Float32Array(blocks.count).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < x.length; i++) {
    const b = blockOf(blocks, i);
    const v = x[i] as number;
    if (!((min[b] as number) <= v)) min[b] = Number.isNaN(min[b] as number) ? Number.NaN : v;
    if (!((max[b] as number) >= v)) max[b] = Number.isNaN(max[b] as number) ? Number.NaN : v;
  }
  return { min, max };
}
