// A config is plain readonly data: `type` is torchao's class name, the fields are torchao's in camel case. A ConfigSpec
// holds what the data means: field order, defaults, version, checks, and old option names with what they mean today.
import { configError, type Field, isTagged, type Nested } from './field.ts';
import type { Json } from './python-json.ts';

export interface AoConfig {
  readonly type: string;
}

/** Says what an old option means today: an object of today's options, or an error that names the replacement. */
export type Renamed = (value: unknown, options: Readonly<Record<string, unknown>>) => Record<string, unknown>;

export interface ConfigSpec<C extends AoConfig = AoConfig> {
  readonly type: C['type'];
  readonly version: number;
  /** torchao's fields in its order, by camel-case name, with their defaults. */
  readonly fields: Readonly<Record<string, readonly [Field<never>, unknown]>>;
  /** Ours; stored under `ao` beside torchao's `_data`, and only where they differ from the default. */
  readonly ao?: Readonly<Record<string, readonly [Field<never>, unknown]>>;
  readonly renamed?: Readonly<Record<string, Renamed>>;
  /** Fills fields that follow from others. */
  readonly complete?: (values: Record<string, unknown>) => void;
  /** Throws ERR_AO_CONFIG on combinations that make no sense. */
  readonly check?: (config: C) => void;
  /** The short name people write: int4wo-32. */
  readonly scheme: (config: C) => string;
  /** For types only. */
  readonly _config?: C;
}

// biome-ignore lint/suspicious/noExplicitAny: the erased form, as tables of specs hold it
export type AnyConfigSpec = ConfigSpec<any>;

export function configSpec<C extends AoConfig>(spec: ConfigSpec<C>): ConfigSpec<C> {
  return Object.freeze(spec);
}

export const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** `[codec, default]` of one field. */
export const field = <T>(codec: Field<T>, fallback: NoInfer<T>): readonly [Field<never>, unknown] => [
  codec as Field<never>,
  fallback,
];

function finish<C extends AoConfig>(spec: ConfigSpec<C>, values: Record<string, unknown>): C {
  spec.complete?.(values);
  const config = Object.freeze(values) as unknown as C;
  spec.check?.(config);
  return config;
}

/** Makes a config from options: defaults, old names, checks. */
export function makeConfig<C extends AoConfig>(spec: ConfigSpec<C>, options: Readonly<Record<string, unknown>>): C {
  let given: Record<string, unknown> = { ...options };
  for (const [name, value] of Object.entries(options)) {
    if (name === 'version') {
      if (value !== spec.version) throw versionError(spec, value);
      delete given.version;
    } else if (value !== undefined && spec.renamed?.[name] !== undefined) {
      delete given[name];
      given = { ...given, ...spec.renamed[name](value, options) };
    }
  }
  const fields = { ...spec.fields, ...spec.ao };
  const values: Record<string, unknown> = { type: spec.type };
  for (const [name, [codec, fallback]] of Object.entries(fields)) {
    const value = given[name];
    values[name] = value === undefined ? fallback : codec.accept(value, `${spec.type}.${name}`);
    delete given[name];
  }
  for (const name of Object.keys(given)) {
    throw configError(`${spec.type} has no option ${name}`, `use one of: ${Object.keys(fields).join(', ')}`);
  }
  return finish(spec, values);
}

/** A config that was written by hand, with the defaults of what it leaves out. */
export function completed<C extends AoConfig>(spec: ConfigSpec<C>, config: C): C {
  const values = { ...config } as unknown as Record<string, unknown>;
  for (const [name, [, fallback]] of Object.entries({ ...spec.fields, ...spec.ao }))
    if (values[name] === undefined) values[name] = fallback;
  spec.complete?.(values);
  return values as unknown as C;
}

function versionError(spec: AnyConfigSpec, version: unknown): Error {
  return configError(
    `${spec.type}: version ${String(version)} is not supported; torchao's own version is ${spec.version}`,
    `leave the version out, or set it to ${spec.version}`,
  );
}

export function encodeConfig(spec: AnyConfigSpec, config: AoConfig, nested: Nested): Json {
  const values = config as unknown as Record<string, never>;
  const data: Record<string, Json> = {};
  for (const [name, [codec]] of Object.entries(spec.fields))
    data[snakeCase(name)] = codec.encode(values[name] as never, nested);
  const ao: Record<string, Json> = {};
  for (const [name, [codec, fallback]] of Object.entries(spec.ao ?? {})) {
    if (values[name] !== fallback) ao[snakeCase(name)] = codec.encode(values[name] as never, nested);
  }
  const out = { _type: spec.type, _version: spec.version, _data: data };
  return Object.keys(ao).length > 0 ? { ...out, ao } : out;
}

export function decodeConfig(spec: AnyConfigSpec, json: unknown, where: string, nested: Nested): AoConfig {
  if (!isTagged(json) || typeof json._data !== 'object' || json._data === null) {
    throw configError(`${where}: a config needs _type, _version and _data`);
  }
  const version = json._version ?? 1;
  if (version !== spec.version) throw versionError(spec, version);
  const ao = (json as { ao?: Record<string, unknown> }).ao ?? {};
  for (const name of Object.keys(json)) {
    if (!['_type', '_version', '_data', 'ao'].includes(name))
      throw configError(`${where}: ${spec.type} has an unknown entry ${name}`);
  }
  const values: Record<string, unknown> = { type: spec.type };
  const read = (fields: ConfigSpec['fields'], data: Readonly<Record<string, unknown>>, what: string): void => {
    const left = new Set(Object.keys(data));
    for (const [name, [codec, fallback]] of Object.entries(fields)) {
      const key = snakeCase(name);
      values[name] = left.delete(key) ? codec.decode(data[key], `${where}.${key}`, nested) : fallback;
    }
    for (const key of left) {
      throw configError(
        `${where}: ${spec.type} has no ${what} ${key}`,
        `known: ${Object.keys(fields).map(snakeCase).join(', ')}`,
      );
    }
  };
  read(spec.fields, json._data as Record<string, unknown>, 'field');
  read(spec.ao ?? {}, ao, 'ao field');
  return finish(spec, values);
}
