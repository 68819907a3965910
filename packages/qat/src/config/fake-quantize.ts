// What to round a weight or an activation to while training: torchao's FakeQuantizeConfigs as plain data.
import { AoError, dtypeRange } from '@ao/core';
import {
  type Granularity,
  MappingType,
  type PerAxis,
  type PerGroup,
  perAxis,
  perGroup,
  perRow,
  perToken,
} from '@ao/quantization';

type PerToken = Extract<Granularity, { type: 'PerToken' }>;
export type FloatName = 'float32' | 'float16' | 'bfloat16';

export interface IntxFakeQuantizeConfig {
  readonly type: 'IntxFakeQuantizeConfig';
  /** int1..int8 or uint1..uint8. */
  readonly dtype: string;
  readonly granularity: PerToken | PerAxis | PerGroup;
  readonly mappingType: MappingType;
  /** null: the dtype of the values. */
  readonly scalePrecision: FloatName | null;
  readonly isDynamic: boolean;
  readonly rangeLearning: boolean;
  readonly eps: number | null;
}

export interface IntxFakeQuantizeOptions {
  dtype: string | { readonly name: string };
  granularity?: PerToken | PerAxis | PerGroup | 'per_token' | 'per_channel' | 'per_group';
  mappingType?: MappingType;
  scalePrecision?: FloatName | { readonly name: string } | null;
  /** false with rangeLearning: scales are parameters, set by initializeFakeQuantizers. */
  isDynamic?: boolean;
  rangeLearning?: boolean;
  eps?: number | null;
  /** perGroup(groupSize). */
  groupSize?: number;
  /** Instead of mappingType; symmetric unless given. */
  isSymmetric?: boolean;
}

export interface Int4WeightFakeQuantizeConfig {
  readonly type: 'Int4WeightFakeQuantizeConfig';
  readonly groupSize: number;
  readonly activationDtype: 'float8_e4m3fn' | 'bfloat16';
}

export interface Float8FakeQuantizeConfig {
  readonly type: 'Float8FakeQuantizeConfig';
  readonly dtype: 'float8_e4m3fn' | 'float8_e5m2';
  readonly granularity: Extract<Granularity, { type: 'PerRow' | 'PerTensor' | 'PerBlock' }>;
  /** Bounds of the amax that a scale is made from. */
  readonly hpValueLb: number | null;
  readonly hpValueUb: number | null;
}

export interface MXFakeQuantizeConfig {
  readonly type: 'MXFakeQuantizeConfig';
  readonly dtype: 'float4_e2m1fn_x2' | 'float8_e4m3fn' | 'float8_e5m2' | 'fp6_e2m3' | 'fp6_e3m2';
  readonly blockSize: number;
  readonly scalingMode: 'FLOOR' | 'CEIL' | 'EVEN' | 'RCEIL';
}

export interface NVFP4FakeQuantizeConfig {
  readonly type: 'NVFP4FakeQuantizeConfig';
  readonly usePerTensorScale: boolean;
}

export type FakeQuantizeConfigBase =
  | IntxFakeQuantizeConfig
  | Int4WeightFakeQuantizeConfig
  | Float8FakeQuantizeConfig
  | MXFakeQuantizeConfig
  | NVFP4FakeQuantizeConfig;

/** ERR_AO_CONFIG of this package. */
export const configError = (message: string, fix: string): AoError =>
  new AoError('ERR_AO_CONFIG', message, { op: 'qat', fix });

const nameOf = (x: string | { readonly name: string }): string => (typeof x === 'string' ? x : x.name);

function granularityOf({ granularity, groupSize }: IntxFakeQuantizeOptions): IntxFakeQuantizeConfig['granularity'] {
  if (groupSize !== undefined && granularity !== undefined && granularity !== 'per_group') {
    throw configError(`groupSize ${groupSize} and granularity are both given`, 'leave one of them out');
  }
  if (groupSize !== undefined) return perGroup(groupSize);
  if (granularity === 'per_token') return perToken() as PerToken;
  if (granularity === 'per_channel') return perAxis(0);
  if (typeof granularity === 'object' && ['PerToken', 'PerAxis', 'PerGroup'].includes(granularity.type)) {
    if (granularity.type !== 'PerAxis' || granularity.axis === 0) return granularity;
  }
  throw configError(
    `granularity ${JSON.stringify(granularity)} says no groups`,
    "use 'per_token', 'per_channel', perAxis(0), perGroup(n), or groupSize",
  );
}

/**
 * `intxFakeQuantize({ dtype: 'int4', groupSize: 32 })`, `intxFakeQuantize({ dtype: 'int8', granularity: 'per_token', isSymmetric: false })`.
 * Throws ERR_AO_CONFIG for what no fake quantization can be.
 */
export function intxFakeQuantize(options: IntxFakeQuantizeOptions): IntxFakeQuantizeConfig {
  const { mappingType, isSymmetric, isDynamic = true, rangeLearning = false, eps = null } = options;
  const dtype = nameOf(options.dtype);
  dtypeRange('intxFakeQuantize', dtype);
  if (mappingType !== undefined && isSymmetric !== undefined)
    throw configError('mappingType and isSymmetric are both given', 'leave one of them out');
  if (isDynamic && rangeLearning)
    throw configError('scales that are found anew are not learned', 'pass isDynamic: false with rangeLearning');
  const scalePrecision = options.scalePrecision === undefined ? 'float32' : options.scalePrecision;
  const mapping = mappingType ?? ((isSymmetric ?? true) ? 'SYMMETRIC' : 'ASYMMETRIC');
  if (!(mapping in MappingType))
    throw configError(`mappingType ${mapping}`, `use ${Object.keys(MappingType).join(', ')}`);
  return Object.freeze({
    type: 'IntxFakeQuantizeConfig',
    dtype,
    granularity: granularityOf(options),
    mappingType: mapping,
    scalePrecision: scalePrecision === null ? null : (nameOf(scalePrecision) as FloatName),
    isDynamic,
    rangeLearning,
    eps,
  });
}

/** torchao's older name of intxFakeQuantize. */
export const FakeQuantizeConfig = (options: IntxFakeQuantizeOptions): IntxFakeQuantizeConfig =>
  intxFakeQuantize(options);

export const int4WeightFakeQuantize = (
  options: Partial<Omit<Int4WeightFakeQuantizeConfig, 'type'>> = {},
): Int4WeightFakeQuantizeConfig =>
  Object.freeze({ type: 'Int4WeightFakeQuantizeConfig', groupSize: 128, activationDtype: 'float8_e4m3fn', ...options });

export const float8FakeQuantize = (
  options: Partial<Omit<Float8FakeQuantizeConfig, 'type'>> = {},
): Float8FakeQuantizeConfig =>
  Object.freeze({
    type: 'Float8FakeQuantizeConfig',
    dtype: 'float8_e4m3fn',
    granularity: perRow(),
    hpValueLb: null,
    hpValueUb: null,
    ...options,
  });

export const mxFakeQuantize = (options: Partial<Omit<MXFakeQuantizeConfig, 'type'>> = {}): MXFakeQuantizeConfig =>
  Object.freeze({
    type: 'MXFakeQuantizeConfig',
    dtype: 'float4_e2m1fn_x2',
    blockSize: 32,
    scalingMode: 'RCEIL',
    ...options,
  });

export const nvfp4FakeQuantize = (
  options: Partial<Omit<NVFP4FakeQuantizeConfig, 'type'>> = {},
): NVFP4FakeQuantizeConfig => Object.freeze({ type: 'NVFP4FakeQuantizeConfig', usePerTensorScale: true, ...options });
