// float8 weights on Float8Tensor: weight-only, and with activations in float8 whose scale is found at run time or known beforehand.
import {
  chooseScaleFloat8,
  type Dense,
  dtypeByName,
  type Entry,
  type Extension,
  float32,
  quantizeAffineFloat8,
  type Tensor,
  tensor,
} from '@ao/core';
import type { Float8Dtype } from '../config/float-fields.ts';
import {
  type Float8DynamicActivationFloat8WeightConfig,
  type Float8Granularity,
  float8DynamicActivationFloat8WeightSpec,
} from '../config/float8-dynamic-activation-float8-weight.ts';
import {
  type Float8StaticActivationFloat8WeightConfig,
  float8StaticActivationFloat8WeightSpec,
} from '../config/float8-static-activation-float8-weight.ts';
import { type Float8WeightOnlyConfig, float8WeightOnlySpec } from '../config/float8-weight-only.ts';
import { blockSizeOf, type Granularity, perTensor } from '../config/granularity.ts';
import type { QuantizeTensorToFloat8Kwargs } from '../kinds/float8-attributes.ts';
import { float8KindEntries } from '../kinds/float8-linear.ts';
import { type Float8Attrs, type Float8Tensor, float8Kind } from '../kinds/float8-tensor.ts';
import { cropped, gridOf, padded } from '../kinds/short-blocks.ts';
import { ofStacks } from '../quantize/of-stacks.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';
import { emulated } from './emulated.ts';

export interface Float8FromHpOptions extends Partial<Omit<Float8Attrs, 'blockSize' | 'float8Dtype'>> {
  readonly float8Dtype?: Float8Dtype;
  readonly granularity: Granularity;
  readonly actQuantScale?: Tensor;
  readonly outputActQuantScale?: Tensor;
}

/** torchao's Float8Tensor.from_hp; blocks need not divide the shape. */
export function float8FromHp(weight: Dense, o: Float8FromHpOptions): Float8Tensor {
  const { float8Dtype = 'float8_e4m3fn', granularity, mmConfig = null, actQuantKwargs = null } = o;
  const blockSize = blockSizeOf(weight.shape, granularity);
  const dtype = dtypeByName(float8Dtype);
  const whole = padded(weight, blockSize);
  const scale = chooseScaleFloat8(whole, blockSize, dtype);
  const qdata = cropped(quantizeAffineFloat8(whole, scale, dtype), weight.shape);
  const parts = {
    qdata,
    scale,
    ...(o.actQuantScale && { act_quant_scale: o.actQuantScale }),
    ...(o.outputActQuantScale && { output_act_quant_scale: o.outputActQuantScale }),
  };
  const attrs = { float8Dtype, blockSize, mmConfig, actQuantKwargs, kernelPreference: o.kernelPreference ?? 'AUTO' };
  return float8Kind.make(parts, attrs, weight.shape, weight.dtype);
}

/** One byte a code, four a scale. */
function bytesOf(info: WeightInfo, granularity: Granularity): number {
  const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  return product(info.shape) + 4 * product(gridOf(info.shape, blockSizeOf(info.shape, granularity)));
}

function problemOf(info: WeightInfo, granularity: Granularity): TensorProblem | undefined {
  if (granularity.type === 'PerBlock' && granularity.blockSize.length !== 2) {
    return { problem: `blocks of [${granularity.blockSize}] are no rectangles`, fix: 'use perBlock([128, 128])' };
  }
  return checkMatrix(info, null, [], '');
}

const noRectangles = (granularity: Granularity): TensorProblem | undefined =>
  granularity.type === 'PerBlock'
    ? {
        problem: 'rectangles are blocks of one matrix, not of a stack of experts',
        fix: 'use perRow() or perGroup(128)',
      }
    : undefined;

function weightOnly(config: Float8WeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { weightDtype: float8Dtype, granularity } = config;
  return (
    problemOf(info, granularity) ?? {
      scheme: float8WeightOnlySpec.scheme(config),
      bits: 8,
      bytes: bytesOf(info, granularity),
      activation: 'exact',
      quantize: (weight) => float8FromHp(weight, { float8Dtype, granularity }),
    }
  );
}

const activationName = (g: Float8Granularity): string =>
  ({ PerTensor: 'float8-tensor', PerRow: 'float8-token', PerBlock: 'float8-block' })[g.type];

function dynamic(config: Float8DynamicActivationFloat8WeightConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const [act, granularity] = config.granularity;
  const { mmConfig, kernelPreference, weightDtype: float8Dtype } = config;
  const actQuantKwargs: QuantizeTensorToFloat8Kwargs = {
    float8Dtype: config.activationDtype,
    granularity: act,
    mmConfig,
    hpValueLb: config.activationValueLb,
    hpValueUb: config.activationValueUb,
    kernelPreference,
  };
  return (
    problemOf(info, granularity) ?? {
      scheme: float8DynamicActivationFloat8WeightSpec.scheme(config),
      bits: 8,
      bytes: bytesOf(info, granularity),
      activation: activationName(act),
      emulated: emulated('float8'),
      quantize: (weight) =>
        float8FromHp(weight, { float8Dtype, granularity, mmConfig, kernelPreference, actQuantKwargs }),
    }
  );
}

function fixed(config: Float8StaticActivationFloat8WeightConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { actQuantScale, outputActQuantScale, quantizeAndDequantizeOutput, mmConfig, kernelPreference } = config;
  if (actQuantScale === null) {
    return {
      problem: 'a static scheme needs the scale of the activation',
      fix: 'give actQuantScale, e.g. [[0.01]], or use float8DynamicActivationFloat8Weight()',
    };
  }
  const granularity = perTensor();
  const actQuantKwargs: QuantizeTensorToFloat8Kwargs = {
    float8Dtype: config.activationDtype,
    granularity,
    mmConfig,
    hpValueLb: null,
    hpValueUb: null,
    kernelPreference,
  };
  return (
    problemOf(info, granularity) ?? {
      scheme: float8StaticActivationFloat8WeightSpec.scheme(config),
      bits: 8,
      bytes: bytesOf(info, granularity),
      activation: 'float8-static',
      emulated: emulated('float8'),
      quantize(weight) {
        const make = (data: typeof actQuantScale): Tensor =>
          tensor(weight.rt, data as never, { dtype: float32, device: weight.device });
        return float8FromHp(weight, {
          float8Dtype: config.weightDtype,
          granularity,
          mmConfig,
          kernelPreference,
          actQuantKwargs,
          actQuantScale: make(actQuantScale),
          ...(quantizeAndDequantizeOutput &&
            outputActQuantScale !== null && { outputActQuantScale: make(outputActQuantScale) }),
        });
      },
    }
  );
}

const makeEntries = (): readonly Entry[] => [
  ...float8KindEntries(),
  ...schemeEntries(
    float8WeightOnlySpec,
    ofStacks(weightOnly, (c) => noRectangles(c.granularity)),
  ),
  ...schemeEntries(
    float8DynamicActivationFloat8WeightSpec,
    ofStacks(dynamic, (c) => noRectangles(c.granularity[1])),
  ),
  ...schemeEntries(float8StaticActivationFloat8WeightSpec, ofStacks(fixed)),
];

const entries = /*@__PURE__*/ makeEntries();

/** float8WeightOnly and its forms with float8 activations as an extension: `createRuntime({ use: [float8()] })`. */
export const float8 = (): Extension => ({ name: '@ao/quantization/float8', entries });
