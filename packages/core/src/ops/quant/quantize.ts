// quantize_affine and its forms: values -> codes in int8 or uint8.
import { AoError } from '../../errors.ts';
import { defineOp, type Meta } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, div, mul, sub } from '../binary.ts';
import { requireFloat } from '../checks.ts';
import { cast } from '../copy.ts';
import { clamp, reciprocal, round } from '../unary.ts';
import { blocked } from './blocked.ts';
import { checkedRange, midPoint, type QuantDType, type QuantRange } from './quant-range.ts';
import { checkQuantArgs, storageOf } from './storage.ts';

export interface RangeOptions {
  readonly quantMin?: number | undefined;
  readonly quantMax?: number | undefined;
}

export type Quantize = [
  input: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zeroPoint: Tensor | null,
  outputDtype: QuantDType,
  options?: RangeOptions,
];

/** How zero points enter: integers added to codes, floats as tinygemm has them, or not at all. */
export type ZeroPointForm = 'int' | 'float' | 'none';

function quantizeMeta(
  op: string,
  form: ZeroPointForm,
  [input, blockSize, scale, zeroPoint, dtype, o = {}]: Quantize,
): Meta {
  requireFloat(op, 'input', input);
  checkQuantArgs(op, input, blockSize, scale, zeroPoint, form === 'float');
  checkZeroPoint(op, form, zeroPoint);
  checkedRange(op, dtype, o.quantMin, o.quantMax);
  return { shape: input.shape, dtype: storageOf(dtype) };
}

export function checkZeroPoint(op: string, form: ZeroPointForm, zeroPoint: Tensor | null): void {
  if ((zeroPoint === null) === (form === 'none')) return;
  throw new AoError('ERR_AO_CONFIG', form === 'none' ? 'a zero point was given' : 'the zero point is missing', {
    op,
    fix: form === 'none' ? 'pass null, or use quantizeAffine' : 'pass zeros, or use the NoZeroPoint form',
  });
}

/** Codes as floats, not yet cast. */
export function quantizeToFloat(
  op: string,
  form: ZeroPointForm,
  input: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zero: Tensor | null,
  range: QuantRange,
): Tensor {
  const b = blocked(op, input.shape, blockSize);
  const x = b.split(input);
  const s = b.perBlock(scale);
  const z = zero === null ? null : b.perBlock(zero);
  let q: Tensor;
  if (form === 'float' && z !== null) q = round(div(sub(x, sub(z, mul(s, midPoint(range)))), s));
  else {
    q = round(mul(x, reciprocal(s)));
    if (z !== null) q = add(q, cast(z, q.dtype));
  }
  return b.join(clamp(q, range.quantMin, range.quantMax));
}

function define(id: string, form: ZeroPointForm) {
  return /*@__PURE__*/ defineOp<Quantize>(id, {
    meta: (...args) => quantizeMeta(id, form, args),
    decompose: (input, blockSize, scale, zeroPoint, dtype, o = {}) =>
      cast(
        quantizeToFloat(id, form, input, blockSize, scale, zeroPoint, checkedRange(id, dtype, o.quantMin, o.quantMax)),
        storageOf(dtype),
      ),
  });
}

/** q = clamp(round(x * (1 / scale)) + zeroPoint). */
export const quantizeAffine = /*@__PURE__*/ define('quantize_affine', 'int');
/** q = clamp(round((x - (zeroPoint - scale * mid)) / scale)), float zero point. */
export const quantizeAffineTinygemm = /*@__PURE__*/ define('quantize_affine_tinygemm', 'float');
/** q = clamp(round(x * (1 / scale))); zeroPoint is null. */
export const quantizeAffineNoZeroPoint = /*@__PURE__*/ define('quantize_affine_no_zero_point', 'none');
