// Attributes of kinds as torchao's safetensors metadata has them: nested objects with _type and _data, no _version.
import { AoError, type DType, dtypeByName } from '@ao/core';
import type { PerRow, PerTensor } from '../config/granularity.ts';
import type { Activation, MappingType } from '../config/names.ts';

export type JsonFields = Readonly<Record<string, unknown>>;

export function formatError(what: string, got: unknown, fix: string): AoError {
  return new AoError('ERR_AO_FORMAT', `${what}, got ${JSON.stringify(got)}`, { fix });
}

export const tagged = (json: unknown, type: string): unknown => {
  const t = json as { _type?: unknown; _data?: unknown } | null;
  if (t?._type !== type)
    throw formatError(`expected a ${type}`, json, 'the file was written by something else, or is damaged');
  return t._data;
};

export const encodeDtype = (name: string): JsonFields => ({ _type: 'torch.dtype', _data: name });
export const decodeDtypeName = (json: unknown): string => String(tagged(json, 'torch.dtype'));
export const decodeDtype = (json: unknown): DType => dtypeByName(decodeDtypeName(json));

export function decodeInts(json: unknown, what: string): number[] {
  if (Array.isArray(json) && json.every((v) => Number.isInteger(v) && v > 0)) return json as number[];
  throw formatError(`${what} is a list of positive integers`, json, 'the file is damaged');
}

/** How an Int8Tensor quantizes its activation. */
export interface QuantizeTensorToInt8Kwargs {
  readonly granularity: PerRow | PerTensor;
  readonly mappingType: MappingType;
  readonly reduceRange: boolean;
  /** A single row is not quantized; not in torchao's files. */
  readonly weightOnlyDecode?: boolean;
}

export function encodeInt8Kwargs(kwargs: QuantizeTensorToInt8Kwargs | null): JsonFields | null {
  if (kwargs === null) return null;
  const { granularity: g } = kwargs;
  return {
    _type: 'QuantizeTensorToInt8Kwargs',
    _data: {
      granularity: { _type: g.type, _data: g.type === 'PerRow' ? { dim: g.dim } : {} },
      mapping_type: { _type: 'MappingType', _data: kwargs.mappingType },
      reduce_range: kwargs.reduceRange,
    },
  };
}

export function decodeInt8Kwargs(json: unknown): QuantizeTensorToInt8Kwargs | null {
  if (json === null || json === undefined) return null;
  const data = tagged(json, 'QuantizeTensorToInt8Kwargs') as Record<string, unknown>;
  const g = data.granularity as { _type?: string; _data?: { dim?: number } };
  if (g?._type !== 'PerRow' && g?._type !== 'PerTensor')
    throw formatError('activations are quantized PerRow or PerTensor', g, 'quantize the model again');
  const mappingType = tagged(data.mapping_type, 'MappingType') as MappingType;
  return {
    granularity: g._type === 'PerRow' ? { type: 'PerRow', dim: g._data?.dim ?? -1 } : { type: 'PerTensor' },
    mappingType,
    reduceRange: data.reduce_range === true,
  };
}

const activations: readonly Activation[] = ['exact', 'int8-group', 'int8-token'];

/** Our own field, stored beside torchao's; absent in files of torchao. */
export function decodeActivation(json: JsonFields): Activation {
  const value = (json.ao as JsonFields | undefined)?.activation ?? 'exact';
  if (activations.includes(value as Activation)) return value as Activation;
  throw formatError(`activation is one of ${activations.join(', ')}`, value, 'use a newer version of @ao/quantization');
}

/** Our own field for `weightOnlyDecode`. */
export function decodeKwargs(json: JsonFields): QuantizeTensorToInt8Kwargs | null {
  const kwargs = decodeInt8Kwargs(json.act_quant_kwargs);
  const own = (json.ao as JsonFields | undefined)?.weight_only_decode === true;
  return kwargs !== null && own ? { ...kwargs, weightOnlyDecode: true } : kwargs;
}

/** `_data` with our own fields beside it where they are not the default. */
export const withActivation = (data: JsonFields, activation: Activation): JsonFields =>
  activation === 'exact' ? data : { ...data, ao: { activation } };
