// What the loop wants of an optimizer and of a schedule; @ao/optim has both.
import type { Dense, Tensor } from '@ao/core';

export interface TrainOptimizer {
  readonly paramGroups: readonly { readonly params: readonly Tensor[]; readonly lr: Dense }[];
  /** Makes the state of all parameters, so that a captured step finds it. */
  initState(): void;
  step(): void;
  zeroGrad(): void;
  /** State by name; its tensors may be kinds. */
  stateDict(): ReadonlyMap<string, Tensor>;
  /** Writes into the state in place. */
  loadStateDict(dict: ReadonlyMap<string, Tensor>): void | Promise<void>;
}

export interface TrainScheduler {
  /** Sets the rates of the next step. */
  step(): void;
  loadStateDict(state: { readonly lastEpoch: number }): void;
}
