// One step of SGD on one parameter (torch.optim.SGD), float32 math:
//   g += wd p;   b = g at the first step, else momentum b + (1 - dampening) g;   nesterov: g += momentum b, else g = b
//   p -= lr g
import { float32 } from '../../dtypes/index.ts';
import { AoError } from '../../errors.ts';
import { defineOp } from '../../op.ts';
import type { Tensor } from '../../tensor.ts';
import { requireDtype, requireFloat, requireShape } from '../checks.ts';
import { checkScalar, checkWritten } from './fused-adam.ts';

export interface SGDOptions {
  readonly momentum: number;
  readonly dampening: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
}

/**
 * Steps `param` in place with the gradient `grad` and the rate `lr` (float32, one element). `momentumBuffer` has the
 * parameter's shape and a float dtype, absent where momentum is 0; `step` (float32, one element) counts the steps made.
 */
export const fusedSgd_ = /*@__PURE__*/ defineOp<
  [param: Tensor, grad: Tensor, momentumBuffer: Tensor | undefined, step: Tensor, lr: Tensor, options: SGDOptions]
>('fused_sgd_', {
  mutates: [0, 2, 3],
  meta(param, grad, momentumBuffer, step, lr, { momentum, dampening, weightDecay, nesterov }) {
    const op = 'fused_sgd_';
    requireFloat(op, 'param', param);
    requireDtype(op, 'grad', grad, [param.dtype]);
    requireShape(op, 'grad', grad, param.shape);
    if (momentumBuffer !== undefined) {
      requireDtype(op, 'momentumBuffer', momentumBuffer, [param.dtype]);
      requireShape(op, 'momentumBuffer', momentumBuffer, param.shape);
    }
    checkScalar(op, 'step', step, float32);
    checkScalar(op, 'lr', lr, float32);
    checkWritten(op, { param, momentumBuffer, step });
    const known = momentum >= 0 && Number.isFinite(momentum + dampening + weightDecay);
    if (!known || momentum > 0 !== (momentumBuffer !== undefined) || (nesterov && (momentum === 0 || dampening !== 0)))
      throw new AoError('ERR_AO_CONFIG', `momentum ${momentum}, dampening ${dampening}, nesterov ${nesterov}`, {
        op,
        fix: 'momentum >= 0, with a buffer where it is above 0; nesterov needs momentum and no dampening',
      });
    return { shape: param.shape, dtype: param.dtype };
  },
});
