// What `train` takes, and what it checks before any work.
import { AoError, type DType, type Tensor } from '@ao/core';
import type { TrainingState } from './checkpoint.ts';
import type { Dataset } from './dataset.ts';
import type { TrainModel } from './model.ts';
import type { TrainOptimizer, TrainScheduler } from './optimizer.ts';

/** One line of the log; names as transformers' in log_history. */
export interface TrainLog {
  readonly step: number;
  /** Epochs so far, with a fraction. */
  readonly epoch: number;
  /** Mean over the steps since the last line, in nats a token. */
  readonly loss?: number;
  readonly grad_norm?: number;
  readonly learning_rate?: number;
  readonly eval_loss?: number;
  /** Read since the last line, without the time of evaluating and saving. */
  readonly tokens_per_second?: number;
  /** Tokens with a loss so far. */
  readonly tokens: number;
}

export interface TrainOptions {
  readonly model: TrainModel;
  readonly optimizer: TrainOptimizer;
  readonly data: Dataset;
  /** Optimizer steps in all, those before a resumption included. */
  readonly maxSteps: number;
  /** Rows of a micro-batch; 8. */
  readonly batchSize?: number;
  /** Micro-batches a step; 1. */
  readonly gradientAccumulationSteps?: number;
  /** Its step follows each step of the optimizer. */
  readonly scheduler?: TrainScheduler;
  /** Gradients are scaled so that the norm of all is at most this; 1. 0 = as they are. */
  readonly maxGradNorm?: number;
  /** Instead of core's clipGradNorm_, where a norm takes more than this process's gradients: @ao/distributed's. */
  readonly clipGradNorm?: (parameters: readonly Tensor[], maxNorm: number) => Tensor;
  /** bfloat16 or float16: products and attention in it, parameters and optimizer as they are. */
  readonly autocast?: DType;
  /** Of the order of rows; 0. */
  readonly seed?: number;
  /** true. */
  readonly shuffle?: boolean;
  /** false: call by call instead of one plan a step, for debugging. */
  readonly capture?: boolean;
  /** What loadCheckpoint returned. */
  readonly resume?: TrainingState;
  readonly evaluation?: Dataset;
  /** Steps between evaluations; without it at the end alone. */
  readonly evalSteps?: number;
  /** 10. */
  readonly loggingSteps?: number;
  /** Steps between calls of `save`; without it at the end and on abort alone. */
  readonly saveSteps?: number;
  save?(state: TrainingState): Promise<void>;
  onLog?(line: TrainLog): void;
  /** After each step, once its loss is known. */
  onStep?(progress: { readonly step: number; readonly loss: number; readonly tokensPerSecond: number }): void;
  /** Ends after the steps that were begun, and saves. */
  readonly signal?: AbortSignal;
}

const bad = (problem: string, fix: string): AoError => new AoError('ERR_AO_CONFIG', problem, { op: 'train', fix });

/** Throws ERR_AO_CONFIG for what could not train. */
export function checkTrainOptions(options: TrainOptions): void {
  const { model, optimizer, data, maxSteps, evaluation, resume } = options;
  const counts = { maxSteps, batchSize: options.batchSize ?? 8 };
  const optional = ['gradientAccumulationSteps', 'evalSteps', 'loggingSteps', 'saveSteps'] as const;
  for (const [name, value] of [...Object.entries(counts), ...optional.map((n) => [n, options[n] ?? 1] as const)])
    if (!(Number.isInteger(value) && value > 0)) throw bad(`${name} is ${value}`, 'give a whole number above 0');
  const { maxGradNorm = 1 } = options;
  if (!(maxGradNorm >= 0))
    throw bad(`maxGradNorm is ${maxGradNorm}`, 'give a number from 0 up; 0 leaves gradients as they are');
  const params: readonly Tensor[] = optimizer.paramGroups.flatMap((g) => g.params);
  const frozen = params.filter((p) => !p.requiresGrad).length;
  if (params.length === 0 || frozen > 0)
    throw bad(
      `${frozen} of the optimizer's ${params.length} parameters require no gradient`,
      'load the model with { trainable: true }, or set requiresGrad, and give the optimizer what trains',
    );
  for (const { blockSize } of [data, ...(evaluation === undefined ? [] : [evaluation])])
    if (blockSize > (model.maxPositions ?? Number.POSITIVE_INFINITY))
      throw bad(`rows of ${blockSize} tokens; the model has ${model.maxPositions} positions`, 'make blocks shorter');
  if (resume !== undefined && resume.step > maxSteps)
    throw bad(`the checkpoint is of step ${resume.step}, maxSteps is ${maxSteps}`, 'give more steps');
}
