// The one JSON codec of configs: exactly torchao's config_to_dict and config_from_dict. Unknown types, fields, enum members
// and versions are errors. Config types from outside this package are found through a runtime whose extensions have them.
import type { Runtime } from '@ao/core';
import { specTrait } from '../quantize/trait.ts';
import { type AnyConfigSpec, type AoConfig, decodeConfig, encodeConfig } from './config.ts';
import { configError, isTagged, type Nested } from './field.ts';
import { floatSpecs } from './float-specs.ts';
import { fqnToConfigSpec } from './fqn-to-config.ts';
import { int4WeightOnlySpec, prototypeInt4WeightOnlySpec } from './int4-weight-only.ts';
import { int8DynamicActivationInt8WeightSpec } from './int8-dynamic-activation-int8-weight.ts';
import { int8DynamicActivationIntxWeightSpec } from './int8-dynamic-activation-intx-weight.ts';
import { int8StaticActivationInt8WeightSpec } from './int8-static-activation-int8-weight.ts';
import { int8WeightOnlySpec } from './int8-weight-only.ts';
import { intxWeightOnlySpec } from './intx-weight-only.ts';
import { knownSpecs } from './known.ts';
import { type Json, type PythonJsonOptions, plainJson, pythonJson } from './python-json.ts';

/** Names torchao gave to the same class over time. */
const aliases: Readonly<Record<string, string>> = {
  ModuleFqnToConfig: 'FqnToConfig',
  AOPerModuleConfig: 'FqnToConfig',
};

/** Of two specs of one type the later is taken. */
const builtin = (): AnyConfigSpec[] => [
  ...knownSpecs,
  int8WeightOnlySpec,
  int8DynamicActivationInt8WeightSpec,
  int8StaticActivationInt8WeightSpec,
  int4WeightOnlySpec,
  prototypeInt4WeightOnlySpec,
  intxWeightOnlySpec,
  int8DynamicActivationIntxWeightSpec,
  fqnToConfigSpec,
  ...floatSpecs,
];

/** Where config types beyond the built-in ones come from. */
export type MoreConfigs = Runtime | readonly AnyConfigSpec[];

const isRuntime = (more: MoreConfigs): more is Runtime => !Array.isArray(more);

function finder(more: MoreConfigs): (type: string) => AnyConfigSpec | undefined {
  const specs = new Map([...builtin(), ...(isRuntime(more) ? [] : more)].map((s) => [s.type as string, s]));
  return (type) => {
    // a runtime's own says more than what is known of a config only to keep it
    if (isRuntime(more) && more.answers(specTrait, { type })) return more.ask(specTrait, { type });
    return specs.get(aliases[type] ?? type);
  };
}

function codec(more: MoreConfigs): Nested {
  const lookUp = finder(more);
  const find = (type: string): AnyConfigSpec => {
    const spec = lookUp(type);
    if (spec === undefined)
      throw configError(
        `unknown config type ${type}`,
        `known: ${builtin()
          .map((s) => s.type)
          .join(', ')}; for others put their extension into createRuntime({ use }) and pass the runtime`,
      );
    return spec;
  };
  const nested: Nested = {
    encode: (config) => encodeConfig(find(config.type), config, nested),
    decode: (json, where) => {
      if (!isTagged(json)) throw configError(`${where}: a config is an object with _type, _version and _data`);
      const spec = find(json._type);
      return decodeConfig(spec, { ...json, _type: spec.type }, where, nested);
    },
  };
  return nested;
}

/** torchao's config_to_dict: plain objects, ready for JSON. */
export function configToDict(config: AoConfig, more: MoreConfigs = []): Record<string, unknown> {
  return plainJson(configToJsonTree(config, more)) as Record<string, unknown>;
}

/** The same tree with floats marked, for pythonJson. */
export function configToJsonTree(config: AoConfig, more: MoreConfigs = []): Json {
  return codec(more).encode(config);
}

/** The text json.dumps(config_to_dict(config)) gives. */
export function configToJson(config: AoConfig, options: PythonJsonOptions = {}, more: MoreConfigs = []): string {
  return pythonJson(configToJsonTree(config, more), options);
}

/** torchao's config_from_dict; throws ERR_AO_CONFIG on anything it does not know. */
export function configFromDict(dict: unknown, more: MoreConfigs = []): AoConfig {
  return codec(more).decode(dict, 'config');
}

export function configFromJson(json: string, more: MoreConfigs = []): AoConfig {
  return configFromDict(JSON.parse(json), more);
}

/** The short name of a config, as parseScheme reads it where it can. */
export function schemeName(config: AoConfig, more: MoreConfigs = []): string {
  const spec = finder(more)(config.type);
  return spec === undefined ? config.type : spec.scheme(config);
}
