// Calibration: algorithms that look at data before they round.
export * from './algorithm.ts';
export { type AutoRoundOptions, autoRound } from './autoround.ts';
export { type AwqOptions, awq } from './awq.ts';
export { type CalibrateOptions, type CalibrationReport, calibrate } from './calibrate.ts';
export { valuesOfWeight } from './fold.ts';
export { type GptqOptions, gptq, hessianFactor, updateRest } from './gptq.ts';
export { hqq, withHqq } from './hqq.ts';
export { type Online, type RotateOptions, rotate, rotateModel } from './rotate.ts';
export { type SmoothQuantOptions, smoothQuant } from './smoothquant.ts';
export type { ObservedInput } from './statistics.ts';
export type { Fold, ModelStructure, Residual, ValueHeads } from './structure.ts';
