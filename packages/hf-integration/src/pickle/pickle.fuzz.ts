/**
 * Mutation fuzzing of files of torch.save: pickles of random values by random opcodes, alone and in a zip file, with up to three
 * mutations of their bytes. A pristine one must give the values that it was made of; else an AoError ERR_AO_FORMAT that names
 * the file and a fix, or tensors whose bytes lie inside the file.
 */
import { type ByteSource, isAoError } from '@ao/core';
import { openTorchFile } from './torch-file.ts';
import { unpickle } from './unpickle.ts';
import { PickleObject, PickleTuple, TorchTensor } from './values.ts';

export interface FuzzResult {
  readonly cases: number;
  readonly rejected: number;
  readonly opened: number;
}

export type Random = (below: number) => number;

/** mulberry32. */
export function random(seed: number): Random {
  let s = seed >>> 0;
  return (below) => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const NAME = 'fuzz.bin';
const utf8 = new TextEncoder();
const u32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, (n >>> 24) & 255];
const text = (s: string): number[] => {
  const bytes = utf8.encode(s);
  return [0x58, ...u32(bytes.length), ...bytes];
};
const global = (module: string, name: string): number[] => [0x63, ...utf8.encode(`${module}\n${name}\n`)];

/** A pickle of random plain data, and the same as JavaScript has it. */
function plainValue(rnd: Random, depth: number): [number[], unknown] {
  const many = (): [number[], unknown][] => Array.from({ length: rnd(4) }, () => plainValue(rnd, depth - 1));
  const kind = rnd(depth > 0 ? 10 : 7);
  if (kind === 0) return [[0x4e], null];
  if (kind === 1) return rnd(2) ? [[0x88], true] : [[0x89], false];
  if (kind === 2) {
    const n = rnd(256);
    return [[0x4b, n], n];
  }
  if (kind === 3) {
    const n = rnd(2 ** 31) - 2 ** 30;
    return [[0x4a, ...u32(n)], n];
  }
  if (kind === 4) {
    const s = ['', 'a.weight', 'é', '__proto__'][rnd(4)]!;
    return [text(s), s];
  }
  if (kind === 5) {
    const bytes = new DataView(new ArrayBuffer(8));
    const x = (rnd(1000) - 500) / 8;
    bytes.setFloat64(0, x);
    return [[0x47, ...new Uint8Array(bytes.buffer)], x];
  }
  if (kind === 6) return [[0x8a, 2, 0, 1], 256];
  const items = many();
  const codes = items.flatMap(([code]) => code);
  const values = items.map(([, value]) => value);
  if (kind === 7) return [[0x5d, 0x28, ...codes, 0x65], values];
  if (kind === 8) return [[0x28, ...codes, 0x74], { tuple: values }];
  const pairs = items.flatMap(([code], i) => [...text(`k${i}`), ...code]);
  return [[0x7d, 0x28, ...pairs, 0x75], Object.fromEntries(values.map((value, i) => [`k${i}`, value]))];
}

/** What unpickle gives, in the form of plainValue's values. */
function plainOf(value: unknown): unknown {
  if (value instanceof PickleTuple) return { tuple: value.items.map(plainOf) };
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), plainOf(item)]));
  if (Array.isArray(value)) return value.map(plainOf);
  if (value instanceof PickleObject || value instanceof TorchTensor) return 'object';
  return value;
}

const STORAGES = ['FloatStorage', 'HalfStorage', 'BFloat16Storage', 'LongStorage', 'CharStorage'];

/** data.pkl of a dict of tensors on storages of 64 bytes. */
function tensorPickle(rnd: Random): number[] {
  const one = (i: number): number[] => {
    const [rows, columns] = [1 + rnd(2), 1 + rnd(3)];
    const turned = rnd(2) === 1;
    return [
      ...text(`t${i}`),
      ...global('torch._utils', '_rebuild_tensor_v2'),
      0x28,
      ...[
        0x28,
        ...text('storage'),
        ...global('torch', STORAGES[rnd(STORAGES.length)]!),
        ...text(`${rnd(2)}`),
        ...text('cpu'),
        0x4b,
        8,
        0x74,
        0x51,
      ],
      ...[0x4b, rnd(3), 0x4b, rows, 0x4b, columns, 0x86],
      ...(turned ? [0x4b, 1, 0x4b, rows, 0x86] : [0x4b, columns, 0x4b, 1, 0x86]),
      ...[0x89, ...global('collections', 'OrderedDict'), 0x29, 0x52, 0x74, 0x52],
    ];
  };
  const items = Array.from({ length: 1 + rnd(3) }, (_, i) => one(i)).flat();
  return [0x80, 2, 0x7d, 0x28, ...items, 0x75, 0x2e];
}

/** A zip of stored entries. */
function zipOf(entries: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const [body, directory]: [number[], number[]] = [[], []];
  for (const [path, bytes] of entries) {
    const name = utf8.encode(path);
    const at = body.length;
    const sizes = [...u32(0), ...u32(bytes.length), ...u32(bytes.length), name.length, 0];
    body.push(...u32(0x04034b50), ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], ...sizes, 0, 0, ...name, ...bytes);
    directory.push(
      ...u32(0x02014b50),
      ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      ...sizes,
      ...new Array(12).fill(0),
      ...u32(at),
      ...name,
    );
  }
  const count = [entries.length, 0];
  const end = [...u32(0x06054b50), 0, 0, 0, 0, ...count, ...count, ...u32(directory.length), ...u32(body.length), 0, 0];
  return Uint8Array.from([...body, ...directory, ...end]);
}

const TOKENS = [
  [0x28],
  [0x2e],
  [0x52],
  [0x51],
  [0x62],
  [0x81],
  [0x94],
  [0x68, 0],
  [0x93],
  [0x75],
  [0x32],
  [0x95, 255, 255, 0, 0, 0, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff],
  ...[u32(0x02014b50), u32(0x06064b50), u32(0x07064b50)],
];

/** One change of some bytes: flipped, cut out, doubled, or a token put in. */
function mutate(file: Uint8Array, rnd: Random): Uint8Array {
  const at = rnd(file.length + 1);
  const length = Math.min(rnd(8), file.length - at);
  const kind = rnd(5);
  if (kind === 0 && at < file.length) {
    const out = file.slice();
    out[at] = rnd(2) ? rnd(256) : out[at]! ^ (1 << rnd(8));
    return out;
  }
  const token = kind === 1 ? TOKENS[rnd(TOKENS.length)]! : kind === 2 ? file.subarray(at, at + length) : [];
  const skip = kind === 3 ? length : kind === 4 ? file.length - at : 0;
  const out = new Uint8Array(file.length + token.length - skip);
  out.set(file.subarray(0, at));
  out.set(token, at);
  out.set(file.subarray(at + skip), at + token.length);
  return out;
}

const isRefusal = (error: unknown): boolean =>
  isAoError(error, 'ERR_AO_FORMAT') && error.message.includes(NAME) && error.fix !== undefined;

function failed(i: number, seed: number, file: Uint8Array, error: unknown): Error {
  const hex = Array.from(file, (b) => b.toString(16).padStart(2, '0')).join('');
  return new Error(`case ${i} of seed ${seed}: ${String(error)}\nfile: ${hex}`, { cause: error });
}

/** Pickles alone. Throws, with the case's number and bytes, at the first outcome that is not allowed. */
export function fuzzUnpickle(cases: number, seed: number, tick?: (done: number) => void): FuzzResult {
  const rnd = random(seed);
  let rejected = 0;
  let pristine: Uint8Array = new Uint8Array(0);
  let value: unknown;
  for (let i = 0; i < cases; i++) {
    if (i % 20 === 0) {
      const [code, made] = plainValue(rnd, 3);
      pristine = Uint8Array.from([0x80, 2 + rnd(4), ...code, 0x2e]);
      value = made;
    }
    let file: Uint8Array = pristine;
    const mutations = rnd(4);
    for (let k = mutations; k > 0; k--) file = mutate(file, rnd);
    try {
      const found = unpickle(file, { name: NAME, allows: (name) => name.startsWith('collections.') });
      if (mutations === 0 && JSON.stringify(plainOf(found)) !== JSON.stringify(value)) throw new Error('another value');
    } catch (error) {
      if (mutations === 0 || !isRefusal(error)) throw failed(i, seed, file, error);
      rejected++;
    }
    tick?.(i + 1);
  }
  return { cases, rejected, opened: cases - rejected };
}

/** Whole files: zip, pickle and tensors. */
export async function fuzzTorchFile(cases: number, seed: number, tick?: (done: number) => void): Promise<FuzzResult> {
  const rnd = random(seed);
  let rejected = 0;
  let pristine: Uint8Array = new Uint8Array(0);
  for (let i = 0; i < cases; i++) {
    if (i % 20 === 0) {
      const storage = (): Uint8Array => new Uint8Array(64).map(() => rnd(256));
      pristine = zipOf([
        ['a/data.pkl', Uint8Array.from(tensorPickle(rnd))],
        ['a/byteorder', utf8.encode('little')],
        ['a/data/0', storage()],
        ['a/data/1', storage()],
      ]);
    }
    let file: Uint8Array = pristine;
    const mutations = rnd(4);
    for (let k = mutations; k > 0; k--) file = mutate(file, rnd);
    try {
      await verify(file);
    } catch (error) {
      if (mutations === 0 || !isRefusal(error)) throw failed(i, seed, file, error);
      rejected++;
    }
    tick?.(i + 1);
  }
  return { cases, rejected, opened: cases - rejected };
}

/** Opens a file and reads every tensor; reads outside the file are errors. */
async function verify(bytes: Uint8Array): Promise<void> {
  const source: ByteSource = {
    name: NAME,
    size: bytes.length,
    read: async (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > bytes.length)
        throw new Error(`a read at ${offset} of ${length} bytes`);
      return bytes.slice(offset, offset + length);
    },
  };
  const { file } = await openTorchFile(source);
  for (const name of file.names) {
    const { begin, end } = file.entry(name);
    const read = await file.read(name);
    if (read.length !== end - begin) throw new Error(`'${name}' has ${read.length} bytes, not ${end - begin}`);
  }
}
