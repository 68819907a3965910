// Integer ranges of quantized dtypes: int8 -128..127, uint4 0..15, ...
import { AoError } from '../../errors.ts';

/** A target of quantization: a storage dtype or one of torchao's sub-byte names ('int4', 'uint3'). */
export type QuantDType = string | { readonly name: string };

export interface QuantRange {
  readonly quantMin: number;
  readonly quantMax: number;
}

export const quantName = (dtype: QuantDType): string => (typeof dtype === 'string' ? dtype : dtype.name);

/** The codes a dtype can hold; throws ERR_AO_DTYPE for what is no integer type of 1 to 8 bits. */
export function dtypeRange(op: string, dtype: QuantDType): QuantRange {
  const match = /^(u?)int([1-8])$/.exec(quantName(dtype));
  if (match === null) {
    throw new AoError('ERR_AO_DTYPE', `${quantName(dtype)} is no quantized integer type`, {
      op,
      fix: 'use int1..int8 or uint1..uint8',
    });
  }
  const bits = Number(match[2]);
  return match[1] === 'u'
    ? { quantMin: 0, quantMax: 2 ** bits - 1 }
    : { quantMin: -(2 ** (bits - 1)), quantMax: 2 ** (bits - 1) - 1 };
}

/** The range of `dtype`, narrowed by the caller; throws ERR_AO_CONFIG where it does not fit into the dtype. */
export function checkedRange(op: string, dtype: QuantDType, quantMin?: number, quantMax?: number): QuantRange {
  const full = dtypeRange(op, dtype);
  const range = { quantMin: quantMin ?? full.quantMin, quantMax: quantMax ?? full.quantMax };
  if (range.quantMin < full.quantMin || range.quantMax > full.quantMax || range.quantMin > range.quantMax) {
    throw new AoError(
      'ERR_AO_CONFIG',
      `range ${range.quantMin}..${range.quantMax} does not fit ${quantName(dtype)} (${full.quantMin}..${full.quantMax})`,
      {
        op,
        fix: 'leave quantMin and quantMax out, or take a wider dtype',
      },
    );
  }
  return range;
}

/** The middle code as tinygemm uses it: 8 for 0..15, 0 for -8..7. */
export const midPoint = ({ quantMin, quantMax }: QuantRange): number => (quantMax + quantMin + 1) / 2;
