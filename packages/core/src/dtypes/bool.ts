/** One byte, 0 or 1. A cast asks x != 0, so NaN is true. Any other byte of a file reads as true. */
import { defineDType } from '../dtype.ts';

export const bool = /*@__PURE__*/ defineDType({
  name: 'bool',
  bits: 8,
  itemsize: 1,
  category: 'bool',
  code: 9,
  safetensors: 'BOOL',
  array: Uint8Array,
  values: Uint8Array,
  encode: (x) => (x === 0 ? 0 : 1),
  decode: (raw) => (raw === 0 ? 0 : 1),
  min: 0,
  max: 1,
  smallestNormal: 1,
  eps: 1,
});
