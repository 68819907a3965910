// Scales of weights found ahead: after the optimizer's step, in one go, instead of at each cast.
import { AoError, copy_, type Dense, isWrapped, type Module, scope, type Tensor } from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import type { Float8LinearConfig } from './config/float8-linear-config.ts';
import { weightScale } from './float8-scheme.ts';
import { trainingTensors } from './swap-linears.ts';
import type { TrainingTensor } from './training-tensor.ts';

/** Of the weight's memory, or of what this rank has of it. */
const versionOf = ({ weight }: TrainingTensor): number =>
  ((isWrapped(weight) ? Object.values(weight.held)[0] : weight) as Dense).storage.version;

/**
 * torchao's precompute_float8_dynamic_scale_for_fsdp: call it after every optimizer.step(), inside a captured step too. It is for layers
 * whose config has enableFsdpFloat8AllGather; returns how many there are.
 */
export function precomputeFloat8DynamicScale(model: Module): number {
  const found = trainingTensors(model).filter(([, t]) => t.scale !== undefined);
  noGrad(() =>
    scope(() => {
      for (const [, t] of found) {
        copy_(t.scale!, weightScale(t.weight, t.attrs.config as Float8LinearConfig));
        t.attrs.state.version = versionOf(t);
      }
    }),
  );
  return found.length;
}

/** The scale; throws ERR_AO_STREAM where the weight was changed since it was found. */
export function requireFresh(t: TrainingTensor): Tensor {
  if (t.attrs.state.version === versionOf(t)) return t.scale!;
  throw new AoError('ERR_AO_STREAM', 'the weight was changed since its scale was found', {
    module: t.attrs.fqn,
    fix: 'call precomputeFloat8DynamicScale(model) after optimizer.step()',
  });
}
