// Codecs of the fields that torchao's float configs share: dtypes, kernel preference, steps, scaling modes, Float8MMConfig.
import { bool, configError, dtypeName, enumeration, type Field, granularity, isTagged, optional } from './field.ts';
import type { Granularity } from './granularity.ts';
import { type EnumSpec, enums } from './names.ts';

const enumSpec = (name: string, strings: boolean, ...members: string[]): EnumSpec => ({ name, members, strings });

export type KernelPreference = 'AUTO' | 'TORCH' | 'MSLK' | 'EMULATED' | 'DEEPGEMM' | 'TRITON' | 'CUTEDSL';
export type QuantizationStep = 'PREPARE' | 'CONVERT' | 'PREPARE_FOR_LOADING';
export type ScaleCalculationMode = 'FLOOR' | 'CEIL' | 'EVEN' | 'RCEIL';
export type Float8Dtype = 'float8_e4m3fn' | 'float8_e5m2';
/** Elements of MX blocks, by torchao's names. */
export type MXDtype = Float8Dtype | 'float4_e2m1fn_x2' | 'fp6_e2m3' | 'fp6_e3m2';

/** Members, or their lower-case value as Python takes it. */
export type MemberOf<T extends string> = T | Lowercase<T>;

export const kernelPreference: Field<MemberOf<KernelPreference>> = /*@__PURE__*/ enumeration(
  /*@__PURE__*/ enumSpec(
    'KernelPreference',
    true,
    'AUTO',
    'TORCH',
    'MSLK',
    'EMULATED',
    'DEEPGEMM',
    'TRITON',
    'CUTEDSL',
  ),
);
export const step: Field<MemberOf<QuantizationStep> | null> = /*@__PURE__*/ optional(
  /*@__PURE__*/ enumeration(
    /*@__PURE__*/ enumSpec('QuantizationStep', true, 'PREPARE', 'CONVERT', 'PREPARE_FOR_LOADING'),
  ),
);
export const scalingMode: Field<MemberOf<ScaleCalculationMode>> = /*@__PURE__*/ enumeration(
  /*@__PURE__*/ enumSpec('ScaleCalculationMode', true, 'FLOOR', 'CEIL', 'EVEN', 'RCEIL'),
);
export const float8Dtype: Field<Float8Dtype> = /*@__PURE__*/ dtypeName<Float8Dtype>(['float8_e4m3fn', 'float8_e5m2']);
export const mxDtype: Field<MXDtype> = /*@__PURE__*/ dtypeName<MXDtype>(
  ['float8_e4m3fn', 'float8_e5m2', 'float4_e2m1fn_x2'],
  ['fp6_e2m3', 'fp6_e3m2'],
);
export const float8Packing: Field<string> = /*@__PURE__*/ enumeration(
  /*@__PURE__*/ enumSpec(
    'Float8PackingFormat',
    true,
    'PLAIN',
    'SPARSE_2D_DATA_2D_METADATA',
    'SPARSE_1D_DATA_1D_METADATA',
  ),
);
export const int4Packing: Field<string> = /*@__PURE__*/ enumeration(enums.int4PackingFormat);

/** null, one granularity, or [activation, weight]. */
export const float8Granularity: Field<Granularity | readonly Granularity[] | null> = /*@__PURE__*/ optional(
  /*@__PURE__*/ granularity<Granularity | readonly Granularity[]>(
    ['PerTensor', 'PerRow', 'PerGroup', 'PerBlock'],
    true,
  ),
);

/** How torchao multiplies float8 matrices; kept in files, no choice here. */
export interface Float8MMConfig {
  readonly emulate: boolean;
  readonly useFastAccum: boolean;
  readonly padInnerDim: boolean;
}

export const fastAccum = (useFastAccum: boolean): Float8MMConfig =>
  Object.freeze({ emulate: false, useFastAccum, padInnerDim: false });

/** `_data` of a Float8MMConfig, in configs and in files. */
export const mmConfigData = (v: Float8MMConfig): Record<string, boolean> => ({
  emulate: v.emulate,
  use_fast_accum: v.useFastAccum,
  pad_inner_dim: v.padInnerDim,
});

export function mmConfigFromData(json: unknown, where: string): Float8MMConfig {
  if (!isTagged(json) || json._type !== 'Float8MMConfig') throw configError(`${where}: expected a Float8MMConfig`);
  const data = json._data as Record<string, unknown>;
  const get = (name: string): boolean => bool.accept(data[name] ?? false, `${where}.${name}`);
  return Object.freeze({
    emulate: get('emulate'),
    useFastAccum: get('use_fast_accum'),
    padInnerDim: get('pad_inner_dim'),
  });
}

export const mmConfig: Field<Float8MMConfig | null> = /*@__PURE__*/ optional<Float8MMConfig>({
  encode: (v) => ({ _type: 'Float8MMConfig', _version: 1, _data: mmConfigData(v) }),
  decode: (json, where) => mmConfigFromData(json, where),
  accept: (v) => v as Float8MMConfig,
});
