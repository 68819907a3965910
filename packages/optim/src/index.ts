// @ao/optim: optimizers with torchao's and torch's names and numbers, their state in 8 bits, 4 bits, fp8 or floats.
export * from './adam.ts';
export * from './cpu-offload.ts';
export * from './extension.ts';
export * from './lr-scheduler.ts';
export * from './optimizer.ts';
export { loadOptimizer, saveOptimizer } from './serialize.ts';
export * from './sgd.ts';
export { qmapOf } from './state/qmap.ts';
export {
  type OptimState4bit,
  type OptimState8bit,
  type OptimStateAttrs,
  type OptimStateFp8,
  optimState4bitKind,
  optimState8bitKind,
  optimStateFp8Kind,
} from './state/state-kinds.ts';
export { MIN_QUANTIZED, type StateForm } from './state/zeros.ts';
