// Floats of 2 to 8 bits, eXmY: a sign, X exponent bits (bias 2^(X-1) - 1), Y mantissa bits, subnormals, no infinity and no NaN;
// the code lies in the low bits of a uint8. Rounds to nearest, ties to the even code, and saturates.
//   E = max(exponent of |x|, 1 - bias);  r = round(|x| / 2^(E-Y));  code = (E - (1 - bias)) 2^Y + r
// Exponents are read and powers of two made from the bits of float32, so that every step is exact.
import { float32, int32, uint8 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { add, div, eq, ge, maximum, minimum, mul, sub, where } from '../binary.ts';
import { requireDtype } from '../checks.ts';
import { cast } from '../copy.ts';
import { abs, floor, round } from '../unary.ts';
import { select, unsqueeze } from '../views.ts';
import { viewDtype } from './view-dtype.ts';

const BIAS = 127;
const FRACTION = 23;

export interface FloatxFacts {
  /** 1 + X + Y. */
  readonly bits: number;
  readonly bias: number;
  /** Largest value. */
  readonly max: number;
}

/** Facts of eXmY; throws ERR_AO_DTYPE unless X >= 1, Y >= 0 and 1 + X + Y is 2 to 8. */
export function floatxFacts(ebits: number, mbits: number): FloatxFacts {
  const bits = 1 + ebits + mbits;
  if (!Number.isInteger(ebits) || !Number.isInteger(mbits) || ebits < 1 || mbits < 0 || bits > 8) {
    throw new AoError('ERR_AO_DTYPE', `e${ebits}m${mbits} is no float of 2 to 8 bits`, {
      fix: 'give at least 1 exponent bit and at most 7 bits beside the sign',
    });
  }
  const bias = 2 ** (ebits - 1) - 1;
  return { bits, bias, max: 2 ** (2 ** ebits - 1 - bias) * (2 - 2 ** -mbits) };
}

/** The value of each of the 2^(1 + X + Y) codes. */
export function floatxValues(ebits: number, mbits: number): Float32Array {
  const { bits, bias } = floatxFacts(ebits, mbits);
  const half = 2 ** (bits - 1);
  return Float32Array.from({ length: 2 * half }, (_, code) => {
    const exponent = Math.floor((code % half) / 2 ** mbits);
    const mantissa = code % 2 ** mbits;
    const size =
      exponent === 0 ? mantissa * 2 ** (1 - bias - mbits) : (2 ** mbits + mantissa) * 2 ** (exponent - bias - mbits);
    return code >= half ? -size : size;
  });
}

/** Byte `i` of each float32, the lowest first, as float32. */
function byteOf(x: Tensor, i: number): Tensor {
  return cast(select(viewDtype(unsqueeze(x, x.ndim), uint8), x.ndim, i), float32);
}

/** 1 where the sign bit of the float32 x is set, -0 included, else 0; float32. */
export const signBit = (x: Tensor): Tensor => floor(div(byteOf(x, 3), 128));

/** floor(log2 |x|) of float32 x from its bits, float32: -127 for zero and subnormals, 128 for infinity and NaN. */
export function exponentOf(x: Tensor): Tensor {
  const high = byteOf(abs(x), 3);
  return sub(add(mul(high, 2), floor(div(byteOf(x, 2), 128))), BIAS);
}

/** 2^n in float32 of whole numbers n in -126..127, made from bits. */
export const powerOfTwo = (n: Tensor): Tensor => viewDtype(mul(cast(add(n, BIAS), int32), 2 ** FRACTION), float32);

/** float32 values -> codes of eXmY in uint8, same shape; NaN gives a code without meaning. */
export const f32ToFloatxUnpacked = /*@__PURE__*/ defineOp<[x: Tensor, ebits: number, mbits: number]>(
  'f32_to_floatx_unpacked',
  {
    meta(x, ebits, mbits) {
      requireDtype('f32_to_floatx_unpacked', 'x', x, [float32]);
      floatxFacts(ebits, mbits);
      return { shape: x.shape, dtype: uint8 };
    },
    decompose(x, ebits, mbits) {
      const { bits, bias, max } = floatxFacts(ebits, mbits);
      const size = minimum(abs(x), max);
      const smallest = 1 - bias;
      const exponent = maximum(exponentOf(size), smallest);
      const steps = div(size, powerOfTwo(sub(exponent, mbits)));
      const below = mul(sub(exponent, smallest), 2 ** mbits);
      let rounded = round(steps);
      if (mbits === 0) {
        // Without mantissa bits the parity of the code is that of the exponent: a tie above an odd code goes up by one.
        const odd = ge(sub(below, mul(floor(div(below, 2)), 2)), 1);
        rounded = where(odd, where(eq(steps, 1.5), 1, rounded), rounded);
      }
      return cast(add(add(below, rounded), mul(signBit(x), 2 ** (bits - 1))), uint8);
    },
  },
);

/** Codes of eXmY in uint8 -> float32 values, same shape. */
export const floatxUnpackedToF32 = /*@__PURE__*/ defineOp<[codes: Tensor, ebits: number, mbits: number]>(
  'floatx_unpacked_to_f32',
  {
    meta(codes, ebits, mbits) {
      requireDtype('floatx_unpacked_to_f32', 'codes', codes, [uint8]);
      floatxFacts(ebits, mbits);
      return { shape: codes.shape, dtype: float32 };
    },
    decompose(codes, ebits, mbits) {
      const { bits, bias } = floatxFacts(ebits, mbits);
      const all = cast(codes, float32);
      const negative = ge(all, 2 ** (bits - 1));
      const size = where(negative, sub(all, 2 ** (bits - 1)), all);
      const field = floor(div(size, 2 ** mbits));
      const exponent = maximum(field, 1);
      const steps = sub(size, mul(sub(exponent, 1), 2 ** mbits));
      const value = mul(steps, powerOfTwo(sub(exponent, bias + mbits)));
      return where(negative, mul(value, -1), value);
    },
  },
);
