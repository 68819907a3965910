// Codecs of config fields: value <-> JSON as torchao's config_to_dict writes it.
import { AoError } from '@ao/core';
import type { AoConfig } from './config.ts';
import type { Granularity } from './granularity.ts';
import type { EnumSpec } from './names.ts';
import { Float, type Json } from './python-json.ts';

/** Encodes and decodes nested configs; carries the set of known types. */
export interface Nested {
  encode(config: AoConfig): Json;
  decode(json: unknown, where: string): AoConfig;
}

export interface Field<T = unknown> {
  encode(value: T, nested: Nested): Json;
  decode(json: unknown, where: string, nested: Nested): T;
  /** Checks what a caller passes and brings it to the stored form. */
  accept(value: unknown, where: string): T;
}

type Tagged = { readonly _type: string; readonly _version?: number; readonly _data: unknown };

export function isTagged(json: unknown): json is Tagged {
  return typeof json === 'object' && json !== null && '_type' in json && '_data' in json;
}

export function configError(message: string, fix?: string): AoError {
  return new AoError('ERR_AO_CONFIG', message, fix === undefined ? {} : { fix });
}

function expected(where: string, what: string, got: unknown): AoError {
  return configError(`${where}: expected ${what}, got ${JSON.stringify(got)}`);
}

function simple<T extends Json>(
  what: string,
  test: (v: unknown) => boolean,
  encode: (v: T) => Json = (v) => v,
): Field<T> {
  const accept = (value: unknown, where: string): T => {
    if (!test(value)) throw expected(where, what, value);
    return value as T;
  };
  return { encode, decode: accept, accept };
}

export const bool = /*@__PURE__*/ simple<boolean>('true or false', (v) => typeof v === 'boolean');
export const int = /*@__PURE__*/ simple<number>('an integer', (v) => Number.isInteger(v));
export const float = /*@__PURE__*/ simple<number>(
  'a number',
  (v) => typeof v === 'number',
  (v) => new Float(v),
);
export const text = /*@__PURE__*/ simple<string>('a string', (v) => typeof v === 'string');
export const ints = /*@__PURE__*/ simple<readonly number[]>(
  'a list of integers',
  (v) => Array.isArray(v) && v.every(Number.isInteger),
);

/** One of a fixed set of strings. */
export const oneOf = <T extends string>(...values: T[]): Field<T> =>
  simple<T>(values.map((v) => `'${v}'`).join(' or '), (v) => values.includes(v as T));

/** Nested lists of numbers: a tensor inside a static config. */
export const numbers = (isFloat: boolean): Field<Json> => {
  const test = (v: unknown): boolean => typeof v === 'number' || (Array.isArray(v) && v.every(test));
  const encode = (v: Json): Json =>
    Array.isArray(v) ? v.map(encode) : isFloat && typeof v === 'number' ? new Float(v) : v;
  return simple<Json>('nested lists of numbers', test, encode);
};

/** null or the inner field. */
export const optional = <T>(inner: Field<T>): Field<T | null> => ({
  encode: (v, nested) => (v === null ? null : inner.encode(v, nested)),
  decode: (json, where, nested) => (json === null ? null : inner.decode(json, where, nested)),
  accept: (v, where) => (v === null ? null : inner.accept(v, where)),
});

/** A member of `spec`; string enums keep the form they were given in, as torchao does. */
export const enumeration = <T extends string>(spec: EnumSpec): Field<T> => {
  const values = spec.members.map((m) => m.toLowerCase());
  const list = (spec.strings ? values : spec.members).join(', ');
  return {
    encode: (v) => (spec.members.includes(v) ? { _type: spec.name, _data: v } : v),
    decode: (json, where) => {
      if (isTagged(json) && json._type === spec.name && spec.members.includes(json._data as string))
        return json._data as T;
      if (spec.strings && typeof json === 'string' && values.includes(json)) return json as T;
      throw expected(where, `a ${spec.name} (${list})`, json);
    },
    accept: (v, where) => {
      if (typeof v === 'string' && spec.members.includes(v)) return v as T;
      if (typeof v === 'string' && values.includes(v)) return (spec.strings ? v : v.toUpperCase()) as T;
      throw expected(where, `a ${spec.name} (${list})`, v);
    },
  };
};

/** A torch.dtype by name; names torch has no dtype for (fp6_e2m3) are plain strings, as in torchao. */
export const dtypeName = <T extends string>(torch: readonly string[], strings: readonly string[] = []): Field<T> => ({
  encode: (v) => (strings.includes(v) ? v : { _type: 'torch.dtype', _data: v }),
  decode: (json, where) => {
    if (isTagged(json) && json._type === 'torch.dtype' && torch.includes(json._data as string)) return json._data as T;
    if (typeof json === 'string' && strings.includes(json)) return json as T;
    throw expected(where, `a torch.dtype (${[...torch, ...strings].join(', ')})`, json);
  },
  accept: (v, where) => {
    const name = typeof v === 'object' && v !== null && 'name' in v ? v.name : v;
    if (typeof name === 'string' && (torch.includes(name) || strings.includes(name))) return name as T;
    throw expected(where, `a dtype (${[...torch, ...strings].join(', ')})`, name);
  },
});

const granularityFields: Record<string, readonly [key: string, json: string][]> = {
  PerTensor: [],
  PerToken: [],
  PerAxis: [['axis', 'axis']],
  PerRow: [['dim', 'dim']],
  PerGroup: [['groupSize', 'group_size']],
  PerBlock: [['blockSize', 'block_size']],
};

function granularityJson(g: Granularity): Json {
  const data: Record<string, Json> = {};
  const values = g as unknown as Record<string, Json>;
  for (const [key, json] of granularityFields[g.type] ?? []) data[json] = values[key] ?? null;
  return { _type: g.type, _version: 1, _data: data };
}

export function granularityFromJson(json: unknown, where: string, allowed: readonly string[]): Granularity {
  const fields = isTagged(json) ? granularityFields[json._type] : undefined;
  if (!isTagged(json) || fields === undefined || !allowed.includes(json._type))
    throw expected(where, allowed.join(' or '), json);
  const out: Record<string, unknown> = { type: json._type };
  const data = json._data as Record<string, unknown>;
  for (const name of Object.keys(data)) {
    if (!fields.some(([, key]) => key === name)) throw configError(`${where}: ${json._type} has no field ${name}`);
  }
  for (const [key, name] of fields) out[key] = data[name];
  return Object.freeze(out) as unknown as Granularity;
}

/** A granularity, or with `pair` also a list of two: activation, weight. */
export const granularity = <T>(allowed: readonly Granularity['type'][], pair = false): Field<T> => {
  const isOne = (v: unknown): v is Granularity =>
    allowed.includes((v as Granularity | null)?.type as Granularity['type']);
  return {
    encode: (v) => (Array.isArray(v) ? v.map(granularityJson) : granularityJson(v as unknown as Granularity)),
    decode: (json, where) =>
      (pair && Array.isArray(json)
        ? Object.freeze(json.map((item) => granularityFromJson(item, where, allowed)))
        : granularityFromJson(json, where, allowed)) as T,
    accept: (v, where) => {
      if (isOne(v) || (pair && Array.isArray(v) && v.length === 2 && v.every(isOne))) return v as T;
      throw expected(where, `${allowed.join(' or ')}${pair ? ', or [activation, weight]' : ''}`, v);
    },
  };
};
