// Blocks of 32 as llama.cpp's reference quantizer makes them from float32 values x (ggml-quants.c, quantize_row_*_ref):
//   Q4_0   d = x_m / -8 for the x_m of greatest magnitude, q = trunc(x / d + 8.5) in 0..15
//   Q4_1   d = (max - min) / 15, m = min, q = trunc((x - m) / d + 0.5) in 0..15
//   Q8_0   d = max|x| / 127, q = round(x / d), halves away from zero
// Codes come from d before it is rounded to float16; each step is rounded to float32.
import { float16 } from '@ao/core';

/** Writes the block of x[i..] to out at byte `at`. */
export type EncodeBlock = (x: Float32Array, i: number, out: Uint8Array, at: number) => void;

const f = Math.fround;

export function putHalf(out: Uint8Array, at: number, value: number): void {
  const code = float16.encode(value);
  out[at] = code & 255;
  out[at + 1] = code >> 8;
}

const inverse = (d: number): number => (d === 0 ? 0 : f(1 / d));
const below16 = (q: number): number => Math.max(0, Math.min(15, Math.trunc(q)));

const q4_0: EncodeBlock = (x, i, out, at) => {
  let [greatest, value] = [0, 0];
  for (let k = i; k < i + 32; k++) {
    const a = Math.abs(x[k]!);
    if (a > greatest) [greatest, value] = [a, x[k]!];
  }
  const d = f(value / -8);
  const by = inverse(d);
  putHalf(out, at, d);
  for (let k = 0; k < 16; k++) {
    const low = below16(f(f(x[i + k]! * by) + 8.5));
    out[at + 2 + k] = low | (below16(f(f(x[i + 16 + k]! * by) + 8.5)) << 4);
  }
};

const q4_1: EncodeBlock = (x, i, out, at) => {
  let [min, max] = [x[i]!, x[i]!];
  for (let k = i + 1; k < i + 32; k++) {
    min = Math.min(min, x[k]!);
    max = Math.max(max, x[k]!);
  }
  const d = f(f(max - min) / 15);
  const by = inverse(d);
  putHalf(out, at, d);
  putHalf(out, at + 2, min);
  const code = (value: number): number => below16(f(f(f(value - min) * by) + 0.5));
  for (let k = 0; k < 16; k++) out[at + 4 + k] = code(x[i + k]!) | (code(x[i + 16 + k]!) << 4);
};

const q8_0: EncodeBlock = (x, i, out, at) => {
  let greatest = 0;
  for (let k = i; k < i + 32; k++) greatest = Math.max(greatest, Math.abs(x[k]!));
  const d = f(greatest / 127);
  const by = inverse(d);
  putHalf(out, at, d);
  for (let k = 0; k < 32; k++) {
    const value = f(x[i + k]! * by);
    out[at + 2 + k] = Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
  }
};

export const blockEncoders: Readonly<Record<string, EncodeBlock>> = /*@__PURE__*/ Object.freeze({
  Q4_0: q4_0,
  Q4_1: q4_1,
  Q8_0: q8_0,
});
