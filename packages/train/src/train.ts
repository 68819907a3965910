// train: the loop. At most two steps are in flight: JavaScript draws the next rows while the device works, and reads losses behind it.
import type { TrainingState } from './checkpoint.ts';
import { type Batch, IGNORE_INDEX } from './dataset.ts';
import { evaluateLoss } from './evaluate-loss.ts';
import { checkTrainOptions, type TrainLog, type TrainOptions } from './options.ts';
import { Sampler } from './sampler.ts';
import { type TrainStep, trainStep } from './train-step.ts';

const IN_FLIGHT = 2;

export interface TrainResult {
  readonly state: TrainingState;
  /** Mean loss of the last logged steps; NaN where no step was made. */
  readonly loss: number;
  readonly evalLoss: number | undefined;
  /** The signal ended it before maxSteps. */
  readonly aborted: boolean;
}

interface Done {
  readonly step: number;
  readonly loss: number;
  readonly gradNorm: number | undefined;
  readonly learningRate: number | undefined;
  /** Tokens with a loss up to here. */
  readonly tokens: number;
}

/** Trains from `resume`, or from the beginning, to `maxSteps`. Throws ERR_AO_CONFIG before any work for options that could not train. */
export async function train(options: TrainOptions): Promise<TrainResult> {
  checkTrainOptions(options);
  const { optimizer, data, scheduler, maxSteps, batchSize = 8, gradientAccumulationSteps: micro = 1 } = options;
  const { resume, evalSteps, saveSteps, signal } = options;
  const sampler = new Sampler(data.length, options);
  sampler.position = resume?.position ?? 0;
  let step = resume?.step ?? 0;
  let tokens = resume?.tokens ?? 0;
  let evalLoss: number | undefined;
  scheduler?.loadStateDict({ lastEpoch: step });
  const rows = batchSize * micro;
  const state = (): TrainingState => ({ step, position: sampler.position, tokens });
  const log = new Log(options, rows * data.blockSize, (of) => (of * rows) / data.length, step);
  const flight: Promise<Done>[] = [];
  const settle = async (most: number): Promise<void> => {
    while (flight.length > most) log.done(await flight.shift()!);
  };
  const evaluate = async (): Promise<void> => {
    if (options.evaluation === undefined) return;
    await settle(0);
    const how = { ...options, signal: undefined };
    evalLoss = (await log.outside(() => evaluateLoss(options.model, options.evaluation!, how))).loss;
    options.onLog?.({ step, epoch: (step * rows) / data.length, eval_loss: evalLoss, tokens });
  };
  const save = async (): Promise<void> => {
    await settle(0);
    await log.outside(async () => options.save?.(state()));
  };
  const run = trainStep(options, [micro, batchSize, data.blockSize]);
  try {
    while (step < maxSteps && signal?.aborted !== true) {
      const batch = await data.rows(sampler.next(rows));
      await settle(IN_FLIGHT - 1);
      step += 1;
      tokens += counted(batch);
      flight.push(begun(run, batch, { step, tokens }, options, log.wants(step)));
      scheduler?.step();
      if (step === maxSteps) break;
      if (step % (evalSteps ?? Number.POSITIVE_INFINITY) === 0) await evaluate();
      if (step % (saveSteps ?? Number.POSITIVE_INFINITY) === 0) await save();
    }
    await settle(0);
    if (step > (resume?.step ?? 0)) await save();
    if (step === maxSteps) await evaluate();
  } finally {
    await Promise.allSettled(flight);
    run.dispose();
    optimizer.zeroGrad();
  }
  return { state: state(), loss: log.loss, evalLoss, aborted: step < maxSteps };
}

/** Enqueues a step, and the reading of what it gives: in order, so before the next replay writes there. */
function begun(
  run: TrainStep,
  batch: Batch,
  at: { readonly step: number; readonly tokens: number },
  { optimizer }: TrainOptions,
  rate: boolean,
): Promise<Done> {
  const { loss, gradNorm } = run.run(batch);
  const read = Promise.all([loss.item(), gradNorm?.item(), rate ? optimizer.paramGroups[0]!.lr.item() : undefined]);
  const done = read.then(([value, norm, lr]) => ({ ...at, loss: value, gradNorm: norm, learningRate: lr }));
  loss.dispose();
  gradNorm?.dispose();
  // who awaits it later hears of a failure
  done.catch(() => {});
  return done;
}

const counted = ({ targets }: Batch): number => targets.reduce((n, t) => n + Number(t !== IGNORE_INDEX), 0);

/** Means and speeds since the last line. */
class Log {
  loss = Number.NaN;
  readonly #options: TrainOptions;
  readonly #tokensPerStep: number;
  readonly #epoch: (step: number) => number;
  readonly #every: number;
  #losses: number[] = [];
  #since = performance.now();
  readonly #first: number;

  constructor(options: TrainOptions, tokensPerStep: number, epoch: (step: number) => number, first: number) {
    this.#options = options;
    this.#tokensPerStep = tokensPerStep;
    this.#epoch = epoch;
    this.#every = options.loggingSteps ?? 10;
    this.#first = first;
  }

  wants(step: number): boolean {
    return step % this.#every === 0 || step === this.#options.maxSteps || step === this.#first + 1;
  }

  done({ step, loss, gradNorm, learningRate, tokens }: Done): void {
    this.#losses.push(loss);
    const speed = (this.#losses.length * this.#tokensPerStep * 1000) / Math.max(performance.now() - this.#since, 1e-3);
    this.#options.onStep?.({ step, loss, tokensPerSecond: speed });
    if (!this.wants(step)) return;
    this.loss = this.#losses.reduce((a, b) => a + b) / this.#losses.length;
    const line: TrainLog = {
      step,
      epoch: this.#epoch(step),
      loss: this.loss,
      ...(gradNorm === undefined ? {} : { grad_norm: gradNorm }),
      ...(learningRate === undefined ? {} : { learning_rate: learningRate }),
      tokens_per_second: speed,
      tokens,
    };
    this.#options.onLog?.(line);
    this.#losses = [];
    this.#since = performance.now();
  }

  /** Runs fn on a clock that stands still. */
  async outside<T>(fn: () => Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await fn();
    } finally {
      this.#since += performance.now() - began;
    }
  }
}
