// PAT (torchao.prototype.pat): pruning while training by proximal steps. After an optimizer's step each group of a weight shrinks by
// lambda gamma tau / norm, to exactly 0 where that is at least 1; gamma is the sum of the learning rates so far.
//   ProxLasso       groups are single values: tau = 1, norm = |w|
//   ProxGroupLasso  groups are rows, columns or tiles: tau = sqrt(values of a group), norm = its L2 norm
//   semiSparseConstraint  of each four values of a row, or of each tile, those of largest magnitude stay
import {
  AoError,
  abs,
  cast,
  copy_,
  div,
  expand,
  keep,
  maximum,
  mul,
  ne,
  noGrad,
  reshape,
  scope,
  sqrt,
  sub,
  sum,
  type Tensor,
} from '@ao/core';
import { pruneTile4x4, sparse24Compress, sparse24Expand } from '../sparse24/ops.ts';

export interface ProxMap {
  /** w [N, K] after the step, for the shrinkage gamma. */
  apply(w: Tensor, gamma: number): Tensor;
}

/** max(1 - t / norm, 0); a norm of 0 gives 0. */
const shrink = (norm: Tensor, t: number): Tensor => maximum(sub(1, div(t, maximum(norm, 1e-38))), 0);

export const proxLasso = (regLambda: number): ProxMap => ({
  apply: (w, gamma) => mul(w, cast(shrink(abs(w), regLambda * gamma), w.dtype)),
});

/** Groups: 'row', 'column', or tiles of B x B. */
export function proxGroupLasso(regLambda: number, group: 'row' | 'column' | number): ProxMap {
  return {
    apply(w, gamma) {
      const [N, K] = w.shape as [number, number];
      const [h, b] = group === 'row' ? [1, K] : group === 'column' ? [N, 1] : [group, group];
      if (N % h !== 0 || K % b !== 0) {
        throw new AoError('ERR_AO_SHAPE', `[${w.shape}] cannot be cut into groups of [${h}, ${b}]`, {
          op: 'proxGroupLasso',
          fix: 'take a size that divides both dimensions',
        });
      }
      const grouped = reshape(w, [N / h, h, K / b, b]);
      const norm = sqrt(sum(sum(mul(grouped, grouped), 3, true), 1, true));
      const factor = shrink(norm, regLambda * gamma * Math.sqrt(h * b));
      return reshape(mul(grouped, cast(expand(factor, grouped.shape), w.dtype)), w.shape);
    },
  };
}

/** 2:4 by magnitude, or `both`: by 4 x 4 tiles, so that the transpose is 2:4 too. */
export const semiSparseConstraint = ({ both = false } = {}): ProxMap => ({
  apply: (w) => (both ? pruneTile4x4(w, 'largest_abs_values_greedy') : sparse24Expand(...sparse24Compress(w))),
});

export interface PruneGroup {
  readonly params: readonly Tensor[];
  readonly prox: ProxMap;
}

export interface PruneOptions {
  /** Steps before the first proximal one. */
  readonly warmupSteps?: number;
  /** From this step on zeros stay where they are and the rest trains on. */
  readonly healingStartStep?: number;
}

interface Stepping {
  step(): void;
}

/** An optimizer whose steps prune: torchao's PruneOptimizer. `lr` is the rate that the shrinkage grows by. */
export class PruneOptimizer {
  readonly base: Stepping;
  readonly groups: readonly PruneGroup[];
  gamma = 0;
  numSteps = 0;
  readonly #options: Required<PruneOptions>;
  readonly #masks = new Map<Tensor, Tensor>();

  constructor(
    base: Stepping,
    groups: readonly PruneGroup[],
    { warmupSteps = 0, healingStartStep = Infinity }: PruneOptions = {},
  ) {
    this.base = base;
    this.groups = groups;
    if (!(healingStartStep > warmupSteps)) {
      throw new AoError('ERR_AO_CONFIG', `healing begins at step ${healingStartStep}, pruning at ${warmupSteps}`, {
        op: 'PruneOptimizer',
        fix: 'give a healingStartStep above warmupSteps',
      });
    }
    this.#options = { warmupSteps, healingStartStep };
  }

  step(lr: number): void {
    this.base.step();
    const { warmupSteps, healingStartStep } = this.#options;
    const heals = this.numSteps >= healingStartStep;
    if (this.numSteps >= warmupSteps) {
      this.gamma += lr;
      for (const { params, prox } of this.groups) for (const p of params) this.#prune(p, prox, heals);
    }
    this.numSteps += 1;
  }

  #prune(p: Tensor, prox: ProxMap, heals: boolean): void {
    noGrad(() =>
      scope(() => {
        const mask = this.#masks.get(p);
        if (heals && mask !== undefined) copy_(p, mul(p, mask));
        else copy_(p, prox.apply(p, this.gamma));
      }),
    );
    if (this.numSteps + 1 === this.#options.healingStartStep)
      this.#masks.set(p, keep(noGrad(() => scope(() => cast(ne(p, 0), p.dtype)))));
  }
}
