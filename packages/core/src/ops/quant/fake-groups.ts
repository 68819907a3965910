// Dynamic fake quantization of rows in groups, and its straight-through gradient, each in one pass over x:
//   q = round(x * (1 / s)) + z,   fakeQuantizeGroups = (clamp(q) - z) s,   gradient = g where qmin <= q <= qmax, else 0
// with s and z of each group as choose_qparams_affine finds them, held constant by the gradient.
import type { DType } from '../../dtype.ts';
import { int32 } from '../../dtypes/index.ts';
import { defineOp, type Meta } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, ge, le, mul, where } from '../binary.ts';
import { requireFloat, requireSameDtype, requireShape } from '../checks.ts';
import { cast } from '../copy.ts';
import { reciprocal, round } from '../unary.ts';
import { blocked } from './blocked.ts';
import { blockGrid } from './blocks.ts';
import { chooseQparamsAffine, type MappingName } from './choose.ts';
import { fakeQuantizeAffine } from './dequantize.ts';
import { checkedRange, type QuantRange } from './quant-range.ts';

export interface FakeGroups extends QuantRange {
  /** Values of the last dimension that share a scale; 0: a row has one. */
  readonly groupSize: number;
  readonly mapping: MappingName;
  /** Smallest scale; the smallest normal number of x's dtype unless given. */
  readonly eps?: number | undefined;
  /** x's unless given. */
  readonly scaleDtype?: DType | undefined;
}

/** One scale for so many values side by side. */
export const fakeBlock = (x: { readonly shape: readonly number[] }, { groupSize }: FakeGroups): number[] =>
  x.shape.map((n, i) => (i < x.shape.length - 1 ? 1 : groupSize || n));

function check(op: string, x: Tensor, o: FakeGroups): Meta {
  requireFloat(op, 'x', x);
  blockGrid(op, x.shape, fakeBlock(x, o));
  checkedRange(op, o.quantMin < 0 ? 'int8' : 'uint8', o.quantMin, o.quantMax);
  return { shape: x.shape, dtype: x.dtype };
}

function qparams(x: Tensor, o: FakeGroups): [scale: Tensor, zero: Tensor] {
  const { quantMin, quantMax, eps, scaleDtype } = o;
  const options = { quantMin, quantMax, eps, scaleDtype, zeroPointDtype: int32, keepdim: true };
  return chooseQparamsAffine(x, o.mapping, fakeBlock(x, o), quantMin < 0 ? 'int8' : 'uint8', options);
}

/** x [..., K] -> the values that its codes stand for, in x's dtype. */
export const fakeQuantizeGroups = /*@__PURE__*/ defineOp<[x: Tensor, options: FakeGroups]>('fake_quantize_groups', {
  meta: (x, o) => check('fake_quantize_groups', x, o),
  decompose(x, o) {
    const [scale, zero] = qparams(x, o);
    return fakeQuantizeAffine(x, fakeBlock(x, o), scale, zero, o.quantMin < 0 ? 'int8' : 'uint8', o);
  },
});

/** The gradient g by fakeQuantizeGroups(x) -> by x: 0 where x was clamped. */
export const fakeQuantizeGroupsGrad = /*@__PURE__*/ defineOp<[g: Tensor, x: Tensor, options: FakeGroups]>(
  'fake_quantize_groups_grad',
  {
    meta(g, x, o) {
      requireSameDtype('fake_quantize_groups_grad', ['g', g], ['x', x]);
      requireShape('fake_quantize_groups_grad', 'g', g, x.shape);
      return check('fake_quantize_groups_grad', x, o);
    },
    decompose(g, x, o) {
      const [scale, zero] = qparams(x, o);
      const b = blocked('fake_quantize_groups_grad', x.shape, fakeBlock(x, o));
      const products = mul(b.split(x), reciprocal(b.perBlock(scale)));
      const q = add(round(products), cast(b.perBlock(zero), products.dtype));
      return b.join(where(ge(q, o.quantMin), where(le(q, o.quantMax), b.split(g), 0), 0));
    },
  },
);
