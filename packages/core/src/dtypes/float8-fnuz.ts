/**
 * float8_e4m3fnuz (bias 8, largest 240) and float8_e5m2fnuz (bias 16, largest 57344): no infinity, no -0; the one NaN is 0x80.
 * The cast gives NaN above the largest value. Backends move them; casts are those of the reference.
 */
import { type DType, defineDType, type RawArray } from '../dtype.ts';
import { asFloat32, minifloat } from './minifloat.ts';

const NAN = 0x80;

function define<const N extends string>(
  name: N,
  facts: { mantissa: number; bias: number; max: number; code: number; safetensors: string },
): DType<N> {
  const { mantissa, bias, max, code, safetensors } = facts;
  // Every code below 0x80 is finite, so that only what rounds beyond them overflows.
  const base = minifloat({ bits: 8, mantissa, bias, overflow: NAN, nan: NAN });
  const encode = (x: number): number => {
    const raw = base.encode(x);
    return raw === NAN && Math.abs(x) < 1 ? 0 : raw; // what would be -0
  };
  return defineDType({
    name,
    bits: 8,
    itemsize: 1,
    category: 'float',
    code,
    safetensors,
    array: Uint8Array,
    values: Float32Array,
    encode,
    decode: (raw) => (raw === NAN ? Number.NaN : base.decode(raw)),
    encodeInto(values, out: RawArray) {
      const x = asFloat32(values);
      for (let i = 0; i < x.length; i++) out[i] = encode(x[i] as number);
    },
    min: -max,
    max,
    smallestNormal: 2 ** (1 - bias),
    eps: 2 ** -mantissa,
  });
}

export const float8_e4m3fnuz = /*@__PURE__*/ define('float8_e4m3fnuz', {
  mantissa: 3,
  bias: 8,
  max: 240,
  code: 129,
  safetensors: 'F8_E4M3FNUZ',
});

export const float8_e5m2fnuz = /*@__PURE__*/ define('float8_e5m2fnuz', {
  mantissa: 2,
  bias: 16,
  max: 57344,
  code: 130,
  safetensors: 'F8_E5M2FNUZ',
});
