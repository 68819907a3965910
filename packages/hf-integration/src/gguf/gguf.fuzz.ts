// Mutation fuzzing of parseGguf. Each case is the head of a small valid file with up to four changes of its bytes, its counts,
// its types or its end; with none it must be read as it was written. Allowed else: an AoError ERR_AO_FORMAT that names the file
// and a fix, or a head whose tensors lie in the file, in whole blocks, apart from each other.
import { isAoError } from '@ao/core';
import { ggmlBytes, ggmlTypes } from './ggml-types.ts';
import { type GgufItem, type GgufPair, ggufHead } from './gguf-head.ts';
import { type GgufHead, NeedsMore, parseGguf } from './parse-gguf.ts';

export interface FuzzResult {
  readonly cases: number;
  readonly rejected: number;
  readonly opened: number;
}

type Random = (below: number) => number;

/** mulberry32. */
function random(seed: number): Random {
  let s = seed >>> 0;
  return (below) => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const PAIRS: readonly GgufPair[] = [
  ['general.architecture', 'string', 'llama'],
  ['general.name', 'string', 'é"\n'],
  ['llama.block_count', 'u32', 2],
  ['a.negative', 'i32', -3],
  ['a.float', 'f32', 0.5],
  ['a.flag', 'bool', true],
  ['tokens', 'string[]', ['a', '', 'ü']],
  ['scores', 'f32[]', [0, -1, 2]],
  ['types', 'i32[]', []],
  ['constructor', 'string', '__proto__'],
];
const NAMES = ['token_embd.weight', 'blk.0.attn_q.weight', 'output_norm.weight', '__proto__', ''];
const WORDS = [0, 1, 2, 3, 4, 7, 8, 9, 15, 31, 32, 255, 256, 0x7fffffff, 0xffffffff];

interface Case {
  readonly bytes: Uint8Array;
  readonly pairs: readonly GgufPair[];
  readonly items: readonly GgufItem[];
}

function validCase(rnd: Random): Case {
  const pairs = PAIRS.filter(() => rnd(3) > 0);
  const items = NAMES.filter(() => rnd(2) > 0).map((name): GgufItem => {
    const type = ggmlTypes[rnd(ggmlTypes.length)]!;
    const shape = [...Array.from({ length: rnd(3) }, () => 1 + rnd(3)), type.block * rnd(3)];
    return { name, type, shape };
  });
  const { head, size } = ggufHead(pairs, items);
  const bytes = new Uint8Array(size);
  bytes.set(head);
  return { bytes, pairs, items };
}

/** Changes in place, or another length. */
function mutated(valid: Uint8Array, rnd: Random): Uint8Array {
  let bytes = valid;
  for (let n = 1 + rnd(4); n > 0; n--) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const at = rnd(Math.max(1, bytes.byteLength - 8));
    const what = rnd(6);
    if (bytes.byteLength < 16 || what === 0) bytes = bytes.slice(0, rnd(bytes.byteLength + 1));
    else if (what === 1) bytes[at] = rnd(256);
    else if (what === 2) view.setUint32(at, WORDS[rnd(WORDS.length)]!, true);
    else if (what === 3)
      view.setBigUint64(at, BigInt(rnd(2) ? WORDS[rnd(WORDS.length)]! : 2 ** rnd(53)) << BigInt(rnd(20)), true);
    else if (what === 4) bytes[at] = bytes[at]! ^ (1 << rnd(8));
    else bytes.copyWithin(at, rnd(bytes.byteLength), rnd(bytes.byteLength));
  }
  return bytes;
}

function checkTensors({ tensors }: GgufHead, size: number): void {
  let end = 0;
  for (const t of [...tensors.values()].filter((each) => each.nbytes > 0).sort((a, b) => a.offset - b.offset)) {
    const count = t.shape.reduce((n, d) => n * d, 1);
    if ((t.shape.at(-1) ?? 1) % t.type.block !== 0) throw new Error(`${t.name}: a part of a block`);
    if (t.nbytes !== ggmlBytes(t.type, count)) throw new Error(`${t.name}: ${t.nbytes} bytes of [${t.shape}]`);
    if (t.offset < end || t.offset + t.nbytes > size) throw new Error(`${t.name}: bytes that are not its own`);
    end = t.offset + t.nbytes;
  }
}

function checkWhole(head: GgufHead, { pairs, items }: Case): void {
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  for (const [key, , value] of pairs) {
    if (!same(head.metadata.get(key), value)) throw new Error(`${key} is ${String(head.metadata.get(key))}`);
  }
  if (head.metadata.size !== pairs.length || head.tensors.size !== items.length) throw new Error('other counts');
  for (const { name, type, shape } of items) {
    const t = head.tensors.get(name);
    if (t?.type !== type || !same(t.shape, shape)) throw new Error(`${name} is [${t?.shape}]`);
  }
}

/** Throws on the first answer that is not allowed, naming the case. */
export function fuzzGguf(cases: number, seed: number, onCase?: (done: number) => void): FuzzResult {
  let [rejected, opened] = [0, 0];
  for (let i = 0; i < cases; i++) {
    const rnd = random(seed + i);
    const valid = validCase(rnd);
    const whole = rnd(16) === 0;
    const bytes = whole ? valid.bytes : mutated(valid.bytes, rnd);
    // some are read from a prefix, as files are
    const prefix = rnd(4) === 0 ? bytes.subarray(0, rnd(bytes.byteLength + 1)) : bytes;
    try {
      const head = parseGguf(prefix, bytes.byteLength, 'case.gguf');
      checkTensors(head, bytes.byteLength);
      if (whole) checkWhole(head, valid);
      opened++;
    } catch (error) {
      if (error instanceof NeedsMore && prefix.byteLength < bytes.byteLength) continue;
      const told = isAoError(error, 'ERR_AO_FORMAT') && error.message.startsWith('case.gguf: ') && error.fix;
      if (!told || whole) throw new Error(`case ${i} of seed ${seed}: ${(error as Error).message}`, { cause: error });
      rejected++;
    }
    onCase?.(i + 1);
  }
  return { cases, rejected, opened };
}
