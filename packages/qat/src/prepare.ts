// Step 'prepare': what quantize_ makes of a weight, and of the module that holds it.
import { Embedding, Linear, type Module, type Runtime } from '@ao/core';
import { isProblem, planTensor, type TensorPlan, type TensorProblem, type WeightInfo } from '@ao/quantization';
import type { FakeQuantizeConfigBase } from './config/fake-quantize.ts';
import { inferFakeQuantizers } from './config/infer.ts';
import type { QATConfig } from './config/qat.ts';
import type { FakeQuantizer } from './fake-quantize/fake-quantizer.ts';
import { fakeQuantizedTensor } from './fake-quantized-tensor.ts';
import { FakeQuantizedEmbedding, FakeQuantizedLinear, ownTensor } from './modules.ts';

const groupOf = (c: FakeQuantizeConfigBase | null): number => {
  if (c?.type === 'IntxFakeQuantizeConfig') return c.granularity.type === 'PerGroup' ? c.granularity.groupSize : 1;
  return c?.type === 'Int4WeightFakeQuantizeConfig' ? c.groupSize : 1;
};

/** A plain Linear or Embedding becomes its fake-quantized class; a subclass keeps its forward and reads the weight rounded all the same. */
function swapped(holder: Module): Module {
  if (holder.constructor === Linear) return new FakeQuantizedLinear((holder as Linear).weight, (holder as Linear).bias);
  if (holder.constructor === Embedding) return new FakeQuantizedEmbedding((holder as Embedding).weight);
  return holder;
}

const common = (info: WeightInfo): Pick<TensorPlan, 'bytes' | 'trained' | 'module'> => ({
  bytes: info.shape.reduce((a, b) => a * b, info.dtype === 'float32' ? 4 : 2),
  trained: true,
  module: swapped,
});

function ownPlan({ activationConfig, weightConfig }: QATConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const group = groupOf(weightConfig);
  const columns = info.shape[1] ?? 0;
  if (columns % group !== 0)
    return { problem: `${columns} columns are no multiple of the group size ${group}`, fix: 'take another groupSize' };
  const bits = weightConfig?.type === 'IntxFakeQuantizeConfig' ? Number(weightConfig.dtype.replace(/\D+/, '')) : 8;
  return {
    ...common(info),
    scheme: `qat:${weightConfig?.type ?? activationConfig?.type}`,
    bits,
    activation: activationConfig?.type ?? 'exact',
    quantize: (weight) => ownTensor(weight, activationConfig, weightConfig),
  };
}

const plain = (q: FakeQuantizer | null): FakeQuantizer | null => q && { ...q, backward: (g) => g };

export function preparePlan(rt: Runtime, config: QATConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { baseConfig } = config;
  if (baseConfig === null) return ownPlan(config, info);
  const { activation, weight, real } = inferFakeQuantizers(baseConfig);
  const gradients = config.straightThrough === 'plain' ? plain : (q: FakeQuantizer | null) => q;
  const plan = planTensor(rt, baseConfig, info);
  if (isProblem(plan)) return plan;
  return {
    ...plan,
    ...common(info),
    scheme: `qat:${plan.scheme}`,
    quantize: (w) =>
      fakeQuantizedTensor(w, {
        baseConfig,
        activationConfig: null,
        weightConfig: null,
        activation: gradients(activation),
        weight: gradients(weight),
        quantize: real === 'never' ? null : plan.quantize,
        float32Alike: real === 'not-float32',
      }),
  };
}
