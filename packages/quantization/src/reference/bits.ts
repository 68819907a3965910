// Codes of b bits side by side in the bytes of a row, lowest bits first; see pack_bits.
import { packedBytes } from '@ao/core';

export function packRows(codes: ArrayLike<number>, columns: number, bits: number): Uint8Array {
  const rows = codes.length / Math.max(1, columns);
  const row = packedBytes(columns, bits);
  const out = new Uint8Array(rows * row);
  const mask = (1 << bits) - 1;
  for (let i = 0; i < codes.length; i++) {
    const bit = (i % columns) * bits;
    const at = Math.floor(i / columns) * row + (bit >> 3);
    const code = ((codes[i] as number) & mask) << (bit & 7);
    out[at] = (out[at] as number) | code;
    if (code > 255) out[at + 1] = code >> 8;
  }
  return out;
}

/** int8 values in two's complement where `isSigned`, else 0 .. 2^bits - 1; as raw bytes either way. */
export function unpackRows(bytes: ArrayLike<number>, columns: number, bits: number, isSigned: boolean): Uint8Array {
  const row = packedBytes(columns, bits);
  const out = new Uint8Array((bytes.length / Math.max(1, row)) * columns);
  const mask = (1 << bits) - 1;
  const flip = isSigned ? 1 << (bits - 1) : 0;
  for (let i = 0; i < out.length; i++) {
    const bit = (i % columns) * bits;
    const at = Math.floor(i / columns) * row + (bit >> 3);
    const word = (bytes[at] as number) | (((bytes[at + 1] ?? 0) as number) << 8);
    out[i] = (((word >> (bit & 7)) & mask) ^ flip) - flip;
  }
  return out;
}
