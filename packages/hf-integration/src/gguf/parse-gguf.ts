// parseGguf(bytes): the head of a GGUF of version 2 or 3, little endian:
//   'GGUF', version u32, tensors u64, pairs u64
//   pairs: key, type u32, value            (a string is u64 bytes of UTF-8; a list is type u32, count u64, values)
//   tensors: name, dimensions u32, sizes u64 (the fastest first), type u32, offset u64
//   data from the next multiple of general.alignment (32)
// Checked: every tensor lies in the file at an aligned place, in whole blocks, and none overlaps another.
import { AoError } from '@ao/core';
import { type GgmlType, ggmlBytes, ggmlTypeById } from './ggml-types.ts';

export type GgufScalar = number | bigint | boolean | string;
export type GgufValue = GgufScalar | readonly GgufScalar[];

export interface GgufTensor {
  readonly name: string;
  readonly type: GgmlType;
  /** The slowest dimension first, as in safetensors. */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly nbytes: number;
}

export interface GgufHead {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** More than `bytes` holds is needed; the file has it. */
export class NeedsMore extends Error {}

const MAX_DIMENSIONS = 4;
/** Less than any pair or tensor takes. */
const LEAST_PAIR = 13;
const LEAST_TENSOR = 24;
const WIDTHS: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  8: 8,
  10: 8,
  11: 8,
  12: 8,
};
const STRING = 8;
const LIST = 9;

export function ggufError(file: string, problem: string, tensor?: string): AoError {
  return new AoError('ERR_AO_FORMAT', `${file}: ${problem}`, {
    tensor,
    fix: 'the file is damaged, cut short or no GGUF: fetch it again',
  });
}

/** `bytes`: the file's first; throws NeedsMore where they end within the head, and the file of `size` bytes does not. */
export function parseGguf(bytes: Uint8Array, size: number, file: string): GgufHead {
  const reader = new Reader(bytes, size, file);
  if (reader.u32() !== 0x46554747) throw ggufError(file, 'it does not begin with GGUF');
  const version = reader.u32();
  if (version >>> 16 !== 0 && (version & 0xffff) === 0) {
    throw new AoError('ERR_AO_FORMAT', `${file}: it is big endian`, {
      fix: 'take the little-endian file of this model',
    });
  }
  if (version !== 2 && version !== 3) {
    throw new AoError('ERR_AO_FORMAT', `${file}: version ${version} of GGUF is not read`, {
      fix: 'versions 2 and 3 are',
    });
  }
  const tensorCount = reader.count(LEAST_TENSOR, 'tensors');
  const pairCount = reader.count(LEAST_PAIR, 'pairs of metadata');
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairCount; i++) {
    const key = reader.string();
    if (metadata.has(key)) throw ggufError(file, `two values for the key ${JSON.stringify(key)}`);
    metadata.set(key, reader.value(reader.u32()));
  }
  const alignment = metadata.get('general.alignment') ?? 32;
  if (
    typeof alignment !== 'number' ||
    !Number.isInteger(alignment) ||
    alignment < 1 ||
    (alignment & (alignment - 1)) !== 0
  ) {
    throw ggufError(file, `general.alignment is ${String(alignment)}, no power of two`);
  }
  const raw: Omit<GgufTensor, 'nbytes'>[] = [];
  for (let i = 0; i < tensorCount; i++) raw.push(reader.tensor(alignment));
  const start = Math.ceil(reader.at / alignment) * alignment;
  return { version, metadata, tensors: placed(raw, start, size, file) };
}

function placed(
  raw: readonly Omit<GgufTensor, 'nbytes'>[],
  start: number,
  size: number,
  file: string,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const t of raw) {
    const columns = t.shape.at(-1) ?? 1;
    if (columns % t.type.block !== 0) {
      throw ggufError(file, `rows of ${columns} values are no whole blocks of ${t.type.name}`, t.name);
    }
    const nbytes = ggmlBytes(
      t.type,
      t.shape.reduce((n, d) => n * d, 1),
    );
    const offset = start + t.offset;
    if (!Number.isSafeInteger(offset + nbytes) || offset + nbytes > size) {
      throw ggufError(file, `its bytes ${offset} to ${offset + nbytes} lie beyond the end at ${size}`, t.name);
    }
    if (tensors.has(t.name)) throw ggufError(file, 'two tensors have this name', t.name);
    tensors.set(t.name, { ...t, offset, nbytes });
  }
  let end = start;
  for (const t of [...tensors.values()].sort((a, b) => a.offset - b.offset || a.nbytes - b.nbytes)) {
    if (t.nbytes === 0) continue;
    if (t.offset < end) throw ggufError(file, 'its bytes are those of another tensor too', t.name);
    end = t.offset + t.nbytes;
  }
  return tensors;
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #size: number;
  readonly #file: string;
  readonly #text = new TextDecoder('utf-8');

  constructor(bytes: Uint8Array, size: number, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#size = size;
    this.#file = file;
  }

  /** Where the next n bytes begin. */
  #take(n: number): number {
    const from = this.at;
    if (from + n > this.#size)
      throw ggufError(this.#file, `the head ends beyond byte ${this.#size}, the end of the file`);
    if (from + n > this.#bytes.byteLength) throw new NeedsMore();
    this.at = from + n;
    return from;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A u64 that counts. */
  #size64(what: string): number {
    const n = this.#view.getBigUint64(this.#take(8), true);
    if (n > BigInt(Number.MAX_SAFE_INTEGER)) throw ggufError(this.#file, `${n} ${what}`);
    return Number(n);
  }

  /** How many things follow, of which each takes `least` bytes: never more than the file can hold. */
  count(least: number, what: string): number {
    const n = this.#size64(what);
    if (n * least > this.#size - this.at)
      throw ggufError(this.#file, `${n} ${what} do not fit into ${this.#size} bytes`);
    return n;
  }

  string(): string {
    const length = this.#size64('bytes of a string');
    const from = this.#take(length);
    return this.#text.decode(this.#bytes.subarray(from, from + length));
  }

  value(type: number): GgufValue {
    if (type !== LIST) return this.#scalar(type);
    const inner = this.u32();
    const width = inner === STRING ? 8 : WIDTHS[inner];
    if (width === undefined) throw ggufError(this.#file, `a list of type ${inner}`);
    const length = this.count(width, 'values of a list');
    const list: GgufScalar[] = [];
    for (let i = 0; i < length; i++) list.push(this.#scalar(inner));
    return list;
  }

  #scalar(type: number): GgufScalar {
    if (type === STRING) return this.string();
    const width = WIDTHS[type];
    if (width === undefined) throw ggufError(this.#file, `a value of type ${type}`);
    const at = this.#take(width);
    const v = this.#view;
    switch (type) {
      case 0:
        return v.getUint8(at);
      case 1:
        return v.getInt8(at);
      case 2:
        return v.getUint16(at, true);
      case 3:
        return v.getInt16(at, true);
      case 4:
        return v.getUint32(at, true);
      case 5:
        return v.getInt32(at, true);
      case 6:
        return v.getFloat32(at, true);
      case 7:
        return v.getUint8(at) !== 0;
      case 12:
        return v.getFloat64(at, true);
      default:
        return small(type === 10 ? v.getBigUint64(at, true) : v.getBigInt64(at, true));
    }
  }

  tensor(alignment: number): Omit<GgufTensor, 'nbytes'> {
    const name = this.string();
    const dimensions = this.u32();
    if (dimensions > MAX_DIMENSIONS) throw ggufError(this.#file, `${dimensions} dimensions`, name);
    const sizes = Array.from({ length: dimensions }, () => this.#size64('values in a dimension'));
    if (!Number.isSafeInteger(sizes.reduce((n, d) => n * d, 1)))
      throw ggufError(this.#file, `the shape [${sizes}]`, name);
    const type = ggmlTypeById(this.u32(), this.#file, name);
    const offset = this.#size64('bytes before a tensor');
    if (offset % alignment !== 0)
      throw ggufError(this.#file, `its offset ${offset} is no multiple of ${alignment}`, name);
    return { name, type, shape: sizes.reverse(), offset };
  }
}

const small = (n: bigint): number | bigint =>
  n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n;
