// The int8 schemes: weight-only, dynamic and static activations, all on Int8Tensor.
import {
  answer,
  chooseQparamsAffine,
  type Dense,
  type Extension,
  float32,
  int8 as int8Dtype,
  kindEntry,
  quantizeAffine,
  type Tensor,
  tensor,
} from '@ao/core';
import { blockSizeOf, type Granularity } from '../config/granularity.ts';
import {
  granularityPair,
  type Int8DynamicActivationInt8WeightConfig,
  int8DynamicActivationInt8WeightSpec,
} from '../config/int8-dynamic-activation-int8-weight.ts';
import {
  type Int8StaticActivationInt8WeightConfig,
  int8StaticActivationInt8WeightSpec,
} from '../config/int8-static-activation-int8-weight.ts';
import { type Int8WeightOnlyConfig, int8WeightOnlySpec } from '../config/int8-weight-only.ts';
import type { Activation } from '../config/names.ts';
import type { QuantizeTensorToInt8Kwargs } from '../kinds/attributes.ts';
import { int8Overrides } from '../kinds/int8-linear.ts';
import { int8Kind, type Int8Tensor } from '../kinds/int8-tensor.ts';
import { checkMatrix, planTrait, specTrait, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

export interface Int8FromHpOptions {
  readonly granularity: Granularity;
  readonly actQuantKwargs?: QuantizeTensorToInt8Kwargs;
  readonly reduceRange?: boolean;
  readonly activation?: Activation;
  readonly actQuantScale?: Tensor;
  readonly actQuantZeroPoint?: Tensor;
}

/** torchao's Int8Tensor.from_hp: symmetric, scales in float32 and at least 2^-23. */
export function int8FromHp(weight: Dense, options: Int8FromHpOptions): Int8Tensor {
  const blockSize = blockSizeOf(weight.shape, options.granularity);
  const { reduceRange = false, actQuantKwargs = null, activation = 'exact' } = options;
  const range = reduceRange ? { quantMin: -64, quantMax: 63 } : { quantMin: -128, quantMax: 127 };
  const choose = { ...range, eps: 2 ** -23, scaleDtype: float32, zeroPointDtype: int8Dtype, keepdim: true };
  const [scale, zeroPoint] = chooseQparamsAffine(weight, 'SYMMETRIC', blockSize, 'int8', choose);
  const qdata = quantizeAffine(weight, blockSize, scale, zeroPoint, 'int8', range);
  const parts = {
    qdata,
    scale,
    zero_point: zeroPoint,
    ...(options.actQuantScale && { act_quant_scale: options.actQuantScale }),
    ...(options.actQuantZeroPoint && { act_quant_zero_point: options.actQuantZeroPoint }),
  };
  return int8Kind.make(parts, { blockSize, actQuantKwargs, reduceRange, activation }, weight.shape, weight.dtype);
}

/** One byte a code, four a scale. */
function bytesOf(info: WeightInfo, granularity: Granularity): number {
  const block = blockSizeOf(info.shape, granularity);
  const blocks = info.shape.reduce((n, size, i) => n * (size / (block[i] as number)), 1);
  return info.shape.reduce((a, b) => a * b, 1) + 4 * blocks;
}

type Answer = TensorPlan | TensorProblem;

function weightOnly(config: Int8WeightOnlyConfig, info: WeightInfo): Answer {
  const { granularity, activation } = config;
  const problem = checkMatrix(info, granularity.type === 'PerGroup' ? granularity.groupSize : null, [256, 128, 64, 32, 16], 'use granularity: perRow()');
  if (problem !== undefined) return problem;
  return {
    scheme: int8WeightOnlySpec.scheme(config),
    bits: 8,
    bytes: bytesOf(info, granularity),
    activation,
    quantize: (weight) => int8FromHp(weight, { granularity, activation }),
  };
}

function dynamic(config: Int8DynamicActivationInt8WeightConfig, info: WeightInfo): Answer {
  const [act, granularity] = granularityPair(config.granularity);
  const { reduceRange, actMappingType: mappingType } = config;
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  return {
    scheme: int8DynamicActivationInt8WeightSpec.scheme(config),
    bits: 8,
    bytes: bytesOf(info, granularity),
    activation: act.type === 'PerTensor' ? 'int8-tensor' : mappingType === 'SYMMETRIC' ? 'int8-token' : 'int8-token-asym',
    quantize: (weight) => int8FromHp(weight, { granularity, reduceRange, actQuantKwargs: { granularity: act, mappingType, reduceRange } }),
  };
}

function fixed(config: Int8StaticActivationInt8WeightConfig, info: WeightInfo): Answer {
  const { actQuantScale, actQuantZeroPoint, actMappingType: mappingType, reduceRange } = config;
  const [act, granularity] = granularityPair(config.granularity);
  if (actQuantScale === null) {
    return { problem: 'a static scheme needs the scale of the activation', fix: 'give actQuantScale, e.g. [[0.025]], or use int8DynamicActivationInt8Weight()' };
  }
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  return {
    scheme: int8StaticActivationInt8WeightSpec.scheme(config),
    bits: 8,
    bytes: bytesOf(info, granularity),
    activation: 'int8-static',
    quantize(weight) {
      const make = (data: typeof actQuantScale, dtype: typeof float32 | typeof int8Dtype): Tensor =>
        tensor(weight.rt, data as never, { dtype, device: weight.device });
      return int8FromHp(weight, {
        granularity,
        reduceRange,
        actQuantKwargs: { granularity: act, mappingType, reduceRange },
        actQuantScale: make(actQuantScale, float32),
        ...(actQuantZeroPoint !== null && { actQuantZeroPoint: make(actQuantZeroPoint, int8Dtype) }),
      });
    },
  };
}

/** The int8 schemes as an extension: `createRuntime({ use: [int8()] })`. */
export const int8 = (): Extension => ({
  name: '@ao/quantization/int8',
  entries: [
    kindEntry(int8Kind),
    ...int8Overrides(),
    answer(planTrait, int8WeightOnlySpec, weightOnly),
    answer(planTrait, int8DynamicActivationInt8WeightSpec, dynamic),
    answer(planTrait, int8StaticActivationInt8WeightSpec, fixed),
    answer(specTrait, int8WeightOnlySpec, () => int8WeightOnlySpec),
    answer(specTrait, int8DynamicActivationInt8WeightSpec, () => int8DynamicActivationInt8WeightSpec),
    answer(specTrait, int8StaticActivationInt8WeightSpec, () => int8StaticActivationInt8WeightSpec),
  ],
});
