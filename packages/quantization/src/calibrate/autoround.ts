// AutoRound (Cheng et al. 2023, "Optimize Weight Rounding via Signed Gradient Descent", arXiv 2309.05516): a block's weights are
// rounded together, by offsets and ranges (learned-rounding.ts) that minimise the squared error of the block's output,
//   p <- p - lr (1 - t / T) sign(dL / dp)  for t = 0 .. T - 1.
// The step is kept whose loss, over what the scheme's own rounding loses on the same batches, is least; so none is worse than that.
import { cast, float32, keep, type Module, mean, mul, ones, scope, sub, type Tensor } from '@ao/core';
import { backward, detach, noGrad, zeroGrad } from '@ao/core/autograd';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import type { Rules } from '../rules/rules.ts';
import { type BlockTask, baseAlgorithm, type CalibrationAlgorithm } from './algorithm.ts';
import { LearnedRounding } from './learned-rounding.ts';

export interface AutoRoundOptions {
  /** Steps for each block. Default 200. */
  readonly iters?: number;
  /** The first step of offsets; falls to 0 in a line. Default 1 / iters. */
  readonly lr?: number;
  /** The same of the factors of ranges. Default lr. */
  readonly minmaxLr?: number;
  /** Batches of the data in a step. Default 1. */
  readonly batchSize?: number;
}

/**
 * AutoRound of every weight that `config` quantizes to evenly spaced integers (int4, intx, int8 weight-only). The runtime needs
 * autograd() of @ao/core/autograd: ERR_AO_CONFIG before any work without it.
 */
export function autoRound(config: AoConfig | Rules, options: AutoRoundOptions = {}): CalibrationAlgorithm {
  const { iters = 200, batchSize = 1 } = options;
  if (!(iters >= 1)) throw configError(`autoRound: iters is ${iters}`, 'give a whole number, e.g. 200');
  if (!(batchSize >= 1)) throw configError(`autoRound: batchSize is ${batchSize}`, 'give a whole number, e.g. 1');
  const { lr = 1 / iters } = options;
  const { minmaxLr = lr } = options;
  return {
    ...baseAlgorithm(config),
    name: 'autoround',
    prepare: async (model) => requireAutograd(model),
    roundBlock: (task) => roundBlock(task, { iters, batchSize, lr, minmaxLr }),
  };
}

/** Setting requiresGrad throws where the runtime has no tape. */
function requireAutograd(model: Module): undefined {
  const [any] = model.parameters();
  if (any === undefined) return;
  const leaf = ones(any.rt, [1], { device: any.device });
  try {
    leaf.requiresGrad = true;
  } finally {
    leaf.dispose();
  }
}

async function roundBlock(task: BlockTask, options: Required<AutoRoundOptions>): Promise<readonly Tensor[]> {
  const roundings: LearnedRounding[] = [];
  const wanted: Tensor[] = [];
  try {
    for (const weight of task.weights) roundings.push(await LearnedRounding.of(weight));
    for (let i = 0; i < task.batches; i++) task.run(i, undefined, (y) => wanted.push(keep(cast(detach(y), float32))));
    await task.sync();
    await learn(task, roundings, wanted, options);
    const made: Tensor[] = [];
    for (const r of roundings) made.push(await r.assemble());
    return made;
  } finally {
    for (const t of [...roundings, ...wanted]) t.dispose();
  }
}

async function learn(
  task: BlockTask,
  roundings: readonly LearnedRounding[],
  wanted: readonly Tensor[],
  { iters, batchSize, lr, minmaxLr }: Required<AutoRoundOptions>,
): Promise<void> {
  const atFirst = await lossesOfStart(task, roundings, wanted);
  let least = 1;
  for (let t = 0; t < iters; t++) {
    task.signal?.throwIfAborted();
    const batches = Array.from({ length: batchSize }, (_, j) => (t * batchSize + j) % task.batches);
    const losses = scope(() => gradientsOf(task, roundings, wanted, batches));
    let [sum, first] = [0, 0];
    for (const [j, loss] of losses.entries()) {
      sum += await loss.item();
      first += atFirst[batches[j] as number] as number;
      loss.dispose();
    }
    if (sum / first < least) {
      least = sum / first;
      for (const r of roundings) r.keepBest();
    }
    for (const r of roundings) r.step_(lr * (1 - t / iters), minmaxLr * (1 - t / iters));
  }
}

/** What the scheme's own rounding loses, batch by batch. */
async function lossesOfStart(
  task: BlockTask,
  roundings: readonly LearnedRounding[],
  wanted: readonly Tensor[],
): Promise<number[]> {
  const losses: Tensor[] = [];
  scope(() => {
    const values = roundings.map((r) => noGrad(() => r.values()));
    for (const [i, y] of wanted.entries()) task.run(i, values, (out) => losses.push(keep(squaredError(out, y))));
  });
  const found: number[] = [];
  for (const loss of losses) {
    found.push(await loss.item());
    loss.dispose();
  }
  return found;
}

/** Gives every rounding the gradient of the losses on some batches, which it returns. */
function gradientsOf(
  task: BlockTask,
  roundings: readonly LearnedRounding[],
  wanted: readonly Tensor[],
  batches: readonly number[],
): Tensor[] {
  const rounded = roundings.map((r) => r.values());
  const leaves = rounded.map((v) => {
    const leaf = detach(v);
    leaf.requiresGrad = true;
    return leaf;
  });
  const losses: Tensor[] = [];
  for (const i of batches) {
    task.run(i, leaves, (out) => {
      const loss = keep(squaredError(out, wanted[i] as Tensor));
      losses.push(loss);
      backward(loss);
    });
  }
  for (const [k, { grad }] of leaves.entries()) if (grad !== null) backward(rounded[k] as Tensor, { gradient: grad });
  zeroGrad(leaves);
  return losses;
}

function squaredError(y: Tensor, wanted: Tensor): Tensor {
  const off = sub(cast(y, float32), wanted);
  return mean(mul(off, off));
}
