// float8 by blocks, as torchao's quant_primitives:
//   scale = amax / largest value of the dtype (amax held within [hpValueLb, hpValueUb]), computed in x's dtype, kept in float32
//   q = saturate(x / scale), x' = q * scale
// A block of zeros has scale 0; its codes are 0 here, where torchao divides by it and gives NaN.
import type { DType } from '../../dtype.ts';
import { float8_e4m3fn, float8_e5m2, float32 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { div, eq, maximum, minimum, mul, where } from '../binary.ts';
import { requireDtype, requireFloat, shapeError } from '../checks.ts';
import { cast } from '../copy.ts';
import { amax } from '../reduce.ts';
import { abs, clamp, log, round } from '../unary.ts';
import { reshape } from '../views.ts';
import { blocked } from './blocked.ts';
import { blockGrid } from './blocks.ts';
import { powerOfTwo } from './exmy.ts';

const FLOAT8: readonly DType[] = [float8_e4m3fn, float8_e5m2];

export interface ChooseScaleFloat8Options {
  /** Smallest and largest amax that counts. */
  readonly hpValueLb?: number | null | undefined;
  readonly hpValueUb?: number | null | undefined;
  /** Scales of whole powers of two: exp2(round(log2(scale))). */
  readonly powerOfTwo?: boolean | undefined;
}

function requireFloat8(op: string, dtype: DType): void {
  if (FLOAT8.includes(dtype)) return;
  throw new AoError('ERR_AO_DTYPE', `${dtype.name} is no float8 of weights`, {
    op,
    fix: 'use float8_e4m3fn or float8_e5m2',
  });
}

/** Scales of x [..] by blocks of blockSize: float32 [x.shape / blockSize]. */
export const chooseScaleFloat8 = /*@__PURE__*/ defineOp<
  [x: Tensor, blockSize: readonly number[], float8Dtype: DType, options?: ChooseScaleFloat8Options]
>('choose_scale_float8', {
  meta(x, blockSize, dtype) {
    requireFloat('choose_scale_float8', 'x', x);
    requireFloat8('choose_scale_float8', dtype);
    return { shape: blockGrid('choose_scale_float8', x.shape, blockSize).grid, dtype: float32 };
  },
  decompose(x, blockSize, dtype, o = {}) {
    const b = blocked('choose_scale_float8', x.shape, blockSize);
    let peak = b.split(abs(x));
    for (let d = 1; d < peak.ndim; d += 2) peak = amax(peak, d, true);
    peak = reshape(peak, b.grid);
    if (o.hpValueLb != null) peak = maximum(peak, o.hpValueLb);
    if (o.hpValueUb != null) peak = minimum(peak, o.hpValueUb);
    const scale = div(peak, dtype.max);
    if (o.powerOfTwo !== true) return cast(scale, float32);
    const exponent = cast(mul(log(cast(scale, float32)), 1 / Math.LN2), x.dtype);
    return powerOfTwo(cast(round(exponent), float32));
  },
});

function blockOf(op: string, shape: readonly number[], scale: Tensor): number[] {
  const fits = scale.ndim === shape.length && shape.every((n, i) => n % (scale.shape[i] as number) === 0);
  if (fits) return shape.map((n, i) => n / (scale.shape[i] as number));
  if (scale.numel === 1) return [...shape];
  throw shapeError(op, `scale [${scale.shape}] does not tile [${shape}]`, 'give one scale a block');
}

/** Values / scale, saturated, in float8Dtype; the scale's shape says the blocks. */
export const quantizeAffineFloat8 = /*@__PURE__*/ defineOp<[x: Tensor, scale: Tensor, float8Dtype: DType]>(
  'quantize_affine_float8',
  {
    meta(x, scale, dtype) {
      requireFloat('quantize_affine_float8', 'x', x);
      requireDtype('quantize_affine_float8', 'scale', scale, [float32]);
      requireFloat8('quantize_affine_float8', dtype);
      blockOf('quantize_affine_float8', x.shape, scale);
      return { shape: x.shape, dtype };
    },
    decompose(x, scale, dtype) {
      const b = blocked('quantize_affine_float8', x.shape, blockOf('quantize_affine_float8', x.shape, scale));
      const s = b.perBlock(where(eq(scale, 0), 1, scale));
      return b.join(cast(clamp(div(b.split(cast(x, float32)), s), dtype.min, dtype.max), dtype));
    },
  },
);

/** Codes * scale in `outputDtype` (float32 unless given). */
export const dequantizeAffineFloat8 = /*@__PURE__*/ defineOp<[q: Tensor, scale: Tensor, outputDtype?: DType]>(
  'dequantize_affine_float8',
  {
    meta(q, scale, outputDtype = float32) {
      requireDtype('dequantize_affine_float8', 'q', q, FLOAT8);
      requireDtype('dequantize_affine_float8', 'scale', scale, [float32]);
      blockOf('dequantize_affine_float8', q.shape, scale);
      return { shape: q.shape, dtype: outputDtype };
    },
    decompose(q, scale, outputDtype = float32) {
      const b = blocked('dequantize_affine_float8', q.shape, blockOf('dequantize_affine_float8', q.shape, scale));
      return b.join(cast(mul(b.split(cast(q, float32)), b.perBlock(scale)), outputDtype));
    },
  },
);
