// choose_qparams: scale and zero point per block of values, as torchao's quant_primitives.
//   SYMMETRIC                 scale = max(-min, max) / ((qmax - qmin) / 2), zero point = middle of the range
//   SYMMETRIC_NO_CLIPPING_ERR scale = max(min / qmin, max / qmax)
//   ASYMMETRIC                scale = (max - min) / (qmax - qmin), zero point = clamp(qmin - round(min / scale))

import { full } from '../../create.ts';
import type { DType } from '../../dtype.ts';
import { int32 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp, type Op } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, div, gt, maximum, minimum, mul, sub, where } from '../binary.ts';
import { requireFloat, requireSameDtype, requireShape } from '../checks.ts';
import { cast } from '../copy.ts';
import { clamp, neg, round } from '../unary.ts';
import { reshape } from '../views.ts';
import { blocked, rangeOf } from './blocked.ts';
import { blockGrid } from './blocks.ts';
import { checkedRange, midPoint, type QuantDType, type QuantRange } from './quant-range.ts';

export type MappingName = 'SYMMETRIC' | 'SYMMETRIC_NO_CLIPPING_ERR' | 'ASYMMETRIC';

export interface ChooseQParamsOptions {
  readonly quantMin?: number | undefined;
  readonly quantMax?: number | undefined;
  /** Smallest scale; the smallest normal number of the input's dtype unless given. */
  readonly eps?: number | undefined;
  /** The input's dtype unless given. */
  readonly scaleDtype?: DType | undefined;
  /** int32 unless given; tinygemm: the input's. */
  readonly zeroPointDtype?: DType | undefined;
  /** Keep the rank of the input: [rows, K / group] instead of torchao's squeezed shape. */
  readonly keepdim?: boolean | undefined;
}

type Choose = [
  input: Tensor,
  mappingType: MappingName,
  blockSize: readonly number[],
  targetDtype: QuantDType,
  options?: ChooseQParamsOptions,
];
type Pair = [scale: Tensor, zeroPoint: Tensor];

/** Scale and zero point (both in the dtype of the range) from the smallest and largest values. */
function fromRange(
  min: Tensor,
  max: Tensor,
  mapping: MappingName,
  range: QuantRange,
  eps: number,
  preserveZero: boolean,
): Pair {
  const { quantMin, quantMax } = range;
  const low = preserveZero ? minimum(min, 0) : min;
  const high = preserveZero ? maximum(max, 0) : max;
  if (mapping === 'ASYMMETRIC') {
    const scale = maximum(div(sub(high, low), quantMax - quantMin), eps);
    return [scale, clamp(sub(quantMin, round(div(low, scale))), quantMin, quantMax)];
  }
  const middle = full(min.rt, min.shape, Math.trunc(midPoint(range)), { dtype: min.dtype, device: min.device });
  if (mapping === 'SYMMETRIC') return [maximum(div(maximum(neg(low), high), (quantMax - quantMin) / 2), eps), middle];
  const negative = div(low, quantMin);
  const positive = div(high, quantMax);
  return [maximum(where(gt(negative, positive), negative, positive), eps), middle];
}

type Compute = (min: Tensor, max: Tensor, mapping: MappingName, range: QuantRange, eps: number) => Pair;

const finish = ([scale, zero]: Pair, shape: readonly number[], scaleDtype: DType, zeroDtype: DType): Pair => [
  reshape(cast(scale, scaleDtype), shape),
  reshape(cast(zero, zeroDtype), shape),
];

/** `compute` gives both in the input's dtype; zeroDtype null: the zero point's dtype is the input's unless given. */
function define(id: string, zeroDtype: DType | null, asymmetric: boolean, compute: Compute): Op<Choose, Pair> {
  return defineOp<Choose, Pair>(id, {
    meta(input, mapping, blockSize, target, o = {}) {
      if (asymmetric && mapping !== 'ASYMMETRIC') {
        throw new AoError('ERR_AO_CONFIG', `mapping type ${mapping} is not supported`, {
          op: id,
          fix: "use 'ASYMMETRIC'",
        });
      }
      requireFloat(id, 'input', input);
      checkedRange(id, target, o.quantMin, o.quantMax);
      const { grid, reduced } = blockGrid(id, input.shape, blockSize);
      const shape = o.keepdim === true ? grid : reduced;
      return [
        { shape, dtype: o.scaleDtype ?? input.dtype },
        { shape, dtype: o.zeroPointDtype ?? zeroDtype ?? input.dtype },
      ];
    },
    decompose(input, mapping, blockSize, target, o = {}) {
      const b = blocked(id, input.shape, blockSize);
      const [min, max] = rangeOf(input, b);
      const { dtype } = input;
      const pair = compute(
        min,
        max,
        mapping,
        checkedRange(id, target, o.quantMin, o.quantMax),
        o.eps ?? dtype.smallestNormal,
      );
      const shape = o.keepdim === true ? b.grid : b.reduced;
      return finish(pair, shape, o.scaleDtype ?? dtype, o.zeroPointDtype ?? zeroDtype ?? dtype);
    },
  });
}

const affine =
  (preserveZero: boolean): Compute =>
  (min, max, mapping, range, eps) =>
    fromRange(min, max, mapping, range, eps, preserveZero);

/** torchao's choose_qparams_affine. */
export const chooseQparamsAffine = /*@__PURE__*/ define(
  'choose_qparams_affine',
  int32,
  false,
  /*@__PURE__*/ affine(true),
);

/** The range is not widened to hold 0; asymmetric only, integer zero point. */
export const chooseQparamsAffineDontPreserveZero = /*@__PURE__*/ define(
  'choose_qparams_affine_dont_preserve_zero',
  int32,
  true,
  /*@__PURE__*/ affine(false),
);

/** tinygemm's float zero point: min + scale * mid. */
export const chooseQparamsAffineTinygemm = /*@__PURE__*/ define(
  'choose_qparams_affine_tinygemm',
  null,
  true,
  (min, max, _mapping, range, eps) => {
    const scale = maximum(div(sub(max, min), range.quantMax - range.quantMin), eps);
    return [scale, add(min, mul(scale, midPoint(range)))];
  },
);

/** From ranges that an observer collected: one scale for each element of minVal. */
export const chooseQparamsAffineWithMinMax = /*@__PURE__*/ defineOp<
  [minVal: Tensor, maxVal: Tensor, mappingType: MappingName, targetDtype: QuantDType, options?: ChooseQParamsOptions],
  Pair
>('choose_qparams_affine_with_min_max', {
  meta(min, max, _mapping, target, o = {}) {
    const op = 'choose_qparams_affine_with_min_max';
    requireFloat(op, 'minVal', min);
    requireSameDtype(op, ['minVal', min], ['maxVal', max]);
    requireShape(op, 'maxVal', max, min.shape);
    checkedRange(op, target, o.quantMin, o.quantMax);
    const { shape } = min;
    return [
      { shape, dtype: o.scaleDtype ?? min.dtype },
      { shape, dtype: o.zeroPointDtype ?? int32 },
    ];
  },
  decompose(min, max, mapping, target, o = {}) {
    const range = checkedRange('', target, o.quantMin, o.quantMax);
    const pair = fromRange(min, max, mapping, range, o.eps ?? min.dtype.smallestNormal, true);
    return finish(pair, min.shape, o.scaleDtype ?? min.dtype, o.zeroPointDtype ?? int32);
  },
});
