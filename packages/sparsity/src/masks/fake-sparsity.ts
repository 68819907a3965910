// applyFakeSparsity and WeightNormSparsifier: weights are pruned by their own size and stay plain.
import { AoError, cast, type Dense, dequantize, type Module, mul, ne, type Tensor, unpackedOf } from '@ao/core';
import { type FilterFn, isLinear, selectWeights } from '@ao/quantization';
import { semiSparseWeight } from '../config/configs.ts';
import { sparse24Tensor } from '../sparse24/sparse24-tensor.ts';
import { replacePruned, valuesLike } from './pruned-weight.ts';

/** The weights that a filter chooses, each once. */
export const chosenWeights = (
  model: Module,
  filterFn: FilterFn = isLinear,
): readonly (readonly [fqn: string, weight: Tensor])[] =>
  selectWeights(model, semiSparseWeight(), [], filterFn)
    .decisions.filter((d) => d.config !== null)
    .map((d) => [d.names[0] as string, d.weight] as const);

/** Sets of each four neighbours in a row of every Linear's weight the two smallest to 0, in place. */
export function applyFakeSparsity(model: Module, { filterFn }: { readonly filterFn?: FilterFn } = {}): void {
  for (const [, weight] of chosenWeights(model, filterFn)) {
    const plain = unpackedOf(weight) as Dense;
    replacePruned(model, weight, () => {
      const w = dequantize(plain) as Dense;
      return mul(w, cast(ne(dequantize(sparse24Tensor(w)), 0), w.dtype));
    });
  }
}

export interface WeightNormOptions {
  /** Share of blocks that lose values. */
  readonly sparsityLevel?: number;
  readonly sparseBlockShape?: readonly [rows: number, columns: number];
  /** How many values such a block loses; all unless given. */
  readonly zerosPerBlock?: number;
  /** Sums |w| or w^2. */
  readonly norm?: 1 | 2;
}

/** Order of indices by score, the lowest first, the first of equals first. */
const ascending = (scores: ArrayLike<number>): number[] =>
  Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[a]! - scores[b]! || a - b);

/** torchao's WeightNormSparsifier: blocks of the smallest mean norm lose their smallest values. */
export class WeightNormSparsifier {
  readonly options: Required<WeightNormOptions>;
  readonly masks: Map<string, Uint8Array> = new Map();
  #model: Module | undefined;
  #filterFn: FilterFn | undefined;

  constructor({ sparsityLevel = 0.5, sparseBlockShape = [1, 4], zerosPerBlock, norm = 2 }: WeightNormOptions = {}) {
    const size = sparseBlockShape[0] * sparseBlockShape[1];
    const zeros = zerosPerBlock ?? size;
    if (!(size >= 1) || !(zeros >= 0 && zeros <= size) || !(sparsityLevel >= 0 && sparsityLevel <= 1)) {
      throw new AoError(
        'ERR_AO_CONFIG',
        `WeightNormSparsifier: level ${sparsityLevel}, blocks of [${sparseBlockShape}], ${zeros} zeros in each`,
        { fix: 'give a level from 0 to 1 and at most as many zeros as a block has values' },
      );
    }
    this.options = { sparsityLevel, sparseBlockShape, zerosPerBlock: zeros, norm };
  }

  /** 1 = kept, for values [N, K]. */
  maskOf(values: ArrayLike<number>, N: number, K: number): Uint8Array {
    const { sparsityLevel, sparseBlockShape, zerosPerBlock, norm } = this.options;
    const [h, w] = sparseBlockShape;
    const [down, across] = [Math.ceil(N / h), Math.ceil(K / w)];
    const score = (i: number): number => (norm === 1 ? Math.abs(values[i]!) : values[i]! ** 2);
    const members = Array.from({ length: down * across }, (_, b) => {
      const [r, c] = [Math.floor(b / across) * h, (b % across) * w];
      const found: number[] = [];
      for (let i = r; i < Math.min(N, r + h); i++) for (let j = c; j < Math.min(K, c + w); j++) found.push(i * K + j);
      return found;
    });
    const means = members.map((m) => m.reduce((sum, i) => sum + score(i), 0) / m.length);
    const share = Math.round(sparsityLevel * means.length);
    const count =
      sparsityLevel >= 1 ? means.length : sparsityLevel <= 0 ? 0 : Math.max(0, Math.min(means.length - 1, share));
    const mask = new Uint8Array(N * K).fill(1);
    for (const b of ascending(means).slice(0, count)) {
      const own = members[b]!;
      for (const i of ascending(own.map(score)).slice(0, zerosPerBlock)) mask[own[i]!] = 0;
    }
    return mask;
  }

  prepare(model: Module, filterFn?: FilterFn): void {
    this.#model = model;
    this.#filterFn = filterFn;
    this.masks.clear();
  }

  /** Finds the masks of the weights as they are now. */
  async step(): Promise<void> {
    if (this.#model === undefined)
      throw new AoError('ERR_AO_CONFIG', 'WeightNormSparsifier has no model', { fix: 'call prepare(model) first' });
    for (const [fqn, weight] of chosenWeights(this.#model, this.#filterFn)) {
      const [N, K] = weight.shape as [number, number];
      this.masks.set(fqn, this.maskOf(await weight.data(), N, K));
    }
  }

  /** Prunes the weights by the masks, for good. */
  squashMask(): void {
    for (const [fqn, weight] of chosenWeights(this.#model as Module, this.#filterFn)) {
      const mask = this.masks.get(fqn);
      if (mask === undefined) continue;
      const plain = unpackedOf(weight) as Dense;
      replacePruned(this.#model as Module, weight, () =>
        mul(dequantize(plain), valuesLike(weight, Float32Array.from(mask))),
      );
    }
  }
}
