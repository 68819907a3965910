// StaticCache: keys and values of all positions, allocated once: per layer two tensors [B, Hkv, P, D].
// `pos` (int32 [1]) is how many positions are filled; it lives on the device, so a captured step can use and raise it.
import {
  type CreateOptions,
  copy_,
  type DType,
  empty,
  int32,
  keep,
  type Runtime,
  type Tensor,
  tensor,
  zeros,
} from '@ao/core';

export interface CacheShape {
  readonly layers: number;
  readonly batch: number;
  readonly heads: number;
  readonly headDim: number;
  /** Most positions. */
  readonly length: number;
  readonly dtype: DType;
  readonly device: string;
}

export class StaticCache {
  readonly keys: readonly Tensor[];
  readonly values: readonly Tensor[];
  readonly pos: Tensor;
  readonly length: number;
  readonly #rt: Runtime;

  constructor(rt: Runtime, shape: CacheShape) {
    const { layers, batch, heads, length, headDim, dtype, device } = shape;
    const options: CreateOptions = { dtype, device };
    const one = (): Tensor => keep(empty(rt, [batch, heads, length, headDim], options));
    this.#rt = rt;
    this.length = length;
    this.keys = Array.from({ length: layers }, one);
    this.values = Array.from({ length: layers }, one);
    this.pos = keep(zeros(rt, [1], { dtype: int32, device }));
  }

  /** Forgets everything from position n on. */
  truncate(n: number): void {
    const to = tensor(this.#rt, [n], { dtype: int32, device: this.pos.device });
    copy_(this.pos, to);
    to.dispose();
  }

  dispose(): void {
    for (const t of [...this.keys, ...this.values, this.pos]) t.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
