// Fake quantization as quantizeInt4 rounds, in float32 by groups of a row, and its gradient, each in one pass over x. With lo and hi of a group,
//   s = max(hi - lo, 1e-6) / 15,  t = (x - lo) / s,  c = clamp(round(t), 0, 15),  fakeQuantizeInt4 = (c - 8) s + (lo + 8 s)
// Rounding passes gradients on, and as in torchao they also flow through lo, hi and s: with S = sum g (c - t), g becomes g + S / 15 shared by
// the values that are hi and g - S / 15 shared by those that are lo; S = 0 where hi - lo <= 1e-6.
import { float32 } from '../../dtypes/index.ts';
import { defineOp, type Meta } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, div, eq, gt, maximum, mul, sub, where } from '../binary.ts';
import { requireFloat, requireSameDtype, requireShape } from '../checks.ts';
import { cast } from '../copy.ts';
import { amax, amin, sum } from '../reduce.ts';
import { clamp, round } from '../unary.ts';
import { reshape } from '../views.ts';
import { blockGrid } from './blocks.ts';

const SMALLEST_RANGE = 1e-6;
const LEVELS = 15;

function check(op: string, x: Tensor, groupSize: number): Meta {
  requireFloat(op, 'x', x);
  blockGrid(
    op,
    x.shape,
    x.shape.map((_, i) => (i < x.ndim - 1 ? 1 : groupSize)),
  );
  return { shape: x.shape, dtype: x.dtype };
}

function parts(x: Tensor, groupSize: number) {
  const v = reshape(cast(x, float32), [-1, groupSize]);
  const [low, high] = [amin(v, 1, true), amax(v, 1, true)];
  const range = sub(high, low);
  const scale = div(maximum(range, SMALLEST_RANGE), LEVELS);
  const t = div(sub(v, low), scale);
  return { v, low, high, range, scale, t, codes: clamp(round(t), 0, LEVELS) };
}

/** x [..., K] of floats, K whole groups -> what its int4 codes stand for, in x's dtype. */
export const fakeQuantizeInt4 = /*@__PURE__*/ defineOp<[x: Tensor, groupSize: number]>('fake_quantize_int4', {
  meta: (x, groupSize) => check('fake_quantize_int4', x, groupSize),
  decompose(x, groupSize) {
    const { low, scale, codes } = parts(x, groupSize);
    const values = add(mul(sub(codes, 8), scale), add(low, mul(scale, 8)));
    return cast(reshape(values, x.shape), x.dtype);
  },
});

/** The gradient g by fakeQuantizeInt4(x) -> by x. */
export const fakeQuantizeInt4Grad = /*@__PURE__*/ defineOp<[g: Tensor, x: Tensor, groupSize: number]>(
  'fake_quantize_int4_grad',
  {
    meta(g, x, groupSize) {
      requireSameDtype('fake_quantize_int4_grad', ['g', g], ['x', x]);
      requireShape('fake_quantize_int4_grad', 'g', g, x.shape);
      return check('fake_quantize_int4_grad', x, groupSize);
    },
    decompose(g, x, groupSize) {
      const { v, low, high, range, t, codes } = parts(x, groupSize);
      const gradient = reshape(cast(g, float32), [-1, groupSize]);
      const total = div(sum(mul(gradient, sub(codes, t)), 1, true), LEVELS);
      const through = where(gt(range, SMALLEST_RANGE), total, 0);
      const share = (bound: Tensor): Tensor => {
        const hit = cast(eq(v, bound), float32);
        return mul(hit, div(through, sum(hit, 1, true)));
      };
      return cast(reshape(sub(add(gradient, share(high)), share(low)), x.shape), x.dtype);
    },
  },
);
