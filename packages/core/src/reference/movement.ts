// Copies, casts, gathers.

import { AoError } from '../errors.ts';
import { type KernelEntry, kernel } from '../extension.ts';
import { contiguousOp } from '../ops/contiguous.ts';
import { castTo, clone, copy_, fill_ } from '../ops/copy.ts';
import { embedding, gather } from '../ops/embedding.ts';
import { addScalar_ } from '../ops/sample.ts';
import { expand } from '../ops/views.ts';
import type { Dense } from '../tensor.ts';
import { rawOf, store, storeRaw, valuesOf } from './memory.ts';

/** Checks an index against a table size. */
export function checkIndex(op: string, index: number, size: number): number {
  if (index >= 0 && index < size) return index;
  throw new AoError('ERR_AO_STREAM', `index ${index} is outside 0..${size - 1}`, {
    op,
    fix: 'check the indices against the table',
  });
}

/** torch's conversion of values on the way to a dtype: integers truncate, bool is x != 0. */
function converted(values: ArrayLike<number>, out: Dense): ArrayLike<number> {
  if (out.dtype.category === 'int') return Float64Array.from(values, Math.trunc);
  if (out.dtype.category === 'bool') return Float64Array.from(values, (x) => Number(x !== 0));
  return values;
}

export const movement = (): KernelEntry[] => [
  kernel(contiguousOp, 'reference', (out, x) => storeRaw(out, rawOf(x)), { strided: true }),
  kernel(clone, 'reference', (out, x) => storeRaw(out, rawOf(x)), { strided: true }),
  kernel(castTo, 'reference', (out, x) => store(out, converted(valuesOf(x), out)), { strided: true }),
  kernel(
    copy_,
    'reference',
    (out, _, x) => {
      const view = expand(x, out.shape) as Dense;
      if (x.dtype === out.dtype) storeRaw(out, rawOf(view));
      else store(out, converted(valuesOf(view), out));
      view.dispose();
    },
    { strided: true },
  ),
  kernel(fill_, 'reference', (out, _, value) => store(out, new Float64Array(out.numel).fill(value)), { strided: true }),
  kernel(
    addScalar_,
    'reference',
    (out, _, value) =>
      store(
        out,
        Float64Array.from(valuesOf(out), (x) => x + value),
      ),
    { strided: true },
  ),
  kernel(embedding, 'reference', (out, weight, indices) => {
    const table = rawOf(weight);
    const [V, D] = weight.shape as [number, number];
    const result = new out.dtype.array(out.numel);
    valuesOf(indices).forEach((index, row) => {
      const at = checkIndex('embedding', index, V) * D;
      result.set(table.subarray(at, at + D) as never, row * D);
    });
    storeRaw(out, result);
  }),
  kernel(gather, 'reference', (out, x, dim, index) => {
    const d = dim < 0 ? dim + x.ndim : dim;
    const from = rawOf(x);
    const result = new out.dtype.array(out.numel);
    const at = new Array<number>(x.ndim).fill(0);
    valuesOf(index).forEach((i, n) => {
      let rest = n;
      for (let a = x.ndim - 1; a >= 0; a--) {
        at[a] = rest % out.shape[a]!;
        rest = Math.floor(rest / out.shape[a]!);
      }
      at[d] = checkIndex('gather', i, x.shape[d]!);
      result[n] = from[at.reduce((p, v, a) => p * x.shape[a]! + v, 0)]!;
    });
    storeRaw(out, result);
  }),
];
