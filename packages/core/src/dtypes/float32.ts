/** IEEE binary32. The raw array holds the values themselves. */
import { defineDType } from '../dtype.ts';

export const float32 = /*@__PURE__*/ defineDType({
  name: 'float32',
  bits: 32,
  itemsize: 4,
  category: 'float',
  code: 0,
  safetensors: 'F32',
  array: Float32Array,
  values: Float32Array,
  encode: (x) => Math.fround(x),
  decode: (raw) => raw,
  encodeInto: (values, out) => out.set(values),
  decodeInto: (raw, out) => out.set(raw),
  min: -3.4028234663852886e38,
  max: 3.4028234663852886e38,
  smallestNormal: 2 ** -126,
  eps: 2 ** -23,
});
