// The schemes with int8 weights and int8 activations, whose scale is found at run time or known beforehand; on Int8Tensor.
import { type Entry, type Extension, float32, int8 as int8Dtype, type Tensor, tensor } from '@ao/core';
import {
  granularityPair,
  type Int8DynamicActivationInt8WeightConfig,
  int8DynamicActivationInt8WeightSpec,
} from '../config/int8-dynamic-activation-int8-weight.ts';
import {
  type Int8StaticActivationInt8WeightConfig,
  int8StaticActivationInt8WeightSpec,
} from '../config/int8-static-activation-int8-weight.ts';
import { int8KindEntries } from '../kinds/int8-linear.ts';
import { ofStacks } from '../quantize/of-stacks.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';
import { int8Bytes, int8FromHp } from './int8.ts';

function dynamic(config: Int8DynamicActivationInt8WeightConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const [act, granularity] = granularityPair(config.granularity);
  const { reduceRange, actMappingType: mappingType, weightOnlyDecode } = config;
  const actQuantKwargs = { granularity: act, mappingType, reduceRange, ...(weightOnlyDecode && { weightOnlyDecode }) };
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  return {
    scheme: int8DynamicActivationInt8WeightSpec.scheme(config),
    bits: 8,
    bytes: int8Bytes(info, granularity),
    activation:
      act.type === 'PerTensor' ? 'int8-tensor' : mappingType === 'SYMMETRIC' ? 'int8-token' : 'int8-token-asym',
    quantize: (weight) => int8FromHp(weight, { granularity, reduceRange, actQuantKwargs }),
  };
}

function fixed(config: Int8StaticActivationInt8WeightConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { actQuantScale, actQuantZeroPoint, actMappingType: mappingType, reduceRange } = config;
  const [act, granularity] = granularityPair(config.granularity);
  if (actQuantScale === null) {
    return {
      problem: 'a static scheme needs the scale of the activation',
      fix: 'give actQuantScale, e.g. [[0.025]], or let observe() find it, or use int8DynamicActivationInt8Weight()',
    };
  }
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  return {
    scheme: int8StaticActivationInt8WeightSpec.scheme(config),
    bits: 8,
    bytes: int8Bytes(info, granularity),
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

const makeDynamic = (): readonly Entry[] => [
  ...int8KindEntries(),
  ...schemeEntries(int8DynamicActivationInt8WeightSpec, ofStacks(dynamic)),
];
const makeStatic = (): readonly Entry[] => [
  ...int8KindEntries(),
  ...schemeEntries(int8StaticActivationInt8WeightSpec, ofStacks(fixed)),
];

const dynamicEntries = /*@__PURE__*/ makeDynamic();
const staticEntries = /*@__PURE__*/ makeStatic();

/** int8DynamicActivationInt8Weight as an extension. */
export const int8Dynamic = (): Extension => ({ name: '@ao/quantization/int8-dynamic', entries: dynamicEntries });

/** int8StaticActivationInt8Weight as an extension. */
export const int8Static = (): Extension => ({ name: '@ao/quantization/int8-static', entries: staticEntries });
