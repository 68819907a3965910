// RopeTable: cos and sin of position x inverse frequency times the attention factor, float32 [P, R/2] each, made for as many
// positions as asked, on each device that asks. LongRoPE has two tables: a sequence is read by the one of its greatest length, all of it.
import { keep, type Runtime, type Tensor, tensor } from '@ao/core';
import { inverseFrequencies, type RopeParameters } from '../config/rope.ts';

export type Tables = readonly [cos: Tensor, sin: Tensor];

interface Made {
  readonly length: number;
  readonly tables: Tables;
}

export class RopeTable {
  readonly #rope: RopeParameters;
  readonly #dim: number;
  readonly #made = new Map<string, Made>();

  /** `dim`: values of a head that are rotated. */
  constructor(rope: RopeParameters, dim: number) {
    this.#rope = rope;
    this.#dim = dim;
  }

  /** The tables of a sequence that may grow to `length` positions. */
  tables(rt: Runtime, length: number, device: string): Tables {
    const rope = this.#rope;
    const long = rope.type === 'longrope' && length > rope.originalMaxPositionEmbeddings;
    const form = `${long ? 'long' : 'short'} ${device}`;
    const made = this.#made.get(form);
    if (made && made.length >= length) return made.tables;
    const tables = this.#make(rt, length, device);
    this.#made.set(form, { length, tables });
    for (const t of made?.tables ?? []) t.dispose();
    return tables;
  }

  #make(rt: Runtime, length: number, device: string): Tables {
    const frequencies = inverseFrequencies(this.#rope, this.#dim, length);
    const factor = 'attentionFactor' in this.#rope ? this.#rope.attentionFactor : 1;
    const half = frequencies.length;
    const cos = new Float32Array(length * half);
    const sin = new Float32Array(length * half);
    for (let p = 0; p < length; p++) {
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(p * frequencies[i]!);
        cos[p * half + i] = Math.fround(Math.cos(angle)) * factor;
        sin[p * half + i] = Math.fround(Math.sin(angle)) * factor;
      }
    }
    const put = (values: Float32Array): Tensor => keep(tensor(rt, values, { shape: [length, half], device }));
    return [put(cos), put(sin)];
  }

  dispose(): void {
    for (const { tables } of this.#made.values()) for (const t of tables) t.dispose();
    this.#made.clear();
  }
}
