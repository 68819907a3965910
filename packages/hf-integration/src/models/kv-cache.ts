// StaticCache: keys and values of all positions, allocated once: per layer two tensors [B, Hkv, P, D], or of code rows.
// `pos` (int32 [B]) is how many positions of each sequence are filled; it lives on the device, so a captured step can use
// and raise it. Sequences are of any lengths: nothing is padded.
import {
  type CodeRows,
  copy_,
  type DType,
  empty,
  int32,
  keep,
  type Runtime,
  scope,
  slice,
  type Tensor,
  tensor,
  zeros,
} from '@ao/core';
import { type CacheLayout, type CacheRows, cacheLayout, type KVCacheFormat, rowElements } from './cache-layout.ts';

export interface CacheShape {
  readonly layers: number;
  readonly batch: number;
  readonly heads: number;
  readonly headDim: number;
  /** Most positions. */
  readonly length: number;
  /** What keys and values are kept in; default 'auto', which is `dtype`. */
  readonly format?: KVCacheFormat;
  readonly dtype: DType;
  /** Of `pos`. */
  readonly device: string;
  /** Of the keys and values of each layer; default `device`. */
  readonly devices?: readonly string[];
}

/** What a model reads and writes: per layer keys and values [B, Hkv, P, D], and the filled positions, int32 [B]. */
export interface KVCache {
  readonly keys: readonly Tensor[];
  readonly values: readonly Tensor[];
  readonly pos: Tensor;
  /** Where keys are code rows: what they are. */
  readonly keyRows: CodeRows | undefined;
  readonly valueRows: CodeRows | undefined;
  /** Most positions. */
  readonly length: number;
}

export class StaticCache implements KVCache {
  readonly keys: readonly Tensor[];
  readonly values: readonly Tensor[];
  readonly pos: Tensor;
  readonly length: number;
  readonly format: KVCacheFormat;
  readonly layout: CacheLayout;
  readonly #rt: Runtime;

  constructor(rt: Runtime, shape: CacheShape) {
    const { layers, batch, heads, length, headDim, format = 'auto', dtype, device, devices } = shape;
    const layout = cacheLayout(format, dtype);
    const all = (part: CacheRows): Tensor[] =>
      Array.from({ length: layers }, (_, i) => {
        const place = { dtype: part.dtype, device: devices?.[i] ?? device };
        return keep(empty(rt, [batch, heads, length, rowElements(part, headDim)], place));
      });
    this.#rt = rt;
    this.length = length;
    this.format = format;
    this.layout = layout;
    this.keys = all(layout.keys);
    this.values = all(layout.values);
    this.pos = keep(zeros(rt, [batch], { dtype: int32, device }));
  }

  get keyRows(): CodeRows | undefined {
    return this.layout.keys.rows;
  }

  get valueRows(): CodeRows | undefined {
    return this.layout.values.rows;
  }

  /** The cache of sequence b alone: views, made and freed by the caller's scope. */
  sequence(b: number): KVCache {
    const one = (t: Tensor): Tensor => slice(t, 0, b, b + 1);
    const { keyRows, valueRows, length } = this;
    return { keys: this.keys.map(one), values: this.values.map(one), pos: one(this.pos), keyRows, valueRows, length };
  }

  /** Sequence `to` becomes what sequence `from` is at its first n positions. */
  fork(from: number, to: number, n: number): void {
    const part = (t: Tensor, b: number): Tensor => slice(slice(t, 0, b, b + 1), 2, 0, n);
    scope(() => {
      for (const t of [...this.keys, ...this.values]) copy_(part(t, to), part(t, from));
    });
    this.truncate(n, to);
  }

  /** Sequence b forgets everything from position n on. */
  truncate(n: number, b = 0): void {
    scope(() => {
      copy_(slice(this.pos, 0, b, b + 1), tensor(this.#rt, [n], { dtype: int32, device: this.pos.device }));
    });
  }

  dispose(): void {
    for (const t of [...this.keys, ...this.values, this.pos]) t.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
