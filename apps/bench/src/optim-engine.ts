// What engines that step an optimizer are asked and answer: contenders/optim.ts, optim.py.
import type { Contender } from './contender.ts';

export interface OptimSetup {
  readonly threads: number;
}

/** Steps of one float32 parameter of so many values, whose gradient and state stay from job to job. */
export interface OptimJob {
  /** A class of @ao/optim and of torchao.optim or torch.optim. */
  readonly optimizer: string;
  readonly parameters: number;
  readonly steps: number;
}

export interface OptimResult {
  /** Per step. */
  readonly seconds: number;
}

export type OptimEngine = Contender<OptimJob, OptimResult>;
