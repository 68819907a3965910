export * from './attention.ts';
export * from './binary.ts';
export { contiguous, contiguousOp } from './contiguous.ts';
export * from './copy.ts';
export * from './embedding.ts';
export * from './experts.ts';
export { halvedSum } from './halved-sum.ts';
export * from './linear-weight.ts';
export * from './matmul.ts';
export * from './norm.ts';
export * from './optim/index.ts';
export {
  type LogitOptions,
  type LogitTensors,
  needsHistory,
  processLogits_,
  processLogitsOp,
} from './process-logits.ts';
export * from './quant/index.ts';
export { viewDtype } from './quant/view-dtype.ts';
export * from './reduce.ts';
export * from './sample.ts';
export * from './softmax.ts';
export * from './unary.ts';
export * from './views.ts';
