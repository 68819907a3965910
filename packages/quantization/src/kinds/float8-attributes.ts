// Attributes of float8 tensors in torchao's file form: kernel preference, Float8MMConfig, and how activations are quantized.
import type { Float8Dtype, Float8MMConfig, KernelPreference, MemberOf } from '../config/float-fields.ts';
import { mmConfigData, mmConfigFromData } from '../config/float-fields.ts';
import type { Float8Granularity } from '../config/float8-dynamic-activation-float8-weight.ts';
import { member } from '../config/names.ts';
import { Float } from '../config/python-json.ts';
import { decodeDtypeName, decodeInts, encodeDtype, formatError, type JsonFields, tagged } from './attributes.ts';

/** How a Float8Tensor quantizes its activation. */
export interface QuantizeTensorToFloat8Kwargs {
  readonly float8Dtype: Float8Dtype;
  readonly granularity: Float8Granularity;
  readonly mmConfig: Float8MMConfig | null;
  /** Bounds of the amax that the scale is made from. */
  readonly hpValueLb: number | null;
  readonly hpValueUb: number | null;
  readonly kernelPreference: MemberOf<KernelPreference>;
}

export const encodePreference = (value: MemberOf<KernelPreference>): JsonFields => ({
  _type: 'KernelPreference',
  _data: member(value),
});

export const decodePreference = (json: unknown): KernelPreference =>
  json === undefined ? 'AUTO' : (String(tagged(json, 'KernelPreference')) as KernelPreference);

export const encodeMM = (mm: Float8MMConfig | null): JsonFields | null =>
  mm === null ? null : { _type: 'Float8MMConfig', _data: mmConfigData(mm) };

export const decodeMM = (json: unknown): Float8MMConfig | null =>
  json === null || json === undefined ? null : mmConfigFromData(json, 'mm_config');

function encodeGranularity(g: Float8Granularity): JsonFields {
  const data = g.type === 'PerRow' ? { dim: g.dim } : g.type === 'PerBlock' ? { block_size: g.blockSize } : {};
  return { _type: g.type, _data: data };
}

function decodeGranularity(json: unknown): Float8Granularity {
  const g = json as { _type?: string; _data?: { dim?: number; block_size?: unknown } };
  if (g?._type === 'PerRow') return { type: 'PerRow', dim: g._data?.dim ?? -1 };
  if (g?._type === 'PerTensor') return { type: 'PerTensor' };
  if (g?._type === 'PerBlock') return { type: 'PerBlock', blockSize: decodeInts(g._data?.block_size, 'block_size') };
  throw formatError('activations are quantized PerRow, PerTensor or PerBlock', g, 'quantize the model again');
}

const bound = (x: number | null): Float | null => (x === null ? null : new Float(x));

export function encodeFloat8Kwargs(kwargs: QuantizeTensorToFloat8Kwargs | null): JsonFields | null {
  if (kwargs === null) return null;
  return {
    _type: 'QuantizeTensorToFloat8Kwargs',
    _data: {
      float8_dtype: encodeDtype(kwargs.float8Dtype),
      granularity: encodeGranularity(kwargs.granularity),
      mm_config: encodeMM(kwargs.mmConfig),
      hp_value_lb: bound(kwargs.hpValueLb),
      hp_value_ub: bound(kwargs.hpValueUb),
      kernel_preference: encodePreference(kwargs.kernelPreference),
    },
  };
}

export function decodeFloat8Kwargs(json: unknown): QuantizeTensorToFloat8Kwargs | null {
  if (json === null || json === undefined) return null;
  const data = tagged(json, 'QuantizeTensorToFloat8Kwargs') as Record<string, unknown>;
  return {
    float8Dtype: decodeDtypeName(data.float8_dtype) as Float8Dtype,
    granularity: decodeGranularity(data.granularity),
    mmConfig: decodeMM(data.mm_config),
    hpValueLb: (data.hp_value_lb ?? null) as number | null,
    hpValueUb: (data.hp_value_ub ?? null) as number | null,
    kernelPreference: decodePreference(data.kernel_preference),
  };
}
