// choose_qparams: scale and zero point per block. Formulas in affine-numerics.ts.
import type { DType } from '../../dtype.ts';
import { int32 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp, type Meta } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { full } from '../../create.ts';
import { add, div, gt, maximum, minimum, mul, sub, where } from '../binary.ts';
import { requireFloat, requireSameDtype, requireShape } from '../checks.ts';
import { cast } from '../copy.ts';
import { clamp, neg, round } from '../unary.ts';
import { reshape } from '../views.ts';
import type { MappingName } from './affine-numerics.ts';
import { blocked, rangeOf } from './blocked.ts';
import { blocksOf } from './numerics.ts';
import { checkedRange, midPoint, type QuantDType, type QuantRange } from './quant-range.ts';

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

type Choose = [input: Tensor, mappingType: MappingName, blockSize: readonly number[], targetDtype: QuantDType, options?: ChooseQParamsOptions];
type Pair = [scale: Tensor, zeroPoint: Tensor];

function pairMeta(op: string, input: Tensor, blockSize: readonly number[], target: QuantDType, o: ChooseQParamsOptions, zero: DType): [Meta, Meta] {
  requireFloat(op, 'input', input);
  checkedRange(op, target, o.quantMin, o.quantMax);
  const { grid, reduced } = blocksOf(op, input.shape, blockSize);
  const shape = o.keepdim === true ? grid : reduced;
  return [
    { shape, dtype: o.scaleDtype ?? input.dtype },
    { shape, dtype: o.zeroPointDtype ?? zero },
  ];
}

function requireAsymmetric(op: string, mapping: MappingName): void {
  if (mapping === 'ASYMMETRIC') return;
  throw new AoError('ERR_AO_CONFIG', `mapping type ${mapping} is not supported`, { op, fix: "use 'ASYMMETRIC'" });
}

/** Scale and zero point (both in the dtype of the range) from the smallest and largest values. */
function fromRange(min: Tensor, max: Tensor, mapping: MappingName, range: QuantRange, eps: number, preserveZero: boolean): Pair {
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

function decomposed(op: string, [input, mapping, blockSize, target, o = {}]: Choose, preserveZero: boolean): Pair {
  const range = checkedRange(op, target, o.quantMin, o.quantMax);
  const b = blocked(op, input.shape, blockSize);
  const [min, max] = rangeOf(input, b);
  const [scale, zero] = fromRange(min, max, mapping, range, o.eps ?? input.dtype.smallestNormal, preserveZero);
  return shaped(scale, zero, o.keepdim === true ? b.grid : b.reduced, o.scaleDtype ?? input.dtype, o.zeroPointDtype ?? int32);
}

function shaped(scale: Tensor, zero: Tensor, shape: readonly number[], scaleDtype: DType, zeroDtype: DType): Pair {
  return [reshape(cast(scale, scaleDtype), shape), reshape(cast(zero, zeroDtype), shape)];
}

/** torchao's choose_qparams_affine. */
export const chooseQparamsAffine = /*@__PURE__*/ defineOp<Choose, Pair>('choose_qparams_affine', {
  meta: (input, _mapping, blockSize, target, o = {}) => pairMeta('choose_qparams_affine', input, blockSize, target, o, int32),
  decompose: (...args) => decomposed('choose_qparams_affine', args, true),
});

/** The range is not widened to hold 0; asymmetric only, integer zero point. */
export const chooseQparamsAffineDontPreserveZero = /*@__PURE__*/ defineOp<Choose, Pair>('choose_qparams_affine_dont_preserve_zero', {
  meta(input, mapping, blockSize, target, o = {}) {
    requireAsymmetric('choose_qparams_affine_dont_preserve_zero', mapping);
    return pairMeta('choose_qparams_affine_dont_preserve_zero', input, blockSize, target, o, int32);
  },
  decompose: (...args) => decomposed('choose_qparams_affine_dont_preserve_zero', args, false),
});

/** tinygemm's float zero point: min + scale * mid. */
export const chooseQparamsAffineTinygemm = /*@__PURE__*/ defineOp<Choose, Pair>('choose_qparams_affine_tinygemm', {
  meta(input, mapping, blockSize, target, o = {}) {
    requireAsymmetric('choose_qparams_affine_tinygemm', mapping);
    return pairMeta('choose_qparams_affine_tinygemm', input, blockSize, target, o, input.dtype);
  },
  decompose(input, _mapping, blockSize, target, o = {}) {
    const range = checkedRange('choose_qparams_affine_tinygemm', target, o.quantMin, o.quantMax);
    const b = blocked('choose_qparams_affine_tinygemm', input.shape, blockSize);
    const [min, max] = rangeOf(input, b);
    const scale = maximum(div(sub(max, min), range.quantMax - range.quantMin), o.eps ?? input.dtype.smallestNormal);
    const zero = add(min, mul(scale, midPoint(range)));
    return shaped(scale, zero, o.keepdim === true ? b.grid : b.reduced, o.scaleDtype ?? input.dtype, o.zeroPointDtype ?? input.dtype);
  },
});

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
    return [
      { shape: min.shape, dtype: o.scaleDtype ?? min.dtype },
      { shape: min.shape, dtype: o.zeroPointDtype ?? int32 },
    ];
  },
  decompose(min, max, mapping, target, o = {}) {
    const range = checkedRange('choose_qparams_affine_with_min_max', target, o.quantMin, o.quantMax);
    const [scale, zero] = fromRange(min, max, mapping, range, o.eps ?? min.dtype.smallestNormal, true);
    return shaped(scale, zero, min.shape, o.scaleDtype ?? min.dtype, o.zeroPointDtype ?? int32);
  },
});
