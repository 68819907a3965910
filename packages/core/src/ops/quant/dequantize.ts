// dequantize_affine, fake quantization and their forms.
import type { DType } from '../../dtype.ts';
import { float32 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, mul, sub } from '../binary.ts';
import { requireFloat } from '../checks.ts';
import { cast } from '../copy.ts';
import { blocked } from './blocked.ts';
import { checkedRange, midPoint, type QuantDType, type QuantRange } from './quant-range.ts';
import { checkZeroPoint, quantizeToFloat, type RangeOptions, type ZeroPointForm } from './quantize.ts';
import { checkQuantArgs } from './storage.ts';

export interface DequantizeOptions extends RangeOptions {
  /** float32 unless given. */
  readonly outputDtype?: DType | undefined;
}

export type Dequantize = [
  input: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zeroPoint: Tensor | null,
  inputDtype: QuantDType,
  options?: DequantizeOptions,
];

/** The same from codes held as integers or floats; every step rounds to `out`. */
function fromCodes(
  op: string,
  form: ZeroPointForm,
  codes: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zero: Tensor | null,
  range: QuantRange,
  out: DType,
): Tensor {
  const b = blocked(op, codes.shape, blockSize);
  const s = b.perBlock(scale);
  const z = zero === null ? null : b.perBlock(zero);
  const q = b.split(codes);
  if (form === 'float') {
    const shifted = cast(sub(cast(q, float32), midPoint(range)), out);
    const scaled = cast(mul(shifted, s), out);
    return b.join(z === null ? scaled : cast(add(scaled, z), out));
  }
  const shifted = z === null ? cast(q, out) : sub(cast(q, out), cast(z, out));
  return b.join(cast(mul(shifted, s), out));
}

function define(id: string, form: ZeroPointForm) {
  return /*@__PURE__*/ defineOp<Dequantize>(id, {
    meta(input, blockSize, scale, zeroPoint, dtype, o = {}) {
      checkQuantArgs(id, input, blockSize, scale, zeroPoint, form === 'float');
      if (form !== 'float') checkZeroPoint(id, form, zeroPoint);
      checkedRange(id, dtype, o.quantMin, o.quantMax);
      return { shape: input.shape, dtype: o.outputDtype ?? float32 };
    },
    decompose: (input, blockSize, scale, zeroPoint, dtype, o = {}) =>
      fromCodes(
        id,
        form,
        input,
        blockSize,
        scale,
        zeroPoint,
        checkedRange(id, dtype, o.quantMin, o.quantMax),
        o.outputDtype ?? float32,
      ),
  });
}

/** x' = (q - zeroPoint) * scale. */
export const dequantizeAffine = /*@__PURE__*/ define('dequantize_affine', 'int');
/** x' = (q - mid) * scale + zeroPoint, float zero point (may be null). */
export const dequantizeAffineTinygemm = /*@__PURE__*/ define('dequantize_affine_tinygemm', 'float');
/** x' = q * scale; zeroPoint is null. */
export const dequantizeAffineNoZeroPoint = /*@__PURE__*/ define('dequantize_affine_no_zero_point', 'none');

export interface FakeQuantizeOptions extends RangeOptions {
  readonly zeroPointDomain?: 'INT' | 'FLOAT' | 'NONE' | undefined;
}

export type FakeQuantize = [
  input: Tensor,
  blockSize: readonly number[],
  scale: Tensor,
  zeroPoint: Tensor | null,
  quantDtype: QuantDType,
  options?: FakeQuantizeOptions,
];

export const zeroPointForm = (domain: FakeQuantizeOptions['zeroPointDomain']): ZeroPointForm =>
  (({ INT: 'int', FLOAT: 'float', NONE: 'none' }) as const)[domain ?? 'INT'];

function fakeMeta(op: string, [input, blockSize, scale, zeroPoint, dtype, o = {}]: FakeQuantize): void {
  const form = zeroPointForm(o.zeroPointDomain);
  if (form === undefined)
    throw new AoError('ERR_AO_CONFIG', `unknown zero point domain ${String(o.zeroPointDomain)}`, {
      op,
      fix: "use 'INT', 'FLOAT' or 'NONE'",
    });
  requireFloat(op, 'input', input);
  checkQuantArgs(op, input, blockSize, scale, zeroPoint, form === 'float');
  checkZeroPoint(op, form, zeroPoint);
  checkedRange(op, dtype, o.quantMin, o.quantMax);
}

function fake(op: string, [input, blockSize, scale, zeroPoint, dtype, o = {}]: FakeQuantize): Tensor {
  const form = zeroPointForm(o.zeroPointDomain);
  const range = checkedRange(op, dtype, o.quantMin, o.quantMax);
  const q = quantizeToFloat(op, form, input, blockSize, scale, zeroPoint, range);
  return fromCodes(op, form, q, blockSize, scale, zeroPoint, range, input.dtype);
}

/** Quantize and dequantize without the casts, in the dtype of the input. */
export const fakeQuantizeAffine = /*@__PURE__*/ defineOp<FakeQuantize>('fake_quantize_affine', {
  meta(...args) {
    fakeMeta('fake_quantize_affine', args);
    return { shape: args[0].shape, dtype: args[0].dtype };
  },
  decompose: (...args) => fake('fake_quantize_affine', args),
});
