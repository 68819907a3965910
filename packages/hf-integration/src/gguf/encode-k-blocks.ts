// Super-blocks of 256 values as ggml lays them out; what they hold is found by quantizeKQuant.
//   Q4_K   float16 d, dmin; 8 scales and 8 minima of 6 bits in 12 bytes; 128 bytes of codes, those of an odd sub-block above the even's
//   Q6_K   128 bytes of lower and 64 of upper code bits, codes stored as q + 32; 16 int8 scales; float16 d
import { quantizeKQuant } from '@ao/quantization';
import { type EncodeBlock, putHalf } from './encode-blocks.ts';

const q4K: EncodeBlock = (x, i, out, at) => {
  const { d, dmin, scales, minima, codes } = quantizeKQuant(x.subarray(i, i + 256), 'q4_K');
  putHalf(out, at, d[0]!);
  putHalf(out, at + 2, dmin[0]!);
  out.fill(0, at + 4, at + 144);
  for (let b = 0; b < 8; b++) {
    putScaleAndMin(out, at + 4, b, scales[b]!, minima[b]!);
    for (let k = 0; k < 32; k++) {
      const q = codes[32 * b + k]!;
      out[at + 16 + (b >> 1) * 32 + k]! |= b & 1 ? q << 4 : q;
    }
  }
};

/** 8 scales and 8 mins of 6 bits in 12 bytes: the upper two bits of the last four lie above the first four. */
function putScaleAndMin(out: Uint8Array, at: number, b: number, ls: number, lm: number): void {
  if (b < 4) {
    out[at + b]! |= ls;
    out[at + 4 + b]! |= lm;
    return;
  }
  out[at + 4 + b] = (ls & 15) | ((lm & 15) << 4);
  out[at + b - 4]! |= (ls >> 4) << 6;
  out[at + b]! |= (lm >> 4) << 6;
}

const q6K: EncodeBlock = (x, i, out, at) => {
  const { d, scales, codes } = quantizeKQuant(x.subarray(i, i + 256), 'q6_K');
  out.fill(0, at, at + 210);
  putHalf(out, at + 208, d[0]!);
  for (let b = 0; b < 16; b++) out[at + 192 + b] = scales[b]!;
  for (let n = 0; n < 256; n++) {
    const q = codes[n]! + 32;
    const [part, j] = [n >> 7, n & 127];
    out[at + part * 64 + (j & 63)]! |= j & 64 ? (q & 15) << 4 : q & 15;
    out[at + 128 + part * 32 + (j & 31)]! |= (q >> 4) << (2 * (j >> 5));
  }
};

export const kBlockEncoders: Readonly<Record<string, EncodeBlock>> = /*@__PURE__*/ Object.freeze({
  Q4_K: q4K,
  Q6_K: q6K,
});
