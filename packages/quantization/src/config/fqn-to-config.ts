// FqnToConfig: a config per module or parameter name. Keys are names, 're:' patterns that must match fully, or '_default';
// null leaves the module as it is. The order of patterns counts: the first that matches is taken.
import { type AoConfig, type ConfigSpec, configSpec, field } from './config.ts';
import { configError, type Field } from './field.ts';
import type { Json } from './python-json.ts';

export type FqnEntries = readonly (readonly [fqn: string, config: AoConfig | null])[];

export interface FqnToConfig {
  readonly type: 'FqnToConfig';
  readonly fqnToConfig: FqnEntries;
  /** The old name of the same table; torchao writes both. */
  readonly moduleFqnToConfig: FqnEntries;
}

export type FqnToConfigInput =
  | FqnEntries
  | ReadonlyMap<string, AoConfig | null>
  | Readonly<Record<string, AoConfig | null>>;

const entries: Field<FqnEntries> = {
  encode: (value, nested) =>
    new Map<string, Json>(value.map(([fqn, config]) => [fqn, config === null ? null : nested.encode(config)])),
  decode: (json, where, nested) => {
    if (typeof json !== 'object' || json === null)
      throw configError(`${where}: expected an object of names and configs`);
    return Object.entries(json).map(
      ([fqn, value]) => [fqn, value === null ? null : nested.decode(value, `${where}["${fqn}"]`)] as const,
    );
  },
  accept: (value) => value as FqnEntries,
};

const same = (a: FqnEntries, b: FqnEntries): boolean => JSON.stringify(a) === JSON.stringify(b);

export const fqnToConfigSpec: ConfigSpec<FqnToConfig> = /*@__PURE__*/ configSpec({
  type: 'FqnToConfig',
  version: 1,
  fields: {
    fqnToConfig: /*@__PURE__*/ field<FqnEntries>(entries, []),
    moduleFqnToConfig: /*@__PURE__*/ field<FqnEntries>(entries, []),
  },
  complete: (values) => {
    const table = values.fqnToConfig as FqnEntries;
    const old = values.moduleFqnToConfig as FqnEntries;
    if (table.length === 0) values.fqnToConfig = old;
    if (old.length === 0) values.moduleFqnToConfig = table;
  },
  check: ({ fqnToConfig, moduleFqnToConfig }) => {
    if (!same(fqnToConfig, moduleFqnToConfig)) {
      throw configError(
        'FqnToConfig: fqn_to_config and module_fqn_to_config are both given and differ',
        'keep fqn_to_config only',
      );
    }
  },
  scheme: (config) => `fqn(${config.fqnToConfig.length})`,
});

/** `quantize_(model, fqnToConfig({ 're:.*down_proj': int8WeightOnly(), lm_head: null }))`. */
export function fqnToConfig(table: FqnToConfigInput): FqnToConfig {
  const list = Array.isArray(table)
    ? (table as FqnEntries)
    : table instanceof Map
      ? [...table]
      : Object.entries(table as Record<string, AoConfig | null>);
  const seen = new Set<string>();
  for (const [fqn, config] of list) {
    if (seen.has(fqn)) throw configError(`FqnToConfig: ${fqn} is given twice`, 'keep one of the two');
    seen.add(fqn);
    if (config?.type === 'FqnToConfig')
      throw configError(`FqnToConfig: ${fqn} maps to another FqnToConfig`, 'put its entries into this one');
  }
  const frozen = Object.freeze(list.map(([fqn, config]) => Object.freeze([fqn, config] as const)));
  return Object.freeze({ type: 'FqnToConfig', fqnToConfig: frozen, moduleFqnToConfig: frozen });
}

/** torchao's older name. */
export const moduleFqnToConfig: typeof fqnToConfig = fqnToConfig;
