// asTorchAo(file, tensors): a checkpoint of another library as if torchao had written it: its tensors by torchao's names and
// metadata, each part computed from the file's bytes when it is read. All that reads torchao's files reads it so.
import { AoError, type ByteSource, fileTensorBytes, type TensorFile } from '@ao/core';
import { fileNamesOf } from '@ao/quantization';
import type { ForeignTensor, Part } from './format.ts';

export function asTorchAo(file: TensorFile, tensors: readonly ForeignTensor[]): TensorFile {
  const metadata: Record<string, string> = { ...file.metadata };
  const parts = new Map<string, Part>();
  const used = new Set(tensors.flatMap((t) => t.uses));
  for (const { name, entry, parts: own } of tensors) {
    metadata[name] = JSON.stringify(entry ?? { _type: 'Tensor' });
    for (const [i, key] of fileNamesOf(name, metadata).entries()) parts.set(key, own[i]!);
  }
  const names = [...file.names.filter((name) => !used.has(name)), ...parts.keys()];
  const bytesOf = new LastRead(parts);
  const size = (key: string): number => sizeOf(parts.get(key)!);
  const source = (key: string): ByteSource => ({
    name: file.name,
    size: size(key),
    read: async (offset, length) => (await bytesOf.read(key)).slice(offset, offset + length),
  });
  return {
    name: file.name,
    metadata,
    names,
    has: (key) => parts.has(key) || (file.has(key) && !used.has(key)),
    entry: (key) => {
      const part = parts.get(key);
      if (part === undefined) return file.entry(key);
      return { name: key, dtype: part.dtype, shape: part.shape, begin: 0, end: size(key) };
    },
    read: (key) => (parts.has(key) ? source(key).read(0, size(key)) : file.read(key)),
    readRange: (key, begin, end) =>
      parts.has(key) ? source(key).read(begin, end - begin) : file.readRange(key, begin, end),
    locate: (key) => (parts.has(key) ? { source: source(key), offset: 0 } : file.locate(key)),
  };
}

function sizeOf({ dtype, shape }: Part): number {
  const size = fileTensorBytes(dtype, shape);
  if (typeof size === 'number' && Number.isSafeInteger(size)) return size;
  throw new AoError('ERR_AO_FORMAT', `a part would be ${dtype} [${shape}]`, {
    fix: 'the tensors of this checkpoint do not fit each other: fetch or write it again',
  });
}

/** The part that was read last, whole: readers take it in pieces. */
class LastRead {
  readonly #parts: ReadonlyMap<string, Part>;
  #key: string | undefined;
  #bytes: Promise<Uint8Array> | undefined;

  constructor(parts: ReadonlyMap<string, Part>) {
    this.#parts = parts;
  }

  async read(key: string): Promise<Uint8Array> {
    if (this.#key !== key || this.#bytes === undefined) {
      this.#key = key;
      this.#bytes = wholeOf(key, this.#parts.get(key)!);
    }
    return this.#bytes;
  }
}

async function wholeOf(key: string, part: Part): Promise<Uint8Array> {
  const bytes = await part.read();
  if (bytes.byteLength === sizeOf(part)) return bytes;
  throw new AoError('ERR_AO_FORMAT', `${bytes.byteLength} bytes were made for ${part.dtype} [${part.shape}]`, {
    tensor: key,
    fix: 'the tensors of this checkpoint do not fit each other: fetch or write it again',
  });
}
