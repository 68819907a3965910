// torch.optim.SGD with momentum, dampening, Nesterov's form and weight decay; one fused op a parameter (core's fusedSgd_).
import { AoError, fusedSgd_, ones, type Tensor, zeros } from '@ao/core';
import { type GroupInput, Optimizer, type ParamGroup, type ParamState } from './optimizer.ts';
import { counter } from './state/zeros.ts';

export interface SGDGroup {
  readonly momentum: number;
  readonly dampening: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
}

export interface SGDOptions extends Partial<SGDGroup> {
  /** 1e-3 */
  readonly lr?: number;
}

export class SGD extends Optimizer<SGDGroup> {
  constructor(params: Iterable<Tensor> | Iterable<GroupInput<SGDGroup>>, options: SGDOptions = {}) {
    const { lr = 1e-3, momentum = 0, dampening = 0, weightDecay = 0, nesterov = false } = options;
    super(params, lr, { momentum, dampening, weightDecay, nesterov });
  }

  protected check({ momentum, dampening, weightDecay, nesterov }: SGDGroup): void {
    const known = momentum >= 0 && Number.isFinite(momentum + dampening + weightDecay);
    if (known && !(nesterov && (momentum === 0 || dampening !== 0))) return;
    throw new AoError('ERR_AO_CONFIG', `momentum ${momentum}, dampening ${dampening}, nesterov ${nesterov}`, {
      fix: 'momentum >= 0; nesterov needs momentum and no dampening',
    });
  }

  protected newState(p: Tensor, { momentum }: ParamGroup<SGDGroup>): ParamState {
    const { rt, shape, dtype, device } = p;
    const step = counter(p);
    return momentum === 0 ? { step } : { step, momentum_buffer: zeros(rt, shape, { dtype, device }) };
  }

  protected update(p: Tensor, grad: Tensor, state: ParamState, group: ParamGroup<SGDGroup>): void {
    const { momentum, dampening, weightDecay, nesterov } = group;
    fusedSgd_(p, grad, state['momentum_buffer'], state['step']!, group.lr, {
      momentum,
      dampening,
      weightDecay,
      nesterov,
    });
  }

  /** torch counts no steps of SGD: a momentum buffer without `step` has seen one. */
  override async loadStateDict(dict: ReadonlyMap<string, Tensor>): Promise<void> {
    const counted = new Map(dict);
    for (const [name, buffer] of dict) {
      const step = name.replace(/momentum_buffer$/, 'step');
      if (!counted.has(step)) counted.set(step, ones(buffer.rt, [], { device: buffer.device }));
    }
    await super.loadStateDict(counted);
  }
}
