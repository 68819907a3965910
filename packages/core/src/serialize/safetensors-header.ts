/**
 * The head of a safetensors file: 8 bytes N (little endian), N bytes of JSON { name: { dtype, shape, data_offsets } },
 * then the data. Checked here: the tensors fill the data exactly, in some order, without overlap or hole, and every
 * size is shape x dtype.
 */
import { AoError } from '../errors.ts';
import { fileTensorBytes } from './file-dtypes.ts';
import type { JsonReader } from './json-reader.ts';
import { jsonReader } from './json-reader.ts';

/** The format's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;

export interface SafetensorsEntry {
  readonly name: string;
  /** As in the file: 'F32', 'BF16', 'F8_E8M0'. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes from the start of the data section, as data_offsets. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
}

const AGAIN = 'the file is damaged or was not written by a safetensors writer: fetch or write it again';

export function formatError(file: string, problem: string, tensor?: string, fix = AGAIN): AoError {
  return new AoError('ERR_AO_FORMAT', `${file}: ${problem}`, { tensor, fix });
}

/** N of the first 8 bytes, checked against the limit and the size of the file. */
export function headerLength(file: string, first: Uint8Array, size: number): number {
  const n = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (n > BigInt(MAX_HEADER_BYTES)) {
    const problem = `the header's length is ${n}, above the format's limit of ${MAX_HEADER_BYTES} bytes`;
    throw formatError(file, problem, undefined, 'check that this is a safetensors file');
  }
  if (n < 2n) throw formatError(file, `the header's length is ${n}, too short for '{}'`);
  if (8 + Number(n) > size) throw formatError(file, `the header ends at byte ${8n + n}, the file at byte ${size}`);
  return Number(n);
}

function parseShape(json: JsonReader): number[] {
  const shape: number[] = [];
  json.array(() => shape.push(json.natural()));
  return shape;
}

function parseEntry(json: JsonReader, name: string): SafetensorsEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  json.object((key) => {
    if (key === 'dtype') dtype = json.string();
    else if (key === 'shape') shape = parseShape(json);
    else if (key === 'data_offsets') offsets = parseShape(json);
    else json.fail(`the unknown field '${key}'`);
  });
  if (dtype === undefined) return json.fail("no field 'dtype'");
  if (!shape) return json.fail("no field 'shape'");
  if (!offsets) return json.fail("no field 'data_offsets'");
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length > 2 || begin > end) {
    return json.fail(`data_offsets are [${offsets.join(', ')}], not a begin and an end`);
  }
  const nbytes = fileTensorBytes(dtype, shape);
  if (typeof nbytes === 'string') return json.fail(nbytes);
  if (nbytes !== end - begin) {
    return json.fail(`shape [${shape.join(', ')}] of ${dtype} needs ${nbytes} bytes, data_offsets give ${end - begin}`);
  }
  return { name, dtype, shape, begin, end };
}

function byPosition(file: string, entries: SafetensorsEntry[], dataSize: number): Map<string, SafetensorsEntry> {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const sorted = new Map<string, SafetensorsEntry>();
  let at = 0;
  let before: string | undefined;
  for (const entry of entries) {
    const { name, begin, end } = entry;
    if (begin < at) throw formatError(file, `its bytes ${begin} to ${end} overlap those of '${before}'`, name);
    if (begin > at) throw formatError(file, `a hole of ${begin - at} bytes before byte ${begin} of the data`, name);
    sorted.set(name, entry);
    at = end;
    before = name;
  }
  if (at > dataSize) {
    throw formatError(file, `cut short: the tensors need ${at} bytes of data, the file has ${dataSize}`, before);
  }
  if (at < dataSize) throw formatError(file, `${dataSize - at} bytes follow the last tensor`, before);
  return sorted;
}

/** The header's JSON; dataSize = the bytes of the file behind it. */
export function parseHeader(file: string, bytes: Uint8Array, dataSize: number): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AoError('ERR_AO_FORMAT', `${file}: the header is not UTF-8`, { fix: AGAIN, cause });
  }
  if (text[0] !== '{') throw formatError(file, "the header does not start with '{'");
  let current: string | undefined;
  const json = jsonReader(text, (problem) => {
    throw formatError(file, `header: ${problem}`, current);
  });
  const metadata = Object.create(null) as Record<string, string>;
  const entries: SafetensorsEntry[] = [];
  json.object((name) => {
    current = name;
    if (name === '__metadata__') {
      json.object((key) => {
        metadata[key] = json.string();
      });
    } else {
      entries.push(parseEntry(json, name));
    }
    current = undefined;
  });
  json.end();
  return { metadata: Object.freeze(metadata), entries: byPosition(file, entries, dataSize) };
}
