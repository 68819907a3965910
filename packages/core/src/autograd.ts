// @ao/core/autograd: gradients. `autograd()` is the extension; without it nothing of this is in a bundle.

export { detectAnomaly } from './autograd/anomaly.ts';
export { autocast } from './autograd/autocast.ts';
export { type BackwardOptions, backward, grad } from './autograd/backward.ts';
export { type CheckpointOptions, checkpoint } from './autograd/checkpoint.ts';
export { autograd } from './autograd/extension.ts';
export { detach, enableGrad, isGradEnabled, isTraining, noGrad } from './autograd/grad-mode.ts';
export { type GradcheckOptions, gradcheck } from './autograd/gradcheck.ts';
export { type HookHandle, queueCallback, registerHook, registerPostAccumulateGradHook } from './autograd/hooks.ts';
export * from './autograd/ops/accumulate.ts';
export * from './autograd/ops/activation-grad.ts';
export { attentionBackward, attentionWithLse } from './autograd/ops/attention-grad.ts';
export * from './autograd/ops/dropout.ts';
export * from './autograd/ops/indexing-grad.ts';
export {
  linearCrossEntropy,
  linearCrossEntropyBackward,
  linearCrossEntropyOp,
} from './autograd/ops/linear-cross-entropy.ts';
export * from './autograd/ops/linear-grad.ts';
export { layerNormBackward, rmsNormBackward } from './autograd/ops/norm-grad.ts';
export * from './autograd/ops/softmax-grad.ts';
export * from './autograd/parameters.ts';
export { regain } from './autograd/saved.ts';
export { unbroadcast } from './autograd/unbroadcast.ts';
export { type Grads, type Vjp, type VjpContext, vjp } from './autograd/vjp.ts';
export * from './nn/init.ts';
