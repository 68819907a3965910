/**
 * Writes a safetensors file: header first, then tensor by tensor, so one tensor is in memory at a time. Bytes equal the
 * reference writer's for the same input: tensors by dtype (widest first), then by name; compact JSON, padded with spaces
 * to a multiple of 8. Metadata keys keep the caller's order (the reference's order is that of a hash table).
 */
import { AoError } from '../errors.ts';
import type { ByteSink } from './bytes.ts';
import { fileDtypeRank, fileTensorBytes } from './file-dtypes.ts';
import type { SafetensorsEntry } from './safetensors-header.ts';
import { MAX_HEADER_BYTES } from './safetensors-header.ts';

export interface SafetensorsItem {
  readonly name: string;
  /** As in the file: 'F32', 'BF16'. */
  readonly dtype: string;
  readonly shape: readonly number[];
}

export type TensorBytes = Uint8Array | Promise<Uint8Array> | AsyncIterable<Uint8Array>;

export interface SafetensorsLayout {
  /** The 8 bytes of the length and the JSON. */
  readonly header: Uint8Array;
  /** In the order of the file. */
  readonly entries: readonly SafetensorsEntry[];
  /** Bytes of the whole file. */
  readonly size: number;
}

/** Order of the UTF-8 bytes, which is that of the code points. */
export function compareNames(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const surrogates = Number(x >= 0xd800 && x < 0xe000) - Number(y >= 0xd800 && y < 0xe000);
    return surrogates || x - y;
  }
  return a.length - b.length;
}

function bad(problem: string, tensor: string | undefined, fix: string): AoError {
  return new AoError('ERR_AO_FORMAT', problem, { op: 'safetensorsHeader', tensor, fix });
}

function checkName(name: string, seen: Set<string>): void {
  if (name === '__metadata__' || name === '__proto__') throw bad(`'${name}' cannot name a tensor`, name, 'rename it');
  if (/\p{Surrogate}/u.test(name)) throw bad('the name holds half a surrogate pair', name, 'rename it');
  if (seen.has(name)) throw bad('two tensors have this name', name, 'write each tensor once');
  seen.add(name);
}

export function safetensorsHeader(
  items: readonly SafetensorsItem[],
  metadata?: Readonly<Record<string, string>>,
): SafetensorsLayout {
  const seen = new Set<string>();
  for (const item of items) checkName(item.name, seen);
  const sorted = [...items].sort(
    (a, b) => fileDtypeRank(b.dtype) - fileDtypeRank(a.dtype) || compareNames(a.name, b.name),
  );
  const fields = metadata ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (typeof value !== 'string') throw bad(`the metadata '${key}' is no string`, undefined, 'write it as JSON text');
  }
  let begin = 0;
  const entries = sorted.map(({ name, dtype, shape }) => {
    if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0)) {
      throw bad(`shape [${shape.join(', ')}] is not made of whole numbers`, name, 'give the sizes of its dimensions');
    }
    const nbytes = fileTensorBytes(dtype, shape);
    if (typeof nbytes === 'string') throw bad(nbytes, name, 'use a dtype and shape that the format has');
    const end = begin + nbytes;
    fields.push(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`);
    const entry = { name, dtype, shape, begin, end };
    begin = end;
    return entry;
  });
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const length = Math.ceil(json.byteLength / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    const problem = `the header has ${length} bytes, above the format's limit of ${MAX_HEADER_BYTES}`;
    throw bad(problem, undefined, 'spread the tensors over several files');
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return { header, entries, size: header.byteLength + begin };
}

/** The file's bytes in pieces: the header, then what `read` gives for each tensor in the order of the file. */
export async function* safetensorsChunks(
  layout: SafetensorsLayout,
  read: (entry: SafetensorsEntry) => TensorBytes,
): AsyncGenerator<Uint8Array, void, void> {
  yield layout.header;
  for (const entry of layout.entries) {
    let rest = entry.end - entry.begin;
    const answer = read(entry);
    const chunks = Symbol.asyncIterator in answer ? answer : [await answer];
    for await (const chunk of chunks) {
      rest -= chunk.byteLength;
      if (rest < 0) break;
      yield chunk;
    }
    if (rest !== 0) {
      const off = rest < 0 ? 'more' : `${rest} fewer`;
      throw new AoError('ERR_AO_FORMAT', `got ${off} bytes than [${entry.shape.join(', ')}] of ${entry.dtype} needs`, {
        op: 'writeSafetensors',
        tensor: entry.name,
        fix: 'give its row-major bytes in the dtype of its entry',
      });
    }
  }
}

/** Writes all and closes the sink; on any failure aborts it, so that nothing half-written stays. */
export async function writeSafetensors(
  sink: ByteSink,
  items: readonly SafetensorsItem[],
  read: (entry: SafetensorsEntry) => TensorBytes,
  options: { readonly metadata?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
): Promise<SafetensorsLayout> {
  try {
    const layout = safetensorsHeader(items, options.metadata);
    for await (const chunk of safetensorsChunks(layout, read)) {
      options.signal?.throwIfAborted();
      await sink.write(chunk);
    }
    await sink.close();
    return layout;
  } catch (error) {
    await sink.abort();
    throw error;
  }
}
