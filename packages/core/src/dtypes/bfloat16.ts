/** bfloat16: the upper half of a float32, rounded to nearest even; code = (bits + 0x7fff + bit16) >> 16; NaN is 0x7fc0. */

import type { DType } from '../dtype.ts';
import { defineDType } from '../dtype.ts';
import { asFloat32, bitsOf } from './minifloat.ts';

function define(): DType<'bfloat16'> {
  const f = new Float32Array(1);
  const u = new Uint32Array(f.buffer);
  const round = (word: number): number =>
    (word & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  return defineDType({
    name: 'bfloat16',
    bits: 16,
    itemsize: 2,
    category: 'float',
    code: 2,
    safetensors: 'BF16',
    array: Uint16Array,
    values: Float32Array,
    encode(x) {
      f[0] = x;
      return round(u[0] as number);
    },
    decode(raw) {
      u[0] = raw << 16;
      return f[0] as number;
    },
    encodeInto(values, out) {
      const words = bitsOf(asFloat32(values));
      for (let i = 0; i < words.length; i++) out[i] = round(words[i] as number);
    },
    decodeInto(raw, out) {
      const wide = out instanceof Float32Array ? out : new Float32Array(raw.length);
      const words = bitsOf(wide);
      for (let i = 0; i < raw.length; i++) words[i] = (raw[i] as number) << 16;
      if (wide !== out) out.set(wide);
    },
    min: -3.3895313892515355e38,
    max: 3.3895313892515355e38,
    smallestNormal: 2 ** -126,
    eps: 2 ** -7,
  });
}

export const bfloat16 = /*@__PURE__*/ define();
