// Steps of optimizers: one native call a parameter.
import * as ao from '@ao/core';
import { type Dense, type KernelEntry, kernel } from '@ao/core';
import { address, addressOr, calls } from './support.ts';

export const optimKernels = (): KernelEntry[] => [
  kernel(
    ao.fusedAdamOp,
    'cpu',
    (param, _, grad, m, v, max, mScale, vScale, maxScale, signed, unsigned, step, lr, rng, o) =>
      calls(param).fused_adam(
        address(param),
        address(grad),
        address(m),
        address(v),
        addressOr(max as Dense | undefined),
        addressOr(mScale as Dense | undefined),
        addressOr(vScale as Dense | undefined),
        addressOr(maxScale as Dense | undefined),
        addressOr(signed as Dense | undefined),
        addressOr(unsigned as Dense | undefined),
        address(step),
        address(lr),
        addressOr(rng as Dense | undefined),
        param.numel,
        param.dtype.code,
        m.dtype.code,
        signed?.numel ?? 0,
        mScale === undefined ? 1 : param.numel / mScale.numel,
        Number(o.decoupled),
        o.beta1,
        o.beta2,
        o.eps,
        o.weightDecay,
      ),
  ),
  kernel(ao.fusedSgd_, 'cpu', (param, _, grad, buffer, step, lr, o) =>
    calls(param).fused_sgd(
      address(param),
      address(grad),
      addressOr(buffer as Dense | undefined),
      address(step),
      address(lr),
      param.numel,
      param.dtype.code,
      Number(o.nesterov),
      o.momentum,
      o.dampening,
      o.weightDecay,
    ),
  ),
];
