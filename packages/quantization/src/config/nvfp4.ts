// NVFP4: e2m1 values in blocks of 16 with e4m3 scales, and one float32 scale a tensor unless it is turned off.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool } from './field.ts';
import { type MemberOf, type QuantizationStep, step } from './float-fields.ts';

export interface NVFP4WeightOnlyConfig {
  readonly type: 'NVFP4WeightOnlyConfig';
  readonly useDynamicPerTensorScale: boolean;
}

export interface NVFP4WeightOnlyOptions {
  useDynamicPerTensorScale?: boolean;
  version?: number;
}

export interface NVFP4DynamicActivationNVFP4WeightConfig {
  readonly type: 'NVFP4DynamicActivationNVFP4WeightConfig';
  /** torchao's; no choice here. */
  readonly useTritonKernel: boolean;
  readonly useDynamicPerTensorScale: boolean;
  readonly step: MemberOf<QuantizationStep> | null;
}

export interface NVFP4DynamicActivationNVFP4WeightOptions {
  useTritonKernel?: boolean;
  useDynamicPerTensorScale?: boolean;
  step?: MemberOf<QuantizationStep> | null;
  version?: number;
}

const single = (twoLevel: boolean): string => (twoLevel ? '' : '-single');

export const nvfp4WeightOnlySpec: ConfigSpec<NVFP4WeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'NVFP4WeightOnlyConfig',
  version: 1,
  fields: { useDynamicPerTensorScale: /*@__PURE__*/ field(bool, true) },
  scheme: (c) => `nvfp4wo${single(c.useDynamicPerTensorScale)}`,
});

export const nvfp4DynamicActivationNvfp4WeightSpec: ConfigSpec<NVFP4DynamicActivationNVFP4WeightConfig> =
  /*@__PURE__*/ configSpec({
    type: 'NVFP4DynamicActivationNVFP4WeightConfig',
    version: 1,
    fields: {
      useTritonKernel: /*@__PURE__*/ field(bool, true),
      useDynamicPerTensorScale: /*@__PURE__*/ field(bool, true),
      step: /*@__PURE__*/ field<MemberOf<QuantizationStep> | null>(step, null),
    },
    // A step means a scale found beforehand.
    complete: (values) => {
      if (values.step === null) return;
      values.step = String(values.step).toUpperCase();
      values.useDynamicPerTensorScale = false;
    },
    scheme: (c) => `nvfp4dq${single(c.useDynamicPerTensorScale)}`,
  });

export function nvfp4WeightOnly(options: NVFP4WeightOnlyOptions = {}): NVFP4WeightOnlyConfig {
  return makeConfig(nvfp4WeightOnlySpec, { ...options });
}

export function nvfp4DynamicActivationNvfp4Weight(
  options: NVFP4DynamicActivationNVFP4WeightOptions = {},
): NVFP4DynamicActivationNVFP4WeightConfig {
  return makeConfig(nvfp4DynamicActivationNvfp4WeightSpec, { ...options });
}
