/** IEEE binary64: the reference backend only, for finite differences. */
import { defineDType } from '../dtype.ts';

export const float64 = /*@__PURE__*/ defineDType({
  name: 'float64',
  bits: 64,
  itemsize: 8,
  category: 'float',
  code: 10,
  safetensors: 'F64',
  array: Float64Array,
  values: Float64Array,
  encode: (x) => x,
  decode: (raw) => raw,
  encodeInto: (values, out) => out.set(values),
  decodeInto: (raw, out) => out.set(raw),
  min: -Number.MAX_VALUE,
  max: Number.MAX_VALUE,
  smallestNormal: 2 ** -1022,
  eps: 2 ** -52,
});
