/** float8_e5m2: 1 sign, 5 exponent (bias 15), 2 mantissa bits; what rounds above 57344 is infinity. */
import { defineDType } from '../dtype.ts';
import { minifloat } from './minifloat.ts';

export const float8_e5m2 = /*@__PURE__*/ defineDType({
  name: 'float8_e5m2',
  bits: 8,
  itemsize: 1,
  category: 'float',
  code: 4,
  safetensors: 'F8_E5M2',
  array: Uint8Array,
  values: Float32Array,
  ...minifloat({ bits: 8, mantissa: 2, bias: 15, overflow: 0x7c, infinity: 0x7c, nan: 0x7f }),
  min: -57344,
  max: 57344,
  smallestNormal: 2 ** -14,
  eps: 2 ** -2,
});
