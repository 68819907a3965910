// Reductions in double, rounded once at the end: what float32 sums of any order approximate.
import { type KernelEntry, kernel } from '../extension.ts';
import * as reduce from '../ops/reduce.ts';
import type { Dense } from '../tensor.ts';
import { store, valuesOf } from './memory.ts';
import { crossEntropyKernels } from './softmax.ts';

/** Calls each(row, read, n) for every line along dim: read(i) is its i-th value. */
function lines(
  x: Dense,
  dim: number | undefined,
  each: (line: number, read: (i: number) => number, n: number) => void,
): void {
  const values = valuesOf(x);
  if (dim === undefined) {
    each(0, (i) => values[i]!, values.length);
    return;
  }
  const d = dim < 0 ? dim + x.ndim : dim;
  const n = x.shape[d]!;
  const inner = x.shape.slice(d + 1).reduce((p, s) => p * s, 1);
  const count = n === 0 ? x.shape.reduce((p, s, i) => (i === d ? p : p * s), 1) : values.length / n;
  for (let line = 0; line < count; line++) {
    const base = Math.floor(line / inner) * n * inner + (line % inner);
    each(line, (i) => values[base + i * inner]!, n);
  }
}

function fold(op: typeof reduce.sum, f: (read: (i: number) => number, n: number) => number): KernelEntry {
  return kernel(op, 'reference', (out, x, dim) => {
    const result = new Float64Array(out.numel);
    lines(x, dim, (line, read, n) => {
      result[line] = f(read, n);
    });
    store(out, result);
  });
}

function total(read: (i: number) => number, n: number): number {
  let s = 0;
  for (let i = 0; i < n; i++) s += read(i);
  return s;
}

/** Index of the first value that `better` prefers; NaN beats all. */
function best(read: (i: number) => number, n: number, better: (a: number, b: number) => boolean): number {
  let at = 0;
  for (let i = 1; i < n; i++) {
    const v = read(i);
    const b = read(at);
    if (!Number.isNaN(b) && (Number.isNaN(v) || better(v, b))) at = i;
  }
  return at;
}

const greater = (a: number, b: number): boolean => a > b;
const less = (a: number, b: number): boolean => a < b;

export const reductions = (): KernelEntry[] => [
  fold(reduce.sum, total),
  fold(reduce.mean, (read, n) => total(read, n) / n),
  fold(reduce.amax, (read, n) => read(best(read, n, greater))),
  fold(reduce.amin, (read, n) => read(best(read, n, less))),
  fold(reduce.argmax, (read, n) => best(read, n, greater)),
  kernel(reduce.topk, 'reference', ([values, indices], x, k) => {
    const outValues: number[] = [];
    const outIndices: number[] = [];
    lines(x, -1, (_, read, n) => {
      const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => read(b) - read(a) || a - b);
      for (const i of order.slice(0, k)) {
        outValues.push(read(i));
        outIndices.push(i);
      }
    });
    store(values, outValues);
    store(indices, outIndices);
  }),
  ...crossEntropyKernels(),
];
