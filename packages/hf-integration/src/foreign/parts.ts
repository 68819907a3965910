// Parts of tensors, whose bytes are computed when they are read: tensors of a file as they are, or what is made of them.
import { decodeValues, dtypeBySafetensors, encodeArray, rawView, type TensorFile, type ValueArray } from '@ao/core';
import type { Part } from './format.ts';

/** torch's name of a dtype in a safetensors file. */
export const dtypeName = (code: string): string => dtypeBySafetensors(code).name;

export const bytesOf = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** A tensor of the file as it is. */
export function same(file: TensorFile, key: string, shape: readonly number[] = file.entry(key).shape): Part {
  return { dtype: file.entry(key).dtype, shape, read: () => file.read(key) };
}

/** Float values of a tensor. */
export async function valuesOf(file: TensorFile, key: string): Promise<ValueArray> {
  const dtype = dtypeBySafetensors(file.entry(key).dtype);
  return decodeValues(dtype, rawView(dtype, await file.read(key)));
}

export function codes(shape: readonly number[], make: () => Promise<Int8Array>): Part {
  return { dtype: 'I8', shape, read: async () => bytesOf(await make()) };
}

/** Values in a float dtype of safetensors. */
export function floats(dtype: string, shape: readonly number[], make: () => Promise<ArrayLike<number>>): Part {
  return { dtype, shape, read: async () => bytesOf(encodeArray(dtypeBySafetensors(dtype), await make())) };
}

export function ints(shape: readonly number[], make: () => Int32Array): Part {
  return { dtype: 'I32', shape, read: async () => bytesOf(make()) };
}

/** [rows, cols] -> [cols, rows], of elements of `width` bytes. */
export function transposed(bytes: Uint8Array, rows: number, cols: number, width: 1 | 2 | 4): Uint8Array {
  const type = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[width];
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const from = new type(aligned.buffer as ArrayBuffer, aligned.byteOffset, rows * cols);
  const to = new type(rows * cols);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) to[c * rows + r] = from[r * cols + c]!;
  return bytesOf(to);
}

/** A tensor [rows, cols] of the file, transposed. */
export function flipped(file: TensorFile, key: string): Part {
  const { dtype, shape } = file.entry(key);
  const [rows, cols] = shape as [number, number];
  const width = dtypeBySafetensors(dtype).itemsize as 1 | 2 | 4;
  return { dtype, shape: [cols, rows], read: async () => transposed(await file.read(key), rows, cols, width) };
}

/** Two signed codes to a byte, the low nibble first: [N, K] -> [N, K / 2]. */
export function paired(signed: Int8Array): Int8Array {
  const out = new Int8Array(signed.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = (signed[2 * i]! & 15) | (signed[2 * i + 1]! << 4);
  return out;
}

/** Signed codes int8 [N, K] side by side in bits, the lowest first, a row beginning with a whole byte: uint8 [N, ceil(K b / 8)]. */
export function packedCodes(qdata: Part, bits: number): Part {
  const [N, K] = qdata.shape as [number, number];
  const width = Math.ceil((K * bits) / 8);
  const read = async (): Promise<Uint8Array> => {
    const from = await qdata.read();
    const out = new Uint8Array(N * width);
    const mask = 2 ** bits - 1;
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        const at = n * width + ((k * bits) >> 3);
        const code = (from[n * K + k]! & mask) << ((k * bits) & 7);
        out[at]! |= code;
        if (code > 255) out[at + 1]! |= code >> 8;
      }
    }
    return out;
  };
  return { dtype: 'U8', shape: [N, width], read };
}
