// llama.cpp's K-quants (ggml's block_q2_K .. block_q6_K): 256 weights of a row make a super-block, in blocks of 16 or 32.
//   with minima:     w = d scale_b q - dmin min_b,  q = 0 .. 2^bits - 1, scale_b and min_b unsigned
//   without minima:  w = d scale_b q,               q = -2^(bits-1) .. 2^(bits-1) - 1, scale_b signed
// d and dmin are float16, one a super-block; scale_b and min_b are integers of `scaleBits` bits, one a block.

export const SUPER_BLOCK = 256;

export type KQuantName = 'q2_K' | 'q3_K' | 'q4_K' | 'q5_K' | 'q6_K';

export interface KQuantFormat {
  readonly bits: number;
  readonly block: number;
  readonly scaleBits: number;
  readonly minima: boolean;
  /** Bits of a weight in a file, all told. */
  readonly bitsPerWeight: number;
}

export const K_QUANTS: Readonly<Record<KQuantName, KQuantFormat>> = /*@__PURE__*/ Object.freeze({
  q2_K: { bits: 2, block: 16, scaleBits: 4, minima: true, bitsPerWeight: 2.625 },
  q3_K: { bits: 3, block: 16, scaleBits: 6, minima: false, bitsPerWeight: 3.4375 },
  q4_K: { bits: 4, block: 32, scaleBits: 6, minima: true, bitsPerWeight: 4.5 },
  q5_K: { bits: 5, block: 32, scaleBits: 6, minima: true, bitsPerWeight: 5.5 },
  q6_K: { bits: 6, block: 16, scaleBits: 8, minima: false, bitsPerWeight: 6.5625 },
});
