/**
 * float8_e4m3fn: 1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinity, 0x7f is NaN. The cast saturates: above 448,
 * infinity included, it gives 448, as torch's does from 2.13 on (formats/cast/float8); NaN stays NaN.
 */
import { defineDType } from '../dtype.ts';
import { minifloat } from './minifloat.ts';

export const float8_e4m3fn = /*@__PURE__*/ defineDType({
  name: 'float8_e4m3fn',
  bits: 8,
  itemsize: 1,
  category: 'float',
  code: 3,
  safetensors: 'F8_E4M3',
  array: Uint8Array,
  values: Float32Array,
  ...minifloat({ bits: 8, mantissa: 3, bias: 7, overflow: 0x7e, nan: 0x7f }),
  min: -448,
  max: 448,
  smallestNormal: 2 ** -6,
  eps: 2 ** -3,
});
