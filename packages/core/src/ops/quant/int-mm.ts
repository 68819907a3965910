// Integer matrix product with exact int32 sums: out[m, n] = sum_k a[m, k] * b[n, k], a int8 [M, K], b int8 [N, K].
import { float32, int8, int32 } from '../../dtypes/index.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add } from '../binary.ts';
import { requireDtype, requireNdim, shapeError } from '../checks.ts';
import { cast } from '../copy.ts';
import { linear } from '../matmul.ts';
import { slice } from '../views.ts';

/** Columns whose float32 sum of int8 products is exact: 2^24 / 128^2. */
const EXACT = 1024;

export const intMm = /*@__PURE__*/ defineOp<[a: Tensor, b: Tensor]>('int_mm', {
  meta(a, b) {
    for (const [name, t] of [
      ['a', a],
      ['b', b],
    ] as const) {
      requireDtype('int_mm', name, t, [int8]);
      requireNdim('int_mm', name, t, 2);
    }
    if (a.shape[1] !== b.shape[1])
      throw shapeError('int_mm', `[${a.shape}] and [${b.shape}] have different columns`, 'give [M, K] and [N, K]');
    return { shape: [a.shape[0] as number, b.shape[0] as number], dtype: int32 };
  },
  decompose(a, b) {
    const k = a.shape[1] as number;
    let total: Tensor | undefined;
    for (let at = 0; at < k; at += EXACT) {
      const part = (t: Tensor): Tensor => cast(slice(t, 1, at, Math.min(at + EXACT, k)), float32);
      const sums = cast(linear(part(a), part(b)), int32);
      total = total === undefined ? sums : add(total, sums);
    }
    return total ?? cast(linear(cast(a, float32), cast(b, float32)), int32);
  },
});
