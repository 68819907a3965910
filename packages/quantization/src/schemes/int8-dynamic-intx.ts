// "8da4w": weights of 1 to 8 bits with integer zero points, activations in asymmetric int8 per token.
import type { Entry, Extension } from '@ao/core';
import {
  type Int8DynamicActivationIntxWeightConfig,
  int8DynamicActivationIntxWeightSpec,
} from '../config/int8-dynamic-activation-intx-weight.ts';
import { intxKindEntries } from '../kinds/intx-tensor.ts';
import { ofStacks } from '../quantize/of-stacks.ts';
import { schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';
import { intxPlan } from './intx.ts';

const dynamic = (config: Int8DynamicActivationIntxWeightConfig, info: WeightInfo): TensorPlan | TensorProblem =>
  intxPlan(
    {
      scheme: int8DynamicActivationIntxWeightSpec.scheme(config),
      dtype: config.weightDtype,
      granularity: config.weightGranularity,
      mapping: config.weightMappingType,
      algorithm: config.intxChooseQparamsAlgorithm,
      scaleDtype: config.weightScaleDtype,
      activation: 'exact',
      activationQuantization: 'int8_asym_per_token',
    },
    info,
  );

const makeEntries = (): readonly Entry[] => [
  ...intxKindEntries(),
  ...schemeEntries(int8DynamicActivationIntxWeightSpec, ofStacks(dynamic)),
];

const entries = /*@__PURE__*/ makeEntries();

/** int8DynamicActivationIntxWeight as an extension. */
export const int8DynamicIntx = (): Extension => ({ name: '@ao/quantization/int8-dynamic-intx', entries });
