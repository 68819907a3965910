/** Two's complement, 8 bits. A cast truncates toward zero and wraps modulo 2^8; NaN and infinity give 0 (torch leaves them undefined). */
import { defineDType } from '../dtype.ts';

export const int8 = /*@__PURE__*/ defineDType({
  name: 'int8',
  bits: 8,
  itemsize: 1,
  category: 'int',
  code: 5,
  safetensors: 'I8',
  array: Int8Array,
  values: Int8Array,
  encode: (x) => (x << 24) >> 24,
  decode: (raw) => raw,
  encodeInto: (values, out) => out.set(values),
  decodeInto: (raw, out) => out.set(raw),
  min: -128,
  max: 127,
  smallestNormal: 1,
  eps: 1,
});
