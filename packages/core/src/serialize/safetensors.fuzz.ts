/**
 * Mutation fuzzing of the safetensors reader. Each case is a small valid file with up to three mutations of its bytes,
 * its JSON text or its length field; with none (perhaps another text of the same JSON) it must open. Allowed else: an
 * AoError ERR_AO_FORMAT that names the file and a fix, or an opened file whose every tensor is what JSON.parse of the
 * header says and whose tensors tile the data exactly.
 */
import { isAoError } from '../errors.ts';
import type { ByteSource } from './bytes.ts';
import { bytesSource } from './bytes.ts';
import { fileTensorBytes } from './file-dtypes.ts';
import { openSafetensors } from './safetensors-read.ts';
import { safetensorsHeader } from './safetensors-write.ts';

export interface FuzzResult {
  readonly cases: number;
  readonly rejected: number;
  readonly opened: number;
}

type Random = (below: number) => number;

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

const NAMES = ['a', 'b.weight', 'layers.0.q_proj', 'é', '"q"', 'constructor', '__metadata', '0', '\n'];
const DTYPES = ['F32', 'BF16', 'U8', 'I64', 'F4', 'F8_E8M0', 'BOOL'];
const TOKENS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u0061',
  '\\ud800',
  'null',
  'true',
  '-1',
  '1.5',
  '1e3',
  '00',
  '9007199254740992',
  '99999999999999999999',
  '__proto__',
  '__metadata__',
  '"dtype":"F32",',
  '"shape":[],',
  '"data_offsets":[0,4],',
  '"a":{},',
  'F64',
  'F8_E4M3',
  ' ',
  '\u0000',
  '\ufeff',
  '[[[[[[[[',
  '{"a":{"a":{"a":',
  '-0',
  '0',
];

function seedFile(rnd: Random): Uint8Array {
  const items = NAMES.filter(() => rnd(3) === 0).map((name) => ({
    name,
    dtype: DTYPES[rnd(DTYPES.length)] as string,
    shape: Array.from({ length: rnd(4) }, () => rnd(5)).concat(2),
  }));
  const { header, size } = safetensorsHeader(items, rnd(2) ? { format: 'pt', note: 'x"\\é' } : undefined);
  const file = new Uint8Array(size).map(() => rnd(256));
  file.set(header);
  return file;
}

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length - remove + insert.length);
  out.set(bytes.subarray(0, at));
  out.set(insert, at);
  out.set(bytes.subarray(at + remove), at + insert.length);
  return out;
}

const utf8 = /*@__PURE__*/ new TextEncoder();

function lengthOf(file: Uint8Array): number {
  return file.length < 8 ? 0 : Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
}

/** Replaces the JSON and corrects the length field, so that mutations get past the first check. */
function withJson(file: Uint8Array, change: (json: Uint8Array) => Uint8Array): Uint8Array {
  const n = Math.min(lengthOf(file), file.length - 8);
  if (n <= 0) return file;
  const json = change(file.slice(8, 8 + n));
  const out = splice(file, 8, n, json);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  return out;
}

interface PlainEntry {
  data_offsets: [number, number];
}

/** Puts one tensor onto another of its size and closes the gap: every size is right, no hole, two tensors share bytes. */
function stack(file: Uint8Array, rnd: Random): Uint8Array {
  const n = lengthOf(file);
  let plain: Record<string, PlainEntry>;
  try {
    plain = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + n)));
  } catch {
    return file;
  }
  const all = Object.entries(plain).filter(([name, e]) => name !== '__metadata__' && e?.data_offsets?.length === 2);
  const moved = all[rnd(Math.max(1, all.length))]?.[1];
  if (moved === undefined) return file;
  const [from, to] = moved.data_offsets;
  const under = all.find(([, e]) => e.data_offsets[0] !== from && e.data_offsets[1] - e.data_offsets[0] === to - from);
  if (under === undefined) return file;
  for (const [, e] of all) {
    if (e.data_offsets[0] > from) e.data_offsets = [e.data_offsets[0] - to + from, e.data_offsets[1] - to + from];
  }
  moved.data_offsets = under[1].data_offsets;
  const out = withJson(file, () => utf8.encode(JSON.stringify(plain)));
  return out.slice(0, Math.max(0, out.length - (to - from)));
}

const EMPTY = '"empty":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},';

const MUTATORS: readonly ((file: Uint8Array, rnd: Random) => Uint8Array)[] = [
  (f, r) => {
    const out = f.slice();
    if (out.length > 0) out[at(out, r)]! ^= 1 << r(8);
    return out;
  },
  (f, r) => f.subarray(0, r(f.length + 1)).slice(),
  (f, r) => splice(f, f.length, 0, new Uint8Array(1 + r(16))),
  (f, r) => {
    const out = f.slice();
    if (out.length >= 8) out[r(8)] = r(256);
    return out;
  },
  (f, r) => withJson(f, (json) => splice(json, r(json.length + 1), 0, token(r))),
  (f, r) => withJson(f, (json) => splice(json, 1, 0, utf8.encode(EMPTY.repeat(1 + r(2))))),
  stack,
  (f, r) => withJson(f, (json) => splice(json, at(json, r), 1, token(r))),
  (f, r) => withJson(f, (json) => splice(json, at(json, r), 1, Uint8Array.of(r(256)))),
  (f, r) =>
    withJson(f, (json) => {
      const from = r(json.length);
      const part = json.slice(from, from + 1 + r(60));
      return r(2) ? splice(json, r(json.length), 0, part) : splice(json, from, part.length, new Uint8Array(0));
    }),
  (f, r) =>
    withJson(f, (json) => {
      const numbers = [...new TextDecoder().decode(json).matchAll(/\d+/g)];
      if (numbers.length === 0) return json;
      const text = new TextDecoder().decode(json);
      const m = numbers[r(numbers.length)] as RegExpExecArray;
      const value = Number(m[0]) + [1, -1, 4, -4, 8, 2 ** 31, 2 ** 53][r(7)]!;
      return utf8.encode(text.slice(0, m.index) + value + text.slice(m.index + m[0].length));
    }),
];

const at = (bytes: Uint8Array, rnd: Random): number => rnd(Math.max(1, bytes.length));
const token = (rnd: Random): Uint8Array => utf8.encode(TOKENS[rnd(TOKENS.length)] as string);

/** Another text of the same header: keys in another order, white space, escapes. Such a file must still open. */
function rewrite(file: Uint8Array, rnd: Random): Uint8Array {
  return withJson(file, (json) => {
    const shuffled = (x: object): object => Object.fromEntries(Object.entries(x).sort(() => rnd(3) - 1));
    const plain = shuffled(JSON.parse(new TextDecoder().decode(json)));
    for (const [key, value] of Object.entries(plain)) Object.assign(plain, { [key]: shuffled(value) });
    const text = JSON.stringify(plain, null, rnd(3)) + ' '.repeat(rnd(4));
    return utf8.encode(
      rnd(2) ? text : text.replace(/[a-zé]/g, (c) => (rnd(4) ? c : `\\u00${c.charCodeAt(0).toString(16)}`)),
    );
  });
}

let parsed = 0;

/**
 * JSON.parse of an object. V8 13.6 (Node 24) takes a key with an escape for another of the same length where an object before had that
 * one in its place ({"a":1,"\\":2}, then {"a":1,"\n":2}); behind a first key of its own an object has no such past.
 */
function parseObject(text: string): Record<string, unknown> {
  const key = `of parse ${parsed++}`;
  const first = `{"${key}":0${/^\s*\{\s*\}\s*$/.test(text) ? '' : ','}`;
  const { [key]: _, ...plain } = JSON.parse(text.replace('{', () => first));
  return plain;
}

/** Throws when an opened file is not what its header says. */
async function verify(file: Uint8Array, source: ByteSource): Promise<void> {
  const opened = await openSafetensors(source);
  const n = lengthOf(file);
  const plain = parseObject(new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(8, 8 + n)));
  const names = Object.keys(plain).filter((k) => k !== '__metadata__');
  if (names.length !== opened.names.length) throw new Error(`names ${names} became ${opened.names}`);
  if (JSON.stringify(plain.__metadata__ ?? {}) !== JSON.stringify(opened.metadata)) throw new Error('other metadata');
  let end = 0;
  for (const name of opened.names) {
    const e = opened.entry(name);
    const { dtype, shape, data_offsets } = plain[name] as Record<string, unknown>;
    const same = dtype === e.dtype && `${shape}` === `${e.shape}` && `${data_offsets}` === `${[e.begin, e.end]}`;
    if (!same || e.begin !== end || fileTensorBytes(e.dtype, e.shape) !== e.end - e.begin) {
      throw new Error(`tensor '${name}' became ${JSON.stringify(e)}`);
    }
    end = e.end;
    const bytes = await opened.read(name);
    const want = file.subarray(8 + n + e.begin, 8 + n + e.end);
    if (bytes.length !== want.length || bytes.some((b, i) => b !== want[i]))
      throw new Error(`other bytes of '${name}'`);
  }
  if (8 + n + end !== file.length) throw new Error(`${file.length - end - n - 8} bytes belong to no tensor`);
}

/** Runs `cases` cases; throws, with the case's number and bytes, at the first outcome that is not allowed. */
export async function fuzzSafetensors(cases: number, seed: number, tick?: (done: number) => void): Promise<FuzzResult> {
  const rnd = random(seed);
  let rejected = 0;
  let pristine = seedFile(rnd);
  for (let i = 0; i < cases; i++) {
    if (i % 50 === 0) pristine = seedFile(rnd);
    const mutations = rnd(4);
    let file = rnd(2) ? pristine : rewrite(pristine, rnd);
    for (let k = mutations; k > 0; k--) file = (MUTATORS[rnd(MUTATORS.length)] as (typeof MUTATORS)[0])(file, rnd);
    try {
      await verify(file, bytesSource(file, 'fuzz.safetensors'));
    } catch (error) {
      const named = isAoError(error, 'ERR_AO_FORMAT') && error.message.includes('fuzz.safetensors') && error.fix;
      if (!named || mutations === 0) {
        const hex = Array.from(file, (b) => b.toString(16).padStart(2, '0')).join('');
        throw new Error(`case ${i} of seed ${seed}: ${String(error)}\nfile: ${hex}`, { cause: error });
      }
      rejected++;
    }
    tick?.(i + 1);
  }
  return { cases, rejected, opened: cases - rejected };
}
