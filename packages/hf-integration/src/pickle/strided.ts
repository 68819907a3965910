// Tensors of torch.save as bytes: contiguous ones lie in the file as they are, others are gathered by their strides.
import { AoError, type ByteSource, fileTensorBytes } from '@ao/core';
import type { TorchTensor } from './values.ts';
import type { ZipEntry } from './zip.ts';

/** Bytes of an element. */
const itemSize = (dtype: string): number => Number(fileTensorBytes(dtype, [1]));

export function isContiguous({ shape, stride }: TorchTensor): boolean {
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && stride[d] !== step) return false;
    step *= shape[d]!;
  }
  return true;
}

/** Where the bytes lie that a tensor needs; throws where its storage does not have them. */
export function spanOf(file: string, t: TorchTensor, storages: ReadonlyMap<string, ZipEntry>): ZipEntry {
  const entry = storages.get(t.storage.key);
  const size = itemSize(t.dtype);
  const last = t.shape.reduce((n, d, i) => n + (d - 1) * t.stride[i]!, 0);
  const count = t.shape.includes(0) ? 0 : last + 1;
  const need = (t.offset + count) * size;
  if (entry !== undefined && Number.isSafeInteger(need) && need <= entry.size) {
    return { offset: entry.offset + t.offset * size, size: count * size };
  }
  throw new AoError(
    'ERR_AO_FORMAT',
    `${file}: storage ${t.storage.key} has ${entry?.size ?? 'no'} bytes, a tensor needs ${need}`,
    {
      fix: 'the file is damaged: fetch or write it again',
    },
  );
}

/** A tensor's values in row-major order. */
export async function readStrided(source: ByteSource, t: TorchTensor, span: ZipEntry): Promise<Uint8Array> {
  const bytes = span.size === 0 ? new Uint8Array(0) : await source.read(span.offset, span.size);
  if (isContiguous(t)) return bytes;
  const size = itemSize(t.dtype);
  const out = new Uint8Array(t.shape.reduce((n, d) => n * d, 1) * size);
  const index = new Array<number>(t.shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to += size) {
    for (let b = 0; b < size; b++) out[to + b] = bytes[from * size + b]!;
    for (let d = t.shape.length - 1; d >= 0; d--) {
      from += t.stride[d]!;
      if (++index[d]! < t.shape[d]!) break;
      from -= t.stride[d]! * t.shape[d]!;
      index[d] = 0;
    }
  }
  return out;
}
