/**
 * Codec of floats with 16 bits or fewer: sign, exponent with a bias, m mantissa bits; round to nearest, ties to even.
 *   normal     code = round(float32 bits - ((127 - bias) << 23)) >> (23 - m)
 *   subnormal  code = bits(|x| + 2^k) - bits(2^k), with ulp(2^k) = the smallest subnormal, so the adder rounds
 * Whatever rounds above the largest finite value becomes `overflow`: infinity, or that value where the cast saturates.
 */
import type { RawArray, ValueArray } from '../dtype.ts';

export interface Minifloat {
  readonly bits: number;
  readonly mantissa: number;
  readonly bias: number;
  /** Code of what rounds above the largest finite value, infinity included; sign bit off, as in the two below. */
  readonly overflow: number;
  /** Code of infinity; absent in formats without one. */
  readonly infinity?: number;
  /** Code that a NaN gets; every code above infinity, or from this one on without infinity, reads as NaN. */
  readonly nan: number;
}

export interface Codec {
  encode(x: number): number;
  decode(raw: number): number;
  encodeInto(values: ArrayLike<number>, out: RawArray): void;
  decodeInto(raw: RawArray, out: ValueArray): void;
}

export function asFloat32(values: ArrayLike<number>): Float32Array {
  return values instanceof Float32Array ? values : new Float32Array(values);
}

export const bitsOf = (f: Float32Array): Uint32Array => new Uint32Array(f.buffer, f.byteOffset, f.length);

export function minifloat({ bits, mantissa, bias, overflow, infinity, nan }: Minifloat): Codec {
  const shift = 23 - mantissa;
  const rebias = (127 - bias) << 23;
  const half = (1 << (shift - 1)) - 1;
  const smallestNormal = (128 - bias) << 23;
  const adder = 2 ** (24 - bias - mantissa);
  const scale = 2 ** (127 - bias);
  const signBit = 1 << (bits - 1);
  const end = infinity ?? nan;
  const f = new Float32Array(1);
  const u = new Uint32Array(f.buffer);
  f[0] = adder;
  const adderBits = u[0] as number;

  function encodeBits(word: number): number {
    const a = word & 0x7fffffff;
    const sign = word >>> 31 ? signBit : 0;
    if (a > 0x7f800000) return sign | nan;
    if (a < smallestNormal) {
      u[0] = a;
      f[0] = (f[0] as number) + adder;
      return sign | ((u[0] as number) - adderBits);
    }
    const code = (a - rebias + half + ((a >>> shift) & 1)) >>> shift;
    return sign | (code < end ? code : overflow);
  }

  function decode(raw: number): number {
    const a = raw & (signBit - 1);
    const sign = raw & signBit ? -1 : 1;
    if (a === infinity) return sign * Infinity;
    if (a >= end) return NaN;
    u[0] = a << shift;
    return sign * (f[0] as number) * scale;
  }

  let table: Float32Array | undefined;
  return {
    encode(x) {
      f[0] = x;
      return encodeBits(u[0] as number);
    },
    decode,
    encodeInto(values, out) {
      const words = bitsOf(asFloat32(values));
      for (let i = 0; i < words.length; i++) out[i] = encodeBits(words[i] as number);
    },
    decodeInto(raw, out) {
      table ??= Float32Array.from({ length: 2 * signBit }, (_, code) => decode(code));
      for (let i = 0; i < raw.length; i++) out[i] = table[raw[i] as number] as number;
    },
  };
}
