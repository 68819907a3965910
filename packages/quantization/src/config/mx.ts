// MX: blocks of 32 values of a row that share a power of two (OCP Microscaling Formats v1.0). MXWeightOnlyConfig is ours; torchao
// has MX weights with MX activations only.
import { type ConfigSpec, configSpec, field, makeConfig } from './config.ts';
import { configError, int } from './field.ts';
import {
  type KernelPreference,
  kernelPreference,
  type MemberOf,
  type MXDtype,
  mxDtype,
  type ScaleCalculationMode,
  scalingMode,
} from './float-fields.ts';
import { member } from './names.ts';

export interface MXDynamicActivationMXWeightConfig {
  readonly type: 'MXDynamicActivationMXWeightConfig';
  readonly blockSize: number;
  readonly activationDtype: MXDtype;
  readonly weightDtype: MXDtype;
  readonly kernelPreference: MemberOf<KernelPreference>;
  readonly scalingMode: MemberOf<ScaleCalculationMode>;
}

export interface MXDynamicActivationMXWeightOptions {
  blockSize?: number;
  activationDtype?: MXDtype | { readonly name: string };
  weightDtype?: MXDtype | { readonly name: string };
  kernelPreference?: MemberOf<KernelPreference>;
  scalingMode?: MemberOf<ScaleCalculationMode>;
  version?: number;
}

export interface MXWeightOnlyConfig {
  readonly type: 'MXWeightOnlyConfig';
  readonly blockSize: number;
  readonly weightDtype: MXDtype;
  readonly scalingMode: MemberOf<ScaleCalculationMode>;
}

export type MXWeightOnlyOptions = Pick<
  MXDynamicActivationMXWeightOptions,
  'blockSize' | 'weightDtype' | 'scalingMode' | 'version'
>;

const SHORT: Readonly<Record<MXDtype, string>> = {
  float8_e4m3fn: 'mxfp8',
  float8_e5m2: 'mxfp8-e5m2',
  fp6_e2m3: 'mxfp6-e2m3',
  fp6_e3m2: 'mxfp6-e3m2',
  float4_e2m1fn_x2: 'mxfp4',
};

function checkBlock(type: string, blockSize: number): void {
  if (blockSize >= 2 && blockSize % 2 === 0) return;
  throw configError(`${type}: block size ${blockSize}`, 'use 32, the block of the MX formats');
}

const modeName = (mode: string): string => (member(mode) === 'RCEIL' ? '' : `-${mode.toLowerCase()}`);

export const mxDynamicActivationMxWeightSpec: ConfigSpec<MXDynamicActivationMXWeightConfig> = /*@__PURE__*/ configSpec({
  type: 'MXDynamicActivationMXWeightConfig',
  version: 1,
  fields: {
    blockSize: /*@__PURE__*/ field(int, 32),
    activationDtype: /*@__PURE__*/ field<MXDtype>(mxDtype, 'float8_e4m3fn'),
    weightDtype: /*@__PURE__*/ field<MXDtype>(mxDtype, 'float8_e4m3fn'),
    kernelPreference: /*@__PURE__*/ field<MemberOf<KernelPreference>>(kernelPreference, 'AUTO'),
    scalingMode: /*@__PURE__*/ field<MemberOf<ScaleCalculationMode>>(scalingMode, 'RCEIL'),
  },
  check: ({ type, blockSize, activationDtype, weightDtype }) => {
    checkBlock(type, blockSize);
    if (activationDtype === weightDtype) return;
    throw configError(
      `${type}: activations in ${activationDtype} with weights in ${weightDtype}`,
      'give both the same dtype',
    );
  },
  scheme: ({ weightDtype, scalingMode: mode }) => `${SHORT[weightDtype]}dq${modeName(mode)}`,
});

export const mxWeightOnlySpec: ConfigSpec<MXWeightOnlyConfig> = /*@__PURE__*/ configSpec({
  type: 'MXWeightOnlyConfig',
  version: 1,
  fields: {
    blockSize: /*@__PURE__*/ field(int, 32),
    weightDtype: /*@__PURE__*/ field<MXDtype>(mxDtype, 'float8_e4m3fn'),
    scalingMode: /*@__PURE__*/ field<MemberOf<ScaleCalculationMode>>(scalingMode, 'RCEIL'),
  },
  check: ({ type, blockSize }) => checkBlock(type, blockSize),
  scheme: ({ weightDtype, scalingMode: mode }) => `${SHORT[weightDtype]}wo${modeName(mode)}`,
});

/** `quantize_(model, mxDynamicActivationMxWeight({ activationDtype: 'fp6_e2m3', weightDtype: 'fp6_e2m3' }))`. */
export function mxDynamicActivationMxWeight(
  options: MXDynamicActivationMXWeightOptions = {},
): MXDynamicActivationMXWeightConfig {
  return makeConfig(mxDynamicActivationMxWeightSpec, { ...options });
}

/** `quantize_(model, mxWeightOnly({ weightDtype: 'float4_e2m1fn_x2' }))`. */
export function mxWeightOnly(options: MXWeightOnlyOptions = {}): MXWeightOnlyConfig {
  return makeConfig(mxWeightOnlySpec, { ...options });
}
