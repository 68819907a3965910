// A pruned weight that stays a plain tensor: what mask finding leaves where no sparse kind was asked for.
import {
  answer,
  clone,
  type Dense,
  type Entry,
  type Module,
  noGrad,
  replaceTensor,
  scope,
  type Tensor,
  tensor,
} from '@ao/core';
import {
  type AoConfig,
  checkMatrix,
  planTrait,
  type TensorPlan,
  type TensorProblem,
  type WeightInfo,
} from '@ao/quantization';

export interface PrunedWeightConfig extends AoConfig {
  readonly type: 'PrunedWeightConfig';
}

/** Weights stay plain, zeros included; for `wanda` and `sparseGpt`. */
export const prunedWeight = (): PrunedWeightConfig => Object.freeze({ type: 'PrunedWeightConfig' });

export const prunedEntries = (): readonly Entry[] => [
  answer(planTrait, prunedWeight(), (_config, info: WeightInfo): TensorPlan | TensorProblem => {
    const bits = info.dtype === 'float32' ? 32 : 16;
    const bytes = (info.shape.reduce((a, b) => a * b, 1) * bits) / 8;
    const plan = { scheme: 'pruned', bits, bytes, activation: 'exact', quantize: (w: Dense) => clone(w) };
    return checkMatrix(info, null, [], '') ?? plan;
  }),
];

/** A tensor like w with other values, rounded to its dtype. */
export const valuesLike = (w: Tensor, values: Float32Array): Dense =>
  tensor(w.rt, values, { shape: w.shape, dtype: w.dtype, device: w.device });

/** Replaces a weight by a pruned one, which trains where it did. */
export function replacePruned(model: Module, weight: Tensor, make: () => Tensor): void {
  const trains = weight.requiresGrad;
  weight.requiresGrad = false;
  const pruned = noGrad(() => scope(make));
  replaceTensor(model, weight, pruned);
  pruned.requiresGrad = trains;
}
