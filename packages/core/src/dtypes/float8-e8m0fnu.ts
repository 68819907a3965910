/**
 * float8_e8m0fnu: an exponent alone, value 2^(code - 127), 255 is NaN; no sign, no zero. The scales of MX blocks. The cast
 * keeps the exponent of |x| and rounds up from 1.5 times a power of two on (as torch: at the smallest only above it).
 * Backends move it; where a cast has no kernel, its codes are read through viewDtype(x, uint8).
 */
import { defineDType } from '../dtype.ts';
import { bitsOf } from './minifloat.ts';

function encodeWord(word: number): number {
  const exponent = (word >>> 23) & 0xff;
  if (exponent === 0xff) return 0xff;
  const mantissa = word & 0x7fffff;
  const up = exponent > 0 ? mantissa >= 0x400000 : mantissa > 0x400000;
  return up ? exponent + 1 : exponent;
}

const decode = (raw: number): number => (raw === 0xff ? Number.NaN : 2 ** (raw - 127));

export const float8_e8m0fnu = /*@__PURE__*/ defineDType({
  name: 'float8_e8m0fnu',
  bits: 8,
  itemsize: 1,
  category: 'float',
  code: 128,
  safetensors: 'F8_E8M0',
  array: Uint8Array,
  values: Float32Array,
  encode: (x) => encodeWord(bitsOf(Float32Array.of(x))[0] as number),
  decode,
  min: 2 ** -127,
  max: 2 ** 127,
  smallestNormal: 2 ** -127,
  eps: 1,
});
