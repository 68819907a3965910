// Float8Linear: a linear that multiplies in float8, forward and backward.
import { type Dense, int32, Linear, zeros } from '@ao/core';
import { type Float8LinearConfig, float8LinearConfig } from './config/float8-linear-config.ts';
import { COUNTS_SHAPE } from './counts.ts';
import { float8Scheme, weightScale } from './float8-scheme.ts';
import { requireFresh } from './precompute.ts';
import { wrapped } from './swap-linears.ts';
import { type TrainingTensor, trainingTensor } from './training-tensor.ts';

/** y = x W^T + b by torchao's Float8Linear: `weight` is a TrainingTensor whose part 'weight' is trained. */
export class Float8Linear extends Linear {
  static fromFloat(linear: Linear, config: Float8LinearConfig = float8LinearConfig()): Float8Linear {
    return new Float8Linear(
      wrapped(linear.weight as Dense, '', (w, fqn) => float8Tensor(w, fqn, config, false)),
      linear.bias,
    );
  }

  get config(): Float8LinearConfig {
    return (this.weight as TrainingTensor).attrs.config as Float8LinearConfig;
  }
}

export function float8Tensor(
  weight: Dense,
  fqn: string,
  config: Float8LinearConfig,
  countValues: boolean,
): TrainingTensor {
  const { rt, device } = weight;
  return trainingTensor(
    weight,
    {
      config,
      fqn,
      sharesInput: true,
      scheme: (t) =>
        float8Scheme(config, { scale: t.scale === undefined ? undefined : () => requireFresh(t), counts: t.counts }),
    },
    {
      ...(config.enableFsdpFloat8AllGather && { scale: weightScale(weight, config) }),
      ...(countValues && { counts: zeros(rt, COUNTS_SHAPE, { dtype: int32, device }) as Dense }),
    },
  );
}
