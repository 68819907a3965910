// Wanda (Sun et al. 2023, arXiv 2306.11695): a value's score is |w| times the L2 norm of the input column that it meets, compared within
// a row. torchao's WandaSparsifier takes the squared norm and compares over the whole layer; both are here.
import type { Dense, Module } from '@ao/core';
import {
  type AoConfig,
  type CalibrateOptions,
  type CalibrationAlgorithm,
  type CalibrationReport,
  calibrate,
  type ObservedInput,
  type Rules,
  valuesOfWeight,
} from '@ao/quantization';
import { semiSparseWeight } from '../config/configs.ts';
import { maskOf, type Pattern, shownPattern } from './pattern.ts';
import { prunedWeight, valuesLike } from './pruned-weight.ts';

export interface WandaOptions {
  /** '2:4' unless given; `over: 'row'` is the paper's. */
  readonly pattern?: Pattern;
  /** What the pruned weights become: semiSparseWeight() for 2:4, else they stay plain. */
  readonly config?: AoConfig | Rules;
  /** Scores by the squared norm, as torchao has them. Default false. */
  readonly squaredNorm?: boolean;
}

/** |w| |x| for w [N, K] and sums of squares of x [K], in float32. */
export function wandaScores(w: Float32Array, squares: ArrayLike<number>, squaredNorm = false): Float32Array {
  const K = squares.length;
  const norm = Float32Array.from(squares, (s) => (squaredNorm ? s : Math.sqrt(s)));
  return w.map((v, i) => Math.abs(v) * norm[i % K]!);
}

/** Sums of squares of an input's columns. */
async function squaresOf({ gram }: ObservedInput): Promise<Float32Array> {
  const values = await (gram as Dense).data();
  const K = (gram as Dense).shape[0]!;
  return Float32Array.from({ length: K }, (_, i) => values[i * K + i]!);
}

/** Wanda as an algorithm of calibrate(). */
export function wanda({ pattern = '2:4', config, squaredNorm = false }: WandaOptions = {}): CalibrationAlgorithm {
  return {
    name: `wanda ${shownPattern(pattern)}`,
    config: config ?? (pattern === '2:4' ? semiSparseWeight() : prunedWeight()),
    roundNeeds: 'gram',
    round: async ({ weight, plan, input }) => {
      const [N, K] = weight.shape as [number, number];
      const w = await valuesOfWeight(weight);
      const mask = maskOf(wandaScores(w, await squaresOf(input as ObservedInput), squaredNorm), N, K, pattern);
      const pruned = valuesLike(
        weight,
        w.map((v, i) => v * mask[i]!),
      );
      const made = plan.quantize(pruned);
      return made;
    },
  };
}

export interface WandaSparsifierOptions {
  readonly sparsityLevel?: number;
  /** m: of each m values the lower half goes, whatever the level; 4 is known. */
  readonly semiStructuredBlockSize?: 4 | null;
}

/** torchao's WandaSparsifier: scores by the squared norm, compared over the whole layer; weights stay plain. */
export class WandaSparsifier {
  readonly algorithm: CalibrationAlgorithm;

  constructor({ sparsityLevel = 0.5, semiStructuredBlockSize = null }: WandaSparsifierOptions = {}) {
    const pattern: Pattern = semiStructuredBlockSize === null ? { sparsity: sparsityLevel, over: 'layer' } : '2:4';
    this.algorithm = wanda({ pattern, config: prunedWeight(), squaredNorm: true });
  }

  /** prepare, the runs over `data`, step and squash_mask in one. */
  sparsify<T>(
    model: Module,
    data: AsyncIterable<T> | Iterable<T>,
    options?: CalibrateOptions<T>,
  ): Promise<CalibrationReport> {
    return calibrate(model, data, this.algorithm, options);
  }
}
