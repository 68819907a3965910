// MX weights on MXTensor: weight-only, and with activations in MX blocks.
import type { Dense, Entry, Extension } from '@ao/core';
import type { KernelPreference, MemberOf, MXDtype, ScaleCalculationMode } from '../config/float-fields.ts';
import {
  type MXDynamicActivationMXWeightConfig,
  type MXWeightOnlyConfig,
  mxDynamicActivationMxWeightSpec,
  mxWeightOnlySpec,
} from '../config/mx.ts';
import { member } from '../config/names.ts';
import { toBlocked } from '../formats/blocked-scales.ts';
import { mxBits, toMx } from '../formats/mx.ts';
import { type MXTensor, mxKind, mxKindEntries, type QuantizeTensorToMXKwargs } from '../kinds/mx-tensor.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';
import { emulated } from './emulated.ts';

export interface MXFromHpOptions {
  readonly elemDtype: MXDtype;
  readonly blockSize?: number;
  readonly scalingMode?: ScaleCalculationMode;
  readonly kernelPreference?: MemberOf<KernelPreference>;
  readonly isSwizzledScales?: boolean;
  readonly actQuantKwargs?: QuantizeTensorToMXKwargs;
}

/** torchao's MXTensor.to_mx of a matrix; the last block of a row may be short. */
export function mxFromHp(weight: Dense, o: MXFromHpOptions): MXTensor {
  const { elemDtype, blockSize = 32, scalingMode = 'RCEIL', isSwizzledScales = false } = o;
  const { qdata, scale } = toMx(weight, elemDtype, blockSize, scalingMode);
  const attrs = {
    elemDtype,
    blockSize,
    kernelPreference: o.kernelPreference ?? 'EMULATED',
    actQuantKwargs: o.actQuantKwargs ?? null,
    isSwizzledScales,
  } as const;
  const parts = { qdata, scale: isSwizzledScales ? toBlocked(scale) : scale };
  return mxKind.make(parts, attrs, weight.shape, weight.dtype);
}

const NAMES: Readonly<Record<MXDtype, string>> = {
  float8_e4m3fn: 'mxfp8',
  float8_e5m2: 'mxfp8',
  fp6_e2m3: 'mxfp6',
  fp6_e3m2: 'mxfp6',
  float4_e2m1fn_x2: 'mxfp4',
};

function planOf(
  info: WeightInfo,
  scheme: string,
  options: MXFromHpOptions & { readonly blockSize: number },
): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  const { elemDtype, blockSize, actQuantKwargs } = options;
  return {
    scheme,
    bits: mxBits(elemDtype),
    bytes: n * Math.ceil((k * mxBits(elemDtype)) / 8) + n * Math.ceil(k / blockSize),
    activation: actQuantKwargs === undefined ? 'exact' : NAMES[elemDtype],
    ...(actQuantKwargs !== undefined && { emulated: emulated('MX blocks') }),
    quantize: (weight) => mxFromHp(weight, options),
  };
}

const modeOf = (mode: string): ScaleCalculationMode => member(mode) as ScaleCalculationMode;

const weightOnly = (config: MXWeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem =>
  planOf(info, mxWeightOnlySpec.scheme(config), {
    elemDtype: config.weightDtype,
    blockSize: config.blockSize,
    scalingMode: modeOf(config.scalingMode),
  });

function dynamic(config: MXDynamicActivationMXWeightConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { blockSize, activationDtype, weightDtype, kernelPreference } = config;
  const shared = { blockSize, scalingMode: modeOf(config.scalingMode), kernelPreference, isSwizzledScales: true };
  return planOf(info, mxDynamicActivationMxWeightSpec.scheme(config), {
    ...shared,
    elemDtype: weightDtype,
    actQuantKwargs: { ...shared, elemDtype: activationDtype },
  });
}

const makeEntries = (): readonly Entry[] => [
  ...mxKindEntries(),
  ...schemeEntries(mxWeightOnlySpec, weightOnly),
  ...schemeEntries(mxDynamicActivationMxWeightSpec, dynamic),
];

const entries = /*@__PURE__*/ makeEntries();

/** mxWeightOnly and mxDynamicActivationMxWeight as an extension. */
export const mx = (): Extension => ({ name: '@ao/quantization/mx', entries });
