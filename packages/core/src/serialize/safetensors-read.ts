/** Reads a safetensors file by its header and then by ranges: never the whole file. */
import { AoError } from '../errors.ts';
import type { ByteSource } from './bytes.ts';
import { readExactly } from './bytes.ts';
import type { SafetensorsEntry } from './safetensors-header.ts';
import { formatError, headerLength, parseHeader } from './safetensors-header.ts';

export interface TensorFile {
  /** For messages: a file name. */
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly names: readonly string[];
  has(name: string): boolean;
  /** Throws for a name that the file lacks. */
  entry(name: string): SafetensorsEntry;
  /** The tensor's bytes, row-major, little endian. */
  read(name: string): Promise<Uint8Array>;
  /** Bytes begin to end of the tensor, counted from its first. */
  readRange(name: string, begin: number, end: number): Promise<Uint8Array>;
  /** Where the tensor's bytes lie. */
  locate(name: string): { readonly source: ByteSource; readonly offset: number };
}

export function missingTensor(file: string, name: string, names: readonly string[]): AoError {
  const few = names.slice(0, 8).join(', ') + (names.length > 8 ? `, ... (${names.length})` : '');
  return new AoError('ERR_AO_FORMAT', `${file} has no such tensor`, { tensor: name, fix: `it has: ${few || 'none'}` });
}

export async function openSafetensors(source: ByteSource): Promise<TensorFile> {
  if (source.size < 8) throw formatError(source.name, `${source.size} bytes are too few for a safetensors file`);
  const length = headerLength(source.name, await readExactly(source, 0, 8, 'the header'), source.size);
  const start = 8 + length;
  const bytes = await readExactly(source, 8, length, 'the header');
  const { metadata, entries } = parseHeader(source.name, bytes, source.size - start);
  const names = [...entries.keys()];

  const entry = (name: string): SafetensorsEntry => {
    const found = entries.get(name);
    if (!found) throw missingTensor(source.name, name, names);
    return found;
  };
  const readRange = async (name: string, begin: number, end: number): Promise<Uint8Array> => {
    const e = entry(name);
    const nbytes = e.end - e.begin;
    if (!(Number.isSafeInteger(begin) && Number.isSafeInteger(end) && 0 <= begin && begin <= end && end <= nbytes)) {
      throw new AoError('ERR_AO_SHAPE', `${source.name}: no bytes ${begin} to ${end} in a tensor of ${nbytes} bytes`, {
        tensor: name,
        fix: 'ask for 0 <= begin <= end <= its size',
      });
    }
    return begin === end
      ? new Uint8Array(0)
      : readExactly(source, start + e.begin + begin, end - begin, `tensor '${name}'`);
  };
  return {
    name: source.name,
    metadata,
    names,
    has: (name) => entries.has(name),
    entry,
    read: async (name) => readRange(name, 0, entry(name).end - entry(name).begin),
    readRange,
    locate: (name) => ({ source, offset: start + entry(name).begin }),
  };
}
