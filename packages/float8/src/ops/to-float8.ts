// A matrix in float8 for training, as torchao's hp_tensor_to_float8_dynamic; scales are the inverse of those of inference:
//   s = largest / max(amax, 1e-12) in float64, then float32; rounded down to a power of two where asked;  q = saturate(float32(x) s)
// amax is that of the tensor, of each row (axis 1: over columns) or of each column (axis 0). NaN gives NaN codes.
import {
  AoError,
  abs,
  amax,
  cast,
  clamp,
  type Dense,
  type DType,
  defineOp,
  div,
  exponentOf,
  float8_e4m3fn,
  float8_e5m2,
  float32,
  le,
  mul,
  ne,
  permute,
  powerOfTwo,
  type Tensor,
  where,
} from '@ao/core';

/** Which values share a scale: all, those of a row ('rows': scale [R, 1]), those of a column ('columns': [1, C]). */
export type ScaleAxis = 'all' | 'rows' | 'columns';

/** Smallest amax that counts. */
const EPS = 1e-12;

function requireMatrix(op: string, x: Tensor, dtype: DType): void {
  if (x.ndim !== 2 || x.numel === 0) {
    throw new AoError('ERR_AO_SHAPE', `x [${x.shape}] is no matrix of values`, {
      op,
      fix: 'reshape it to [rows, columns]',
    });
  }
  if (x.dtype.category !== 'float' || x.dtype.bits <= 8) {
    throw new AoError('ERR_AO_DTYPE', `x is ${x.dtype.name}`, { op, fix: 'give float32, bfloat16 or float16' });
  }
  if (dtype !== float8_e4m3fn && dtype !== float8_e5m2) {
    throw new AoError('ERR_AO_DTYPE', `${dtype.name} is no float8 of training`, {
      op,
      fix: 'use float8_e4m3fn or float8_e5m2',
    });
  }
}

export const scaleShape = ([rows, columns]: readonly number[], axis: ScaleAxis): number[] =>
  axis === 'all' ? [1, 1] : axis === 'rows' ? [rows!, 1] : [1, columns!];

function scaleOf(x: Tensor, dtype: DType, axis: ScaleAxis, powerOf2: boolean): Tensor {
  const sizes = abs(x as Dense);
  const peak = cast(
    axis === 'columns' ? amax(sizes, 0, true) : amax(sizes, axis === 'rows' ? 1 : undefined, true),
    float32,
  );
  // float32 division rounds as float64's result rounded to float32 does; 1e-12 itself is no float32
  const scale = where(le(peak, Math.fround(EPS)), Math.fround(dtype.max / EPS), div(dtype.max, peak));
  return powerOf2 ? where(ne(scale, scale), scale, powerOfTwo(exponentOf(scale))) : scale;
}

/** x [R, C] float -> float32 scales [1, 1], [R, 1] or [1, C]. */
export const float8Scale = /*@__PURE__*/ defineOp<[x: Tensor, dtype: DType, axis: ScaleAxis, powerOf2: boolean]>(
  'float8_scale',
  {
    meta(x, dtype, axis) {
      requireMatrix('float8_scale', x, dtype);
      return { shape: scaleShape(x.shape, axis), dtype: float32 };
    },
    decompose: scaleOf,
  },
);

/** x [R, C] float -> codes [R, C] in `dtype` by scales that are given. */
export const float8Codes = /*@__PURE__*/ defineOp<[x: Tensor, scale: Tensor, dtype: DType]>('float8_codes', {
  meta(x, scale, dtype) {
    requireMatrix('float8_codes', x, dtype);
    const fits = scale.ndim === 2 && scale.shape.every((n, i) => n === 1 || n === x.shape[i]);
    if (!fits || scale.dtype !== float32) {
      throw new AoError('ERR_AO_SHAPE', `scale ${scale.dtype.name}[${scale.shape}] does not fit x [${x.shape}]`, {
        op: 'float8_codes',
        fix: 'give float32 [1, 1], [R, 1] or [1, C]',
      });
    }
    return { shape: x.shape, dtype };
  },
  decompose: (x, scale, dtype) => cast(clamp(mul(cast(x, float32), scale), -dtype.max, dtype.max), dtype),
});

/** x [R, C] float -> codes [R, C] in `dtype` and their scales: the amax and the cast in one call. */
export const toFloat8 = /*@__PURE__*/ defineOp<
  [x: Tensor, dtype: DType, axis: ScaleAxis, powerOf2: boolean],
  [codes: Tensor, scale: Tensor]
>('to_float8', {
  meta(x, dtype, axis) {
    requireMatrix('to_float8', x, dtype);
    return [
      { shape: x.shape, dtype },
      { shape: scaleShape(x.shape, axis), dtype: float32 },
    ];
  },
  decompose(x, dtype, axis, powerOf2) {
    const scale = float8Scale(x, dtype, axis, powerOf2);
    return [float8Codes(x, scale, dtype), scale];
  },
});

/** toFloat8 of the transpose of x [R, C]: codes [C, R] that lie by its rows, with scales [1, 1], [C, 1] or [1, R]. */
export const toFloat8Turned = /*@__PURE__*/ defineOp<
  [x: Tensor, dtype: DType, axis: ScaleAxis, powerOf2: boolean],
  [codes: Tensor, scale: Tensor]
>('to_float8_turned', {
  meta(x, dtype, axis) {
    requireMatrix('to_float8_turned', x, dtype);
    const shape = [...x.shape].reverse();
    return [
      { shape, dtype },
      { shape: scaleShape(shape, axis), dtype: float32 },
    ];
  },
  decompose: (x, dtype, axis, powerOf2) => toFloat8(permute(x, [1, 0]), dtype, axis, powerOf2),
});

/** toFloat8 and toFloat8Turned, from one read of x. */
export const toFloat8Both = /*@__PURE__*/ defineOp<
  [x: Tensor, dtype: DType, axis: ScaleAxis, turnedAxis: ScaleAxis, powerOf2: boolean],
  [codes: Tensor, scale: Tensor, turned: Tensor, turnedScale: Tensor]
>('to_float8_both', {
  meta(x, dtype, axis, turnedAxis) {
    requireMatrix('to_float8_both', x, dtype);
    const turned = [...x.shape].reverse();
    return [
      { shape: x.shape, dtype },
      { shape: scaleShape(x.shape, axis), dtype: float32 },
      { shape: turned, dtype },
      { shape: scaleShape(turned, turnedAxis), dtype: float32 },
    ];
  },
  decompose: (x, dtype, axis, turnedAxis, powerOf2) => [
    ...toFloat8(x, dtype, axis, powerOf2),
    ...toFloat8Turned(x, dtype, turnedAxis, powerOf2),
  ],
});
