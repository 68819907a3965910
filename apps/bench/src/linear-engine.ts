// What engines that multiply by one quantized weight are asked and answer: contenders/linear.ts, ort.ts.
import type { Contender } from './contender.ts';

export interface LinearSetup {
  readonly threads: number;
}

/** y [m, n] = x [m, k] * w^T, so many times over; x, w and y stay where they are. */
export interface LinearJob {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly group: number;
  /** Weights have zero points. */
  readonly zeroPoints: boolean;
  readonly rounds: number;
}

export interface LinearResult {
  /** Per multiplication. */
  readonly seconds: number;
}

export type LinearEngine = Contender<LinearJob, LinearResult>;
