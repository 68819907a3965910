// NVFP4 weights on NVFP4Tensor: weight-only, and with activations in NVFP4.
import type { Dense, Entry, Extension, Tensor } from '@ao/core';
import {
  type NVFP4DynamicActivationNVFP4WeightConfig,
  type NVFP4WeightOnlyConfig,
  nvfp4DynamicActivationNvfp4WeightSpec,
  nvfp4WeightOnlySpec,
} from '../config/nvfp4.ts';
import { toBlocked } from '../formats/blocked-scales.ts';
import { nvfp4Quantize, perTensorScale } from '../formats/nvfp4.ts';
import {
  type NVFP4Tensor,
  nvfp4Kind,
  nvfp4KindEntries,
  type QuantizeTensorToNVFP4Kwargs,
} from '../kinds/nvfp4-tensor.ts';
import { checkMatrix, schemeEntries, type TensorPlan, type TensorProblem, type WeightInfo } from '../quantize/trait.ts';
import { emulated } from './emulated.ts';

const BLOCK = 16;

export interface NVFP4FromHpOptions {
  /** Two levels: a float32 scale for the tensor. */
  readonly usePerTensorScale: boolean;
  readonly useTritonKernel?: boolean;
  readonly actQuantKwargs?: QuantizeTensorToNVFP4Kwargs;
  readonly actPerTensorScale?: Tensor;
}

/** torchao's NVFP4Tensor.to_nvfp4 of a matrix, scales swizzled; the last block of a row may be short. */
export function nvfp4FromHp(weight: Dense, o: NVFP4FromHpOptions): NVFP4Tensor {
  const t = o.usePerTensorScale ? perTensorScale(weight) : undefined;
  const { qdata, scale } = nvfp4Quantize(weight, BLOCK, t);
  const parts = {
    qdata,
    scale: toBlocked(scale),
    ...(t !== undefined && { per_tensor_scale: t }),
    ...(o.actPerTensorScale && { act_per_tensor_scale: o.actPerTensorScale }),
  };
  const attrs = {
    blockSize: BLOCK,
    isSwizzledScales: true,
    useTritonKernel: o.useTritonKernel ?? false,
    actQuantKwargs: o.actQuantKwargs ?? null,
  };
  return nvfp4Kind.make(parts, attrs, weight.shape, weight.dtype);
}

function planOf(info: WeightInfo, scheme: string, options: NVFP4FromHpOptions): TensorPlan | TensorProblem {
  const problem = checkMatrix(info, null, [], '');
  if (problem !== undefined) return problem;
  const [n, k] = info.shape as [number, number];
  return {
    scheme,
    bits: 4,
    bytes: n * (Math.ceil(k / 2) + Math.ceil(k / BLOCK)) + (options.usePerTensorScale ? 4 : 0),
    activation: options.actQuantKwargs === undefined ? 'exact' : 'nvfp4',
    ...(options.actQuantKwargs !== undefined && { emulated: emulated('NVFP4') }),
    quantize: (weight) => nvfp4FromHp(weight, options),
  };
}

const weightOnly = (config: NVFP4WeightOnlyConfig, info: WeightInfo): TensorPlan | TensorProblem =>
  planOf(info, nvfp4WeightOnlySpec.scheme(config), { usePerTensorScale: config.useDynamicPerTensorScale });

function dynamic(config: NVFP4DynamicActivationNVFP4WeightConfig, info: WeightInfo): TensorPlan | TensorProblem {
  const { useTritonKernel, useDynamicPerTensorScale } = config;
  if (config.step !== null) {
    return {
      problem: `step '${config.step}' observes activations first`,
      fix: 'leave step out for a scale found at run time',
    };
  }
  const actQuantKwargs = { blockSize: BLOCK, isSwizzledScales: true, useTritonKernel, useDynamicPerTensorScale };
  return planOf(info, nvfp4DynamicActivationNvfp4WeightSpec.scheme(config), {
    usePerTensorScale: useDynamicPerTensorScale,
    useTritonKernel,
    actQuantKwargs,
  });
}

const makeEntries = (): readonly Entry[] => [
  ...nvfp4KindEntries(),
  ...schemeEntries(nvfp4WeightOnlySpec, weightOnly),
  ...schemeEntries(nvfp4DynamicActivationNvfp4WeightSpec, dynamic),
];

const entries = /*@__PURE__*/ makeEntries();

/** nvfp4WeightOnly and nvfp4DynamicActivationNvfp4Weight as an extension. */
export const nvfp4 = (): Extension => ({ name: '@ao/quantization/nvfp4', entries });
