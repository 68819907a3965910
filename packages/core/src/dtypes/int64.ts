/**
 * Two's complement, 64 bits: a storage dtype. The raw array is a BigInt64Array, typed as the others are because encode
 * and decode carry the conversion; a value beyond 2^53 is an error when decoded, never a rounded number.
 * A cast truncates toward zero and wraps modulo 2^64; NaN and infinity give 0.
 */

import type { ArrayType, RawArray } from '../dtype.ts';
import { defineDType } from '../dtype.ts';
import { AoError } from '../errors.ts';

const toBits = (x: number): bigint => (Number.isFinite(x) ? BigInt.asIntN(64, BigInt(Math.trunc(x))) : 0n);

function toNumber(bits: bigint): number {
  const x = Number(bits);
  if (Math.abs(x) > 2 ** 53 || BigInt(x) !== bits) {
    throw new AoError('ERR_AO_DTYPE', `the int64 value ${bits} is beyond 2^53 and has no exact JavaScript number`, {
      fix: 'read it with bits()',
    });
  }
  return x;
}

export const int64 = /*@__PURE__*/ defineDType({
  name: 'int64',
  bits: 64,
  itemsize: 8,
  category: 'int',
  code: 8,
  safetensors: 'I64',
  array: BigInt64Array as unknown as ArrayType<RawArray>,
  values: Float64Array,
  encode: (x) => toBits(x) as unknown as number,
  decode: (raw) => toNumber(raw as unknown as bigint),
  min: -(2 ** 63),
  max: 2 ** 63,
  smallestNormal: 1,
  eps: 1,
});
