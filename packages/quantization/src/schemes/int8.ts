// int8 weights on Int8Tensor, and the weight-only scheme.
import {
  chooseQparamsAffine,
  type Dense,
  type Entry,
  type Extension,
  float32,
  int8 as int8Dtype,
  quantizeAffine,
  type Tensor,
} from '@ao/core';
import { blockSizeOf, type Granularity } from '../config/granularity.ts';
import { type Int8WeightOnlyConfig, int8WeightOnlySpec } from '../config/int8-weight-only.ts';
import type { Activation } from '../config/names.ts';
import type { QuantizeTensorToInt8Kwargs } from '../kinds/attributes.ts';
import { int8KindEntries } from '../kinds/int8-linear.ts';
import { type Int8Tensor, int8Kind } from '../kinds/int8-tensor.ts';
import { byGroups, gridOf } from '../kinds/short-blocks.ts';
import { ofStacks } from '../quantize/of-stacks.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';

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
  const quantized = (w: Tensor, block: readonly number[]): readonly [Tensor, Tensor, Tensor] => {
    const [scale, zeroPoint] = chooseQparamsAffine(w, 'SYMMETRIC', block, 'int8', choose);
    return [quantizeAffine(w, block, scale, zeroPoint, 'int8', range), scale, zeroPoint];
  };
  const [qdata, scale, zeroPoint] =
    options.granularity.type === 'PerGroup' && weight.ndim === 2
      ? byGroups(weight, options.granularity.groupSize, (w, group) => quantized(w, [1, group]))
      : quantized(weight, blockSize);
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
export function int8Bytes(info: WeightInfo, granularity: Granularity): number {
  const block = blockSizeOf(info.shape, granularity);
  const blocks = gridOf(info.shape, block).reduce((a, b) => a * b, 1);
  return info.shape.reduce((a, b) => a * b, 1) + 4 * blocks;
}

function weightOnly(config: Int8WeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { granularity, activation } = config;
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  return {
    scheme: int8WeightOnlySpec.scheme(config),
    bits: 8,
    bytes: int8Bytes(info, granularity),
    activation,
    quantize: (weight) => int8FromHp(weight, { granularity, activation }),
  };
}

const makeEntries = (): readonly Entry[] => [
  ...int8KindEntries(),
  ...schemeEntries(int8WeightOnlySpec, ofStacks(weightOnly)),
];

const entries = /*@__PURE__*/ makeEntries();

/** int8WeightOnly as an extension: `createRuntime({ use: [int8()] })`. */
export const int8 = (): Extension => ({ name: '@ao/quantization/int8', entries });
