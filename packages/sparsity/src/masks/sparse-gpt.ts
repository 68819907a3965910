// SparseGPT (Frantar and Alistarh 2023, arXiv 2301.00774, algorithm 1): columns are pruned one after the other, and what each loses is
// made up for by the columns that follow. With U the upper Cholesky factor of the inverse of the damped Hessian, the score of a value
// is w^2 / U_ii^2 as it is when its group's (or block's) turn comes; e = (w_i - q_i) / U_ii, w_j -= e U_ij for j > i.
import type { Tensor } from '@ao/core';
import {
  type AoConfig,
  type CalibrationAlgorithm,
  hessianFactor,
  type ObservedInput,
  type RoundTask,
  type Rules,
  updateRest,
  valuesOfWeight,
} from '@ao/quantization';
import { semiSparseWeight } from '../config/configs.ts';
import { maskOf, type Pattern, shownPattern } from './pattern.ts';
import { prunedWeight, valuesLike } from './pruned-weight.ts';

export interface SparseGptOptions {
  readonly pattern?: Pattern;
  /** What the pruned weights become: semiSparseWeight() for 2:4, else they stay plain. */
  readonly config?: AoConfig | Rules;
  /** What is added to the Hessian's diagonal, as a share of its mean. Default 0.01. */
  readonly percdamp?: number;
  /** Columns whose mask is found at once where the pattern is no 2:4, and between two updates of the rest. Default 128. */
  readonly blockSize?: number;
  /** Prunes a layer's inputs one after the other, each seeing the ones before pruned; costs a pass for each. Default false. */
  readonly sequential?: boolean;
}

/** SparseGPT as an algorithm of calibrate(). */
export function sparseGpt(options: SparseGptOptions = {}): CalibrationAlgorithm {
  const { pattern = '2:4', config, percdamp = 0.01, blockSize = 128, sequential = false } = options;
  const known = new WeakMap<ObservedInput, Promise<Float32Array>>();
  const factorOf = (input: ObservedInput, fqn: string): Promise<Float32Array> => {
    const found = known.get(input) ?? hessianFactor(input, percdamp, fqn);
    known.set(input, found);
    return found;
  };
  return {
    name: `sparseGpt ${shownPattern(pattern)}`,
    config: config ?? (pattern === '2:4' ? semiSparseWeight() : prunedWeight()),
    roundNeeds: 'gram',
    sequential,
    round: async (task) => pruned(task, await factorOf(task.input as ObservedInput, task.fqn), pattern, blockSize),
  };
}

async function pruned(
  { weight, plan, signal }: RoundTask,
  factor: Float32Array,
  pattern: Pattern,
  blockSize: number,
): Promise<Tensor> {
  const [N, K] = weight.shape as [number, number];
  const w = await valuesOfWeight(weight);
  const step = pattern === '2:4' ? Math.ceil(blockSize / 4) * 4 : blockSize;
  for (let from = 0; from < K; from += step) {
    signal?.throwIfAborted();
    const to = Math.min(K, from + step);
    const errors = new Float32Array(N * (to - from));
    const width = pattern === '2:4' ? 4 : to - from;
    for (let at = from; at < to; at += width) {
      const mask = groupMask(w, factor, N, K, at, at + width, pattern);
      pruneColumns(w, factor, errors, mask, N, K, at, at + width, from, to);
    }
    if (to < K) await updateRest(weight, w, errors, factor, N, K, from, to);
  }
  return plan.quantize(valuesLike(weight, w));
}

/** 1 = kept, [N, end - at], by the values as they are now. */
function groupMask(
  w: Float32Array,
  factor: Float32Array,
  N: number,
  K: number,
  at: number,
  end: number,
  pattern: Pattern,
): Uint8Array {
  const width = end - at;
  const scores = new Float32Array(N * width);
  for (let n = 0; n < N; n++)
    for (let i = at; i < end; i++) scores[n * width + i - at] = (w[n * K + i]! / factor[i * K + i]!) ** 2;
  return maskOf(scores, N, width, pattern);
}

function pruneColumns(
  w: Float32Array,
  factor: Float32Array,
  errors: Float32Array,
  mask: Uint8Array,
  N: number,
  K: number,
  at: number,
  end: number,
  from: number,
  to: number,
): void {
  for (let n = 0; n < N; n++) {
    for (let i = at; i < end; i++) {
      if (mask[n * (end - at) + i - at] === 1) continue;
      const e = w[n * K + i]! / factor[i * K + i]!;
      errors[n * (to - from) + i - from] = e;
      w[n * K + i] = 0;
      for (let j = i + 1; j < to; j++) w[n * K + j]! -= e * factor[i * K + j]!;
    }
  }
}
