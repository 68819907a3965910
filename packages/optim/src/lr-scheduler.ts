// Learning-rate schedules with the names and formulas of transformers' get_scheduler (optimization.py). A schedule gives the
// factor of each group's first rate at step s, with w warm-up steps of n in all; all but 'constant' rise from 0 as s / w first, then
//   constant, constant_with_warmup: 1;   linear: (n - s) / (n - w);   cosine: (1 + cos(2 pi c x)) / 2, x = (s - w) / (n - w)
//   cosine_with_restarts: (1 + cos(pi (c x mod 1))) / 2;   polynomial: (lr - end)(1 - x)^p + end, over lr;   inverse_sqrt: 1 / sqrt((s + T - w) / T)
import { AoError } from '@ao/core';

/** What a schedule needs of an optimizer. */
export interface Scheduled {
  readonly paramGroups: readonly { readonly initialLr: number }[];
  setLr(lr: number, group: number): void;
}

export interface SchedulerOptions {
  readonly numWarmupSteps?: number;
  /** Steps in all; needed by linear, cosine, cosine_with_restarts and polynomial. */
  readonly numTrainingSteps?: number;
  /** cosine: half turns times two, 0.5 unless given; cosine_with_restarts: turns, 1 unless given. */
  readonly numCycles?: number;
  /** polynomial: 1e-7 and 1 unless given. */
  readonly lrEnd?: number;
  readonly power?: number;
  /** inverse_sqrt: T, by default the warm-up steps, or 10000 without. */
  readonly timescale?: number;
}

interface Facts extends Required<Omit<SchedulerOptions, 'numCycles'>> {
  readonly numCycles: number | undefined;
  /** Of the decay, 0 to 1. */
  readonly progress: number;
  readonly step: number;
  readonly initialLr: number;
}

const DECAYS = {
  constant: () => 1,
  constant_with_warmup: () => 1,
  linear: ({ progress }: Facts) => Math.max(0, 1 - progress),
  cosine: ({ progress, numCycles = 0.5 }: Facts) =>
    Math.max(0, 0.5 * (1 + Math.cos(Math.PI * numCycles * 2 * progress))),
  cosine_with_restarts: ({ progress, numCycles = 1 }: Facts) =>
    progress >= 1 ? 0 : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((numCycles * progress) % 1)))),
  polynomial: ({ progress, lrEnd, power, initialLr }: Facts) =>
    progress > 1 ? lrEnd / initialLr : ((initialLr - lrEnd) * (1 - progress) ** power + lrEnd) / initialLr,
  inverse_sqrt: ({ step, numWarmupSteps, timescale }: Facts) =>
    1 / Math.sqrt((step + timescale - numWarmupSteps) / timescale),
} as const;

export type SchedulerName = keyof typeof DECAYS;

export const schedulerNames: readonly SchedulerName[] = /*@__PURE__*/ Object.keys(DECAYS) as SchedulerName[];

const LIMITED: readonly SchedulerName[] = ['linear', 'cosine', 'cosine_with_restarts', 'polynomial'];

/** The factor of the rate at a step. */
export function scheduleFactor(
  name: SchedulerName,
  step: number,
  initialLr: number,
  options: SchedulerOptions = {},
): number {
  const { numWarmupSteps: w = 0, numTrainingSteps: n = 0, numCycles, lrEnd = 1e-7, power = 1 } = options;
  if (name !== 'constant' && step < w) return step / Math.max(1, w);
  const timescale = options.timescale ?? (w || 10_000);
  const progress = (step - w) / Math.max(1, n - w);
  const facts = {
    numWarmupSteps: w,
    numTrainingSteps: n,
    numCycles,
    lrEnd,
    power,
    timescale,
    progress,
    step,
    initialLr,
  };
  return DECAYS[name](facts);
}

/** Sets an optimizer's rates step by step, as torch's LambdaLR: at once those of step 0, then one further at each `step()`. */
export class LRScheduler {
  /** Steps made. */
  lastEpoch = 0;
  readonly #optimizer: Scheduled;
  readonly #factor: (step: number, initialLr: number) => number;

  constructor(optimizer: Scheduled, factor: (step: number, initialLr: number) => number) {
    this.#optimizer = optimizer;
    this.#factor = factor;
    this.#apply();
  }

  /** After each optimizer.step(). */
  step(): void {
    this.lastEpoch += 1;
    this.#apply();
  }

  /** The rate of each group. */
  getLastLr(): number[] {
    return this.#optimizer.paramGroups.map(({ initialLr }) => initialLr * this.#factor(this.lastEpoch, initialLr));
  }

  stateDict(): { readonly lastEpoch: number } {
    return { lastEpoch: this.lastEpoch };
  }

  loadStateDict({ lastEpoch }: { readonly lastEpoch: number }): void {
    this.lastEpoch = lastEpoch;
    this.#apply();
  }

  #apply(): void {
    for (const [i, lr] of this.getLastLr().entries()) this.#optimizer.setLr(lr, i);
  }
}

/** transformers' get_scheduler. Throws ERR_AO_CONFIG for names and numbers that no schedule has. */
export function getScheduler(name: SchedulerName, optimizer: Scheduled, options: SchedulerOptions = {}): LRScheduler {
  const { numWarmupSteps = 0, numTrainingSteps } = options;
  if (!schedulerNames.includes(name))
    throw new AoError('ERR_AO_CONFIG', `no schedule '${name}'`, { fix: `use ${schedulerNames.join(', ')}` });
  if (!(numWarmupSteps >= 0) || (LIMITED.includes(name) && !(Number(numTrainingSteps) >= numWarmupSteps)))
    throw new AoError('ERR_AO_CONFIG', `schedule '${name}': ${numWarmupSteps} warm-up steps of ${numTrainingSteps}`, {
      fix: 'give numTrainingSteps, at least numWarmupSteps',
    });
  return new LRScheduler(optimizer, (step, lr) => scheduleFactor(name, step, lr, options));
}
