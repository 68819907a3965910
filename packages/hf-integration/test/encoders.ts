// The encoders of test/encoders (scripts/encoder-fixtures.py made them): folders, expected tensors, and what is compared.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bytesSource, dtypeBySafetensors, openSafetensors, type Runtime, type Tensor, tensor } from '@ao/core';

export const encoder = (name: string): string => fileURLToPath(new URL(`./encoders/${name}`, import.meta.url));

export interface Expected {
  readonly shape: readonly number[];
  readonly values: readonly number[];
  readonly dtype: string;
}

/** A safetensors file of numbers. */
export async function numbers(name: string): Promise<Record<string, Expected>> {
  const file = await openSafetensors(bytesSource(await readFile(encoder(name)), name));
  const all = await Promise.all(
    file.names.map(async (key) => {
      const { dtype, shape } = file.entry(key);
      const bytes = new Uint8Array(await file.read(key)).buffer;
      const values = dtype === 'F32' ? new Float32Array(bytes) : dtype === 'I32' ? new Int32Array(bytes) : undefined;
      return [key, { shape, values: [...(values ?? new Uint8Array(bytes))], dtype }] as const;
    }),
  );
  return Object.fromEntries(all);
}

export function toTensor(rt: Runtime, { shape, values, dtype }: Expected): Tensor {
  return tensor(rt, values as number[], { shape, dtype: dtypeBySafetensors(dtype) });
}

export function greatestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Array.from(a, (x, i) => Math.abs(x - b[i]!)).reduce((m, d) => (d > m || Number.isNaN(d) ? d : m), 0);
}

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}
