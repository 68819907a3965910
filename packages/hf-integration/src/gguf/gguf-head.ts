// ggufHead(pairs, tensors): the head of a GGUF of version 3, and where each tensor's bytes go: one after the other, each at a
// multiple of 32 bytes. What parse-gguf.ts reads.
import { type GgmlType, ggmlBytes } from './ggml-types.ts';

export const ALIGNMENT = 32;

/** A value of metadata with its type in the file. */
export type GgufPair =
  | readonly [key: string, type: 'u32' | 'i32' | 'f32', value: number]
  | readonly [key: string, type: 'bool', value: boolean]
  | readonly [key: string, type: 'string', value: string]
  | readonly [key: string, type: 'f32[]' | 'i32[]', value: readonly number[]]
  | readonly [key: string, type: 'string[]', value: readonly string[]];

export interface GgufItem {
  readonly name: string;
  readonly type: GgmlType;
  /** The slowest dimension first. */
  readonly shape: readonly number[];
}

export interface GgufLayout {
  readonly head: Uint8Array;
  /** Of each tensor, from the start of the file. */
  readonly offsets: readonly number[];
  readonly size: number;
}

const TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8 } as const;
const LIST = 9;

const aligned = (n: number): number => Math.ceil(n / ALIGNMENT) * ALIGNMENT;

export function ggufHead(pairs: readonly GgufPair[], items: readonly GgufItem[]): GgufLayout {
  const out = new Writer();
  out.u32(0x46554747);
  out.u32(3);
  out.u64(items.length);
  out.u64(pairs.length);
  for (const [key, type, value] of pairs) {
    out.string(key);
    const one = type.replace('[]', '') as keyof typeof TYPES;
    if (Array.isArray(value)) {
      out.u32(LIST);
      out.u32(TYPES[one]);
      out.u64(value.length);
      for (const v of value as readonly (number | string)[]) out.value(one, v);
    } else {
      out.u32(TYPES[one]);
      out.value(one, value as number | string | boolean);
    }
  }
  let at = 0;
  const relative = items.map(({ name, type, shape }) => {
    out.string(name);
    out.u32(shape.length);
    for (const d of [...shape].reverse()) out.u64(d);
    out.u32(type.id);
    out.u64(at);
    const offset = at;
    at += aligned(
      ggmlBytes(
        type,
        shape.reduce((n, d) => n * d, 1),
      ),
    );
    return offset;
  });
  const start = aligned(out.length);
  const head = new Uint8Array(start);
  head.set(out.bytes());
  return { head, offsets: relative.map((offset) => start + offset), size: start + at };
}

class Writer {
  length = 0;
  #bytes = new Uint8Array(1 << 10);
  readonly #text = new TextEncoder();

  #take(n: number): DataView {
    if (this.length + n > this.#bytes.byteLength) {
      const more = new Uint8Array(Math.max(2 * this.#bytes.byteLength, this.length + n));
      more.set(this.#bytes);
      this.#bytes = more;
    }
    const view = new DataView(this.#bytes.buffer, this.length, n);
    this.length += n;
    return view;
  }

  u32(n: number): void {
    this.#take(4).setUint32(0, n, true);
  }

  u64(n: number): void {
    this.#take(8).setBigUint64(0, BigInt(n), true);
  }

  string(text: string): void {
    const bytes = this.#text.encode(text);
    this.u64(bytes.byteLength);
    const at = this.length;
    this.#take(bytes.byteLength);
    this.#bytes.set(bytes, at);
  }

  value(type: keyof typeof TYPES, value: number | string | boolean): void {
    if (type === 'string') this.string(value as string);
    else if (type === 'bool') this.#take(1).setUint8(0, Number(value));
    else if (type === 'f32') this.#take(4).setFloat32(0, value as number, true);
    else if (type === 'i32') this.#take(4).setInt32(0, value as number, true);
    else this.u32(value as number);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
