/** Two's complement, 32 bits. A cast truncates toward zero and wraps modulo 2^32; NaN and infinity give 0 (torch leaves them undefined). */
import { defineDType } from '../dtype.ts';

export const int32 = /*@__PURE__*/ defineDType({
  name: 'int32',
  bits: 32,
  itemsize: 4,
  category: 'int',
  code: 7,
  safetensors: 'I32',
  array: Int32Array,
  values: Int32Array,
  encode: (x) => x | 0,
  decode: (raw) => raw,
  encodeInto: (values, out) => out.set(values),
  decodeInto: (raw, out) => out.set(raw),
  min: -2147483648,
  max: 2147483647,
  smallestNormal: 1,
  eps: 1,
});
