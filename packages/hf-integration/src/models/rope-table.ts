// RopeTable: cos and sin of position x inverse frequency, float32 [P, D/2] each, made for as many positions as asked.
import { keep, type Runtime, type Tensor, tensor } from '@ao/core';

export class RopeTable {
  readonly #frequencies: Float32Array;
  #length = 0;
  #tables: readonly [cos: Tensor, sin: Tensor] | undefined;

  constructor(frequencies: Float32Array) {
    this.#frequencies = frequencies;
  }

  /** The tables for positions 0 .. length - 1 at least. */
  tables(rt: Runtime, length: number, device: string): readonly [cos: Tensor, sin: Tensor] {
    if (this.#tables && this.#length >= length && this.#tables[0].device === device) return this.#tables;
    this.dispose();
    const half = this.#frequencies.length;
    const cos = new Float32Array(length * half);
    const sin = new Float32Array(length * half);
    for (let p = 0; p < length; p++) {
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(p * this.#frequencies[i]!);
        cos[p * half + i] = Math.cos(angle);
        sin[p * half + i] = Math.sin(angle);
      }
    }
    const put = (values: Float32Array): Tensor => keep(tensor(rt, values, { shape: [length, half], device }));
    this.#length = length;
    this.#tables = [put(cos), put(sin)];
    return this.#tables;
  }

  dispose(): void {
    for (const t of this.#tables ?? []) t.dispose();
    this.#tables = undefined;
  }
}
