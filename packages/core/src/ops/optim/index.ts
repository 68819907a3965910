// Steps of optimizers, fused: ops of core so that backends can have kernels for them; @ao/optim brings the reference kernels.
export {
  type AdamMoment,
  type AdamOptions,
  type AdamState,
  fusedAdam_,
  fusedAdamOp,
} from './fused-adam.ts';
export { fusedSgd_, type SGDOptions } from './fused-sgd.ts';
