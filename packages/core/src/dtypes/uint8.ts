/** Unsigned, 8 bits. A cast truncates toward zero and wraps modulo 2^8; NaN and infinity give 0 (torch leaves them undefined). */
import { defineDType } from '../dtype.ts';

export const uint8 = /*@__PURE__*/ defineDType({
  name: 'uint8',
  bits: 8,
  itemsize: 1,
  category: 'int',
  code: 6,
  safetensors: 'U8',
  array: Uint8Array,
  values: Uint8Array,
  encode: (x) => x & 0xff,
  decode: (raw) => raw,
  encodeInto: (values, out) => out.set(values),
  decodeInto: (raw, out) => out.set(raw),
  min: 0,
  max: 255,
  smallestNormal: 1,
  eps: 1,
});
