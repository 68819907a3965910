// What a block of each quantized type of GGUF means: integer codes q, and for each group of 16 or 32 of them a scale and perhaps
// an offset, w = q * scale + offset. Codes are shifted to lie around 0 where the type stores them from 0. Products of a
// super-block's scale (float16) and its 6-bit parts are exact in float32; offsets are rounded to it once.
// Layouts: ggml-quants.c of llama.cpp; d, m and dmin are float16, little endian.
import { float16 } from '@ao/core';

export interface Decoded {
  /** One a value. */
  readonly codes: Int8Array;
  /** One a group. */
  readonly scale: Float32Array;
  readonly offset: Float32Array;
}

export interface BlockForm {
  /** Bits of a code, two's complement. */
  readonly bits: number;
  /** Values that share a scale. */
  readonly group: number;
  /** Whether there is an offset. */
  readonly offset: boolean;
  /** Whether a group's scale is a float16 of the file. */
  readonly half: boolean;
  /** The block at byte `at`, into codes from `q` on and groups from `g` on. */
  decode(bytes: Uint8Array, at: number, out: Decoded, q: number, g: number): void;
}

const half = (bytes: Uint8Array, at: number): number => float16.decode(bytes[at]! | (bytes[at + 1]! << 8));

/** 32 nibbles of 16 bytes, the low ones first, and the fifth bit of each where there is one. */
function nibbles(bytes: Uint8Array, at: number, high: number, codes: Int8Array, q: number, shift: number): void {
  for (let i = 0; i < 16; i++) {
    const byte = bytes[at + i]!;
    codes[q + i] = ((byte & 15) | (((high >>> i) & 1) << 4)) - shift;
    codes[q + 16 + i] = ((byte >> 4) | (((high >>> (16 + i)) & 1) << 4)) - shift;
  }
}

const u32 = (b: Uint8Array, at: number): number => b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);

/** Blocks of 32: d, m where `offset`, the fifth bits of 5-bit codes, nibbles. */
const of32 = (bits: 4 | 5, offset: boolean): BlockForm => ({
  bits,
  group: 32,
  offset,
  half: true,
  decode(bytes, at, out, q, g) {
    const shift = bits === 4 ? 8 : 16;
    const d = half(bytes, at);
    const rest = at + (offset ? 4 : 2);
    out.scale[g] = d;
    if (offset) out.offset[g] = half(bytes, at + 2) + shift * d;
    nibbles(bytes, bits === 4 ? rest : rest + 4, bits === 4 ? 0 : u32(bytes, rest), out.codes, q, shift);
  },
});

const q8_0: BlockForm = {
  bits: 8,
  group: 32,
  offset: false,
  half: true,
  decode(bytes, at, out, q, g) {
    out.scale[g] = half(bytes, at);
    for (let i = 0; i < 32; i++) out.codes[q + i] = bytes[at + 2 + i]!;
  },
};

/** The values of IQ4_NL's codes, which are integers themselves. */
const NON_LINEAR = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

const iq4Nl: BlockForm = {
  bits: 8,
  group: 32,
  offset: false,
  half: true,
  decode(bytes, at, out, q, g) {
    out.scale[g] = half(bytes, at);
    nibbles(bytes, at + 2, 0, out.codes, q, 0);
    for (let i = q; i < q + 32; i++) out.codes[i] = NON_LINEAR[out.codes[i]!]!;
  },
};

/** scales and mins [16] as nibbles, codes [64] of 2 bits, d, dmin. */
const q2K: BlockForm = {
  bits: 2,
  group: 16,
  offset: true,
  half: false,
  decode(bytes, at, out, q, g) {
    const [d, dmin] = [half(bytes, at + 80), half(bytes, at + 82)];
    for (let i = 0; i < 16; i++) {
      const byte = bytes[at + i]!;
      out.scale[g + i] = d * (byte & 15);
      out.offset[g + i] = 2 * d * (byte & 15) - dmin * (byte >> 4);
    }
    for (let i = 0; i < 256; i++) {
      const byte = bytes[at + 16 + (i >> 7) * 32 + (i & 31)]!;
      out.codes[q + i] = ((byte >> (2 * ((i >> 5) & 3))) & 3) - 2;
    }
  },
};

/** The third bits [32], codes [64] of 2 bits, 16 scales of 6 bits in 12 bytes, d. */
const q3K: BlockForm = {
  bits: 3,
  group: 16,
  offset: false,
  half: false,
  decode(bytes, at, out, q, g) {
    const d = half(bytes, at + 108);
    for (let i = 0; i < 16; i++) {
      const low = (bytes[at + 96 + (i & 7)]! >> (i < 8 ? 0 : 4)) & 15;
      const high = (bytes[at + 104 + (i & 3)]! >> (2 * (i >> 2))) & 3;
      out.scale[g + i] = d * ((low | (high << 4)) - 32);
    }
    for (let i = 0; i < 256; i++) {
      const low = (bytes[at + 32 + (i >> 7) * 32 + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
      const high = (bytes[at + (i & 31)]! >> (i >> 5)) & 1;
      out.codes[q + i] = low - (high ? 0 : 4);
    }
  },
};

/** 8 scales and 8 mins of 6 bits in 12 bytes, as Q4_K and Q5_K have them. */
function scalesAndMins(bytes: Uint8Array, at: number, out: Decoded, g: number, shift: number): void {
  const [d, dmin] = [half(bytes, at), half(bytes, at + 2)];
  const s = at + 4;
  for (let i = 0; i < 8; i++) {
    const last = bytes[s + 4 + i]!;
    const scale = i < 4 ? bytes[s + i]! & 63 : (last & 15) | ((bytes[s + i - 4]! >> 6) << 4);
    const min = i < 4 ? last & 63 : (last >> 4) | ((bytes[s + i]! >> 6) << 4);
    out.scale[g + i] = d * scale;
    out.offset[g + i] = shift * d * scale - dmin * min;
  }
}

/** d, dmin, scales and mins, then nibbles of 64 values in 32 bytes: the low ones are the first 32. */
const q4K: BlockForm = {
  bits: 4,
  group: 32,
  offset: true,
  half: false,
  decode(bytes, at, out, q, g) {
    scalesAndMins(bytes, at, out, g, 8);
    for (let i = 0; i < 256; i++) {
      const byte = bytes[at + 16 + (i >> 6) * 32 + (i & 31)]!;
      out.codes[q + i] = ((i & 32 ? byte >> 4 : byte) & 15) - 8;
    }
  },
};

/** Q4_K with the fifth bits [32] before the nibbles: bit j of byte l is that of value 32 j + l. */
const q5K: BlockForm = {
  bits: 5,
  group: 32,
  offset: true,
  half: false,
  decode(bytes, at, out, q, g) {
    scalesAndMins(bytes, at, out, g, 16);
    for (let i = 0; i < 256; i++) {
      const byte = bytes[at + 48 + (i >> 6) * 32 + (i & 31)]!;
      const high = (bytes[at + 16 + (i & 31)]! >> (i >> 5)) & 1;
      out.codes[q + i] = (((i & 32 ? byte >> 4 : byte) & 15) | (high << 4)) - 16;
    }
  },
};

/** Low nibbles [128], upper 2 bits [64], int8 scales [16], d. */
const q6K: BlockForm = {
  bits: 6,
  group: 16,
  offset: false,
  half: false,
  decode(bytes, at, out, q, g) {
    const d = half(bytes, at + 208);
    for (let i = 0; i < 16; i++) out.scale[g + i] = d * ((bytes[at + 192 + i]! << 24) >> 24);
    for (let i = 0; i < 256; i++) {
      const [part, j] = [i >> 7, i & 127];
      const low = bytes[at + part * 64 + (j & 63)]!;
      const high = bytes[at + 128 + part * 32 + (j & 31)]!;
      out.codes[q + i] = (((j & 64 ? low >> 4 : low) & 15) | (((high >> (2 * (j >> 5))) & 3) << 4)) - 32;
    }
  },
};

export const blockForms: Readonly<Record<string, BlockForm>> = /*@__PURE__*/ Object.freeze({
  Q4_0: /*@__PURE__*/ of32(4, false),
  Q4_1: /*@__PURE__*/ of32(4, true),
  Q5_0: /*@__PURE__*/ of32(5, false),
  Q5_1: /*@__PURE__*/ of32(5, true),
  Q8_0: q8_0,
  IQ4_NL: iq4Nl,
  Q2_K: q2K,
  Q3_K: q3K,
  Q4_K: q4K,
  Q5_K: q5K,
  Q6_K: q6K,
});
