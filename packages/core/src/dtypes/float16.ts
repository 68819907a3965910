/** IEEE binary16: 1 sign, 5 exponent (bias 15), 10 mantissa bits; above 65504 + half a step it is infinity. */
import { defineDType } from '../dtype.ts';
import { minifloat } from './minifloat.ts';

export const float16 = /*@__PURE__*/ defineDType({
  name: 'float16',
  bits: 16,
  itemsize: 2,
  category: 'float',
  code: 1,
  safetensors: 'F16',
  array: Uint16Array,
  values: Float32Array,
  ...minifloat({ bits: 16, mantissa: 10, bias: 15, overflow: 0x7c00, infinity: 0x7c00, nan: 0x7e00 }),
  min: -65504,
  max: 65504,
  smallestNormal: 2 ** -14,
  eps: 2 ** -10,
});
