// Float8StaticActivationFloat8WeightConfig: float8 weights and activations by one scale a tensor, the activation's known beforehand.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { bool, configError, granularity, numbers, optional } from './field.ts';
import {
  type Float8Dtype,
  type Float8MMConfig,
  fastAccum,
  float8Dtype,
  type KernelPreference,
  kernelPreference,
  type MemberOf,
  mmConfig,
  type QuantizationStep,
  step,
} from './float-fields.ts';
import { float8Suffix } from './float8-weight-only.ts';
import type { PerTensor } from './granularity.ts';
import type { NumberList } from './int8-static-activation-int8-weight.ts';
import type { Json } from './python-json.ts';

export interface Float8StaticActivationFloat8WeightConfig {
  readonly type: 'Float8StaticActivationFloat8WeightConfig';
  readonly step: MemberOf<QuantizationStep> | null;
  readonly actQuantScale: NumberList | null;
  readonly activationDtype: Float8Dtype;
  readonly weightDtype: Float8Dtype;
  readonly granularity: PerTensor | null;
  readonly mmConfig: Float8MMConfig;
  readonly kernelPreference: MemberOf<KernelPreference>;
  readonly setInductorConfig: boolean;
  readonly quantizeAndDequantizeOutput: boolean;
  readonly outputActQuantScale: NumberList | null;
}

export interface Float8StaticActivationFloat8WeightOptions {
  step?: MemberOf<QuantizationStep> | null;
  /** Activation scale, [[s]]: x is divided by it. */
  actQuantScale?: NumberList | null;
  activationDtype?: Float8Dtype | { readonly name: string };
  weightDtype?: Float8Dtype | { readonly name: string };
  granularity?: PerTensor | null;
  mmConfig?: Float8MMConfig | null;
  kernelPreference?: MemberOf<KernelPreference>;
  setInductorConfig?: boolean;
  /** Round the output to float8 too, by outputActQuantScale. */
  quantizeAndDequantizeOutput?: boolean;
  outputActQuantScale?: NumberList | null;
  version?: number;
}

export const float8StaticActivationFloat8WeightSpec: ConfigSpec<Float8StaticActivationFloat8WeightConfig> =
  /*@__PURE__*/ configSpec({
    type: 'Float8StaticActivationFloat8WeightConfig',
    version: 1,
    fields: {
      step: /*@__PURE__*/ field<MemberOf<QuantizationStep> | null>(step, null),
      actQuantScale: /*@__PURE__*/ field<Json>(/*@__PURE__*/ optional(/*@__PURE__*/ numbers(true)), null),
      activationDtype: /*@__PURE__*/ field<Float8Dtype>(float8Dtype, 'float8_e4m3fn'),
      weightDtype: /*@__PURE__*/ field<Float8Dtype>(float8Dtype, 'float8_e4m3fn'),
      granularity: /*@__PURE__*/ field<PerTensor | null>(
        /*@__PURE__*/ optional(/*@__PURE__*/ granularity<PerTensor>(['PerTensor'])),
        null,
      ),
      mmConfig: /*@__PURE__*/ field<Float8MMConfig | null>(mmConfig, null),
      kernelPreference: /*@__PURE__*/ field<MemberOf<KernelPreference>>(kernelPreference, 'AUTO'),
      setInductorConfig: /*@__PURE__*/ field(bool, true),
      quantizeAndDequantizeOutput: /*@__PURE__*/ field(bool, false),
      outputActQuantScale: /*@__PURE__*/ field<Json>(/*@__PURE__*/ optional(/*@__PURE__*/ numbers(true)), null),
    },
    complete: (values) => {
      values.mmConfig ??= fastAccum(true);
    },
    check: (c) => {
      if (c.quantizeAndDequantizeOutput && c.actQuantScale !== null && c.outputActQuantScale === null) {
        throw configError(
          `${c.type}: quantizeAndDequantizeOutput needs outputActQuantScale beside actQuantScale`,
          'give outputActQuantScale, e.g. [[0.05]]',
        );
      }
    },
    scheme: ({ weightDtype }) => `float8static${float8Suffix(weightDtype)}`,
  });

export function float8StaticActivationFloat8Weight(
  options: Float8StaticActivationFloat8WeightOptions = {},
): Float8StaticActivationFloat8WeightConfig {
  return makeConfig(float8StaticActivationFloat8WeightSpec, { ...options });
}
