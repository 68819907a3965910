// @ao/train: datasets of tokens, checkpoints, and the loop.
export * from './checkpoint.ts';
export * from './dataset.ts';
export * from './evaluate-loss.ts';
export * from './example.ts';
export { gradientCheckpointing } from './gradient-checkpointing.ts';
export { lossSum, type TrainModel } from './model.ts';
export type { TrainOptimizer, TrainScheduler } from './optimizer.ts';
export type { TrainLog, TrainOptions } from './options.ts';
export * from './sampler.ts';
export * from './tokens.ts';
export { type TrainResult, train } from './train.ts';
export { type StepOptions, type StepOutputs, type TrainStep, trainStep } from './train-step.ts';
