// GPTQ (Frantar et al. 2022, arXiv 2210.17323, algorithm 1): columns are rounded one after the other, and what each rounding lost
// is made up for by the columns that follow. With H = 2 / n X^T X, damped by percdamp of its mean diagonal, and U the upper
// Cholesky factor of H^-1:   e = (w_i - q_i) / U_ii;  w_j -= e U_ij for j > i.
// Columns after a block are brought up to date once a block, as a matrix product on the weight's device.
import { AoError, type Dense, matmul, scope, type Tensor, tensor } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import { planTensor } from '../quantize/preflight.ts';
import { isProblem } from '../quantize/trait.ts';
import type { Rules } from '../rules/rules.ts';
import type { CalibrationAlgorithm, RoundTask } from './algorithm.ts';
import { valuesOfWeight } from './fold.ts';
import { Grid } from './grid.ts';
import { inverseFactor } from './inverse-factor.ts';
import type { ObservedInput } from './statistics.ts';

export interface GptqOptions {
  /** What is added to the diagonal of H, as a share of its mean. Default 0.01. */
  readonly percdamp?: number;
  /** Columns between two updates of the rest. Default 256. */
  readonly blockSize?: number;
  /**
   * Round the columns that matter most first (by the diagonal of H). Scales are then those of the unchanged weight, and the
   * format stays as it is: no order is stored. Default false.
   */
  readonly actOrder?: boolean;
  /** Round a layer's inputs one after the other, each seeing the ones before rounded; costs a pass for each. Default false. */
  readonly sequential?: boolean;
}

/** GPTQ of every weight that `config` quantizes, whatever its kind, as long as it has codes, scales and zero points. */
export function gptq(config: AoConfig | Rules, options: GptqOptions = {}): CalibrationAlgorithm {
  const { percdamp = 0.01, blockSize = 256, actOrder = false, sequential = false } = options;
  if (!(percdamp > 0)) throw configError(`gptq: percdamp is ${percdamp}`, 'give a number above 0, e.g. 0.01');
  if (!(blockSize >= 1)) throw configError(`gptq: blockSize is ${blockSize}`, 'give a whole number, e.g. 256');
  // weights that read one input share its factor
  const known = new WeakMap<ObservedInput, Promise<Ordered>>();
  const orderedOf = (input: ObservedInput, fqn: string): Promise<Ordered> => {
    const found = known.get(input) ?? ordered(input, percdamp, actOrder, fqn);
    known.set(input, found);
    return found;
  };
  return {
    name: 'gptq',
    config,
    roundNeeds: 'gram',
    sequential,
    round: async (task) => gptqRound(task, await orderedOf(task.input as ObservedInput, task.fqn), blockSize, actOrder),
  };
}

/** The order in which columns are rounded, and U of the damped H in that order. */
interface Ordered {
  readonly order: Int32Array;
  readonly factor: Float32Array;
}

async function ordered(
  { gram, rows }: ObservedInput,
  percdamp: number,
  actOrder: boolean,
  fqn: string,
): Promise<Ordered> {
  const sums = gram as Dense;
  const values = await sums.data();
  const order = columnOrder(values, sums.shape[0] as number, actOrder);
  return { order, factor: factorOf(values, order, percdamp, rows, fqn) };
}

/** U of an input's damped Hessian, float32 [K, K]. Rejects with ERR_AO_CONFIG where that is not positive definite. */
export const hessianFactor = async (input: ObservedInput, percdamp: number, fqn: string): Promise<Float32Array> =>
  (await ordered(input, percdamp, false, fqn)).factor;

async function gptqRound(
  task: RoundTask,
  { order, factor }: Ordered,
  blockSize: number,
  actOrder: boolean,
): Promise<Tensor> {
  const { fqn, weight, plan, signal } = task;
  const [N, K] = weight.shape as [number, number];
  const nearest = scope(() => plan.quantize(weight));
  const grid = await Grid.of(nearest, plan.bits, fqn);
  const values = await valuesOfWeight(weight);
  const w = actOrder ? permuted(values, order, N) : values;
  const g = grid.format.groupSize;
  // a group's scale is chosen when its turn comes, from what its columns have become; a row's from the whole row, beforehand
  const moving = !actOrder && g < K && grid.format.table === undefined;
  const step = moving ? Math.ceil(blockSize / g) * g : blockSize;
  const codes = new Int8Array(N * K);
  for (let from = 0; from < K; from += step) {
    signal?.throwIfAborted();
    const to = Math.min(K, from + step);
    const errors = new Float32Array(N * (to - from));
    const chunk = moving ? g : to - from;
    for (let at = from; at < to; at += chunk) {
      if (moving) grid.setGroup(at / g, await groupGrid(task, w, at, Math.min(g, K - at)));
      roundColumns({ w, codes, errors, factor, order, grid, N, K }, at, Math.min(to, at + chunk), from, to);
    }
    if (to < K) await updateRest(weight, w, errors, factor, N, K, from, to);
  }
  return grid.assemble(nearest, codes);
}

/** Columns in the order of rounding. */
function columnOrder(gram: ArrayLike<number>, K: number, actOrder: boolean): Int32Array {
  const order = Int32Array.from({ length: K }, (_, c) => c);
  if (!actOrder) return order;
  return order.sort((a, b) => (gram[b * K + b] as number) - (gram[a * K + a] as number) || a - b);
}

function permuted(w: Float32Array, order: Int32Array, N: number): Float32Array {
  const K = order.length;
  return Float32Array.from({ length: N * K }, (_, i) => w[i - (i % K) + (order[i % K] as number)] as number);
}

/** U of the damped H in the order of rounding. */
function factorOf(
  gram: ArrayLike<number>,
  order: Int32Array,
  percdamp: number,
  rows: number,
  fqn: string,
): Float32Array {
  const K = order.length;
  const h = new Float64Array(K * K);
  let trace = 0;
  for (let i = 0; i < K; i++) {
    for (let j = i; j < K; j++) {
      h[i * K + j] = (2 / rows) * (gram[(order[i] as number) * K + (order[j] as number)] as number);
    }
    // a column that the data never touched: rounded to nearest
    if (h[i * K + i] === 0) h[i * K + i] = 1;
    trace += h[i * K + i] as number;
  }
  for (let i = 0; i < K; i++) h[i * K + i] = (h[i * K + i] as number) + (percdamp * trace) / K;
  const factor = inverseFactor(h, K);
  if (factor !== null) return factor;
  throw new AoError(
    'ERR_AO_CONFIG',
    `the Hessian of the input of ${fqn} is not positive definite (${rows} rows, ${K} columns)`,
    {
      op: 'gptq',
      module: fqn.replace(/\.[^.]+$/, ''),
      tensor: fqn,
      fix: `calibrate on more data, or raise percdamp above ${percdamp}`,
    },
  );
}

/** Scales and zero points of columns at .. at + g as they are now. */
async function groupGrid(task: RoundTask, w: Float32Array, at: number, g: number): Promise<Grid> {
  const { weight, config, plan, fqn } = task;
  const [N, K] = weight.shape as [number, number];
  const values = new Float32Array(N * g);
  for (let n = 0; n < N; n++) values.set(w.subarray(n * K + at, n * K + at + g), n * g);
  const { rt, dtype, device } = weight;
  const own = planTensor(rt, config, { shape: [N, g], dtype: dtype.name });
  if (isProblem(own)) throw configError(`${fqn}: ${own.problem}`, own.fix);
  const quantized = scope(() => own.quantize(tensor(rt, values, { shape: [N, g], dtype, device })));
  const grid = await Grid.of(quantized, plan.bits, fqn);
  quantized.dispose();
  return grid;
}

interface Rounding {
  readonly w: Float32Array;
  readonly codes: Int8Array;
  readonly errors: Float32Array;
  readonly factor: Float32Array;
  readonly order: Int32Array;
  readonly grid: Grid;
  readonly N: number;
  readonly K: number;
}

/** Rounds columns at .. end of the block from .. to: each row by itself, later columns of the block kept up to date. */
function roundColumns(r: Rounding, at: number, end: number, from: number, to: number): void {
  const { w, codes, errors, factor, order, grid, N, K } = r;
  const { groups } = grid;
  const { groupSize } = grid.format;
  for (let n = 0; n < N; n++) {
    const row = n * K;
    for (let i = at; i < end; i++) {
      const column = order[i] as number;
      const p = n * groups + Math.floor(column / groupSize);
      const v = w[row + i] as number;
      const code = grid.code(v, p);
      codes[row + column] = code;
      const e = (v - grid.value(code, p)) / (factor[i * K + i] as number);
      errors[n * (to - from) + i - from] = e;
      for (let j = i + 1, u = i * K + i + 1; j < to; j++, u++) {
        w[row + j] = (w[row + j] as number) - e * (factor[u] as number);
      }
    }
  }
}

/** w[:, to..] -= errors U[from..to, to..], for w [N, K]; the product runs on the weight's device. */
export async function updateRest(
  weight: Dense,
  w: Float32Array,
  errors: Float32Array,
  factor: Float32Array,
  N: number,
  K: number,
  from: number,
  to: number,
): Promise<void> {
  const { rt, device } = weight;
  const [size, rest] = [to - from, K - to];
  const u = new Float32Array(size * rest);
  for (let i = 0; i < size; i++) u.set(factor.subarray((from + i) * K + to, (from + i + 1) * K), i * rest);
  const product = scope(() =>
    matmul(tensor(rt, errors, { shape: [N, size], device }), tensor(rt, u, { shape: [size, rest], device })),
  );
  const change = await product.data();
  product.dispose();
  for (let n = 0; n < N; n++) {
    for (let j = 0; j < rest; j++) {
      const i = n * K + to + j;
      w[i] = (w[i] as number) - (change[n * rest + j] as number);
    }
  }
}
