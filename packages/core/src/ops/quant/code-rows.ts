// Code rows: n values as bytes of one row of a uint8 tensor, with a scale of their own, so that slicing, copying and saving rows
// need not know. In memory, little endian:
//   float32 s; where asymmetric float32 m; then the codes
//   8 bits: int8 c,         x = s c          or s c + m
//   4 bits: 0 <= c <= 15,   x = s (c - 8)    or s c + m;   byte i holds c of value i (low half) and of i + n / 2
import { AoError } from '../../errors.ts';

export interface CodeRows {
  readonly bits: 8 | 4;
  /** The least and the largest value of a row are met, not the largest magnitude. */
  readonly asymmetric: boolean;
}

export const headerBytes = ({ asymmetric }: CodeRows): number => (asymmetric ? 8 : 4);

/** Bytes of a row of n values. Throws ERR_AO_SHAPE where 4 bits meet an odd n. */
export function codeRowBytes(rows: CodeRows, n: number): number {
  if (rows.bits === 4 && n % 2 !== 0) {
    throw new AoError('ERR_AO_SHAPE', `rows of ${n} values do not pack into 4 bits: two share a byte`, {
      fix: 'use 8 bits for an odd number of values',
    });
  }
  return headerBytes(rows) + (n * rows.bits) / 8;
}

/** Values of a row of so many bytes. */
export function codeRowLength(rows: CodeRows, bytes: number): number {
  return ((bytes - headerBytes(rows)) * 8) / rows.bits;
}
