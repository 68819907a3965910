// A config as a file that a person reads and edits: JSON of one line a module,
//   { "model.layers.0.mlp.up_proj": "int4wo-32", "re:.*down_proj": "int8wo", "lm_head": null, "_default": "8da4w-32" }
// with the names of parseScheme where they say all, and torchao's JSON where they do not. Read are this, a config as torchao
// writes it, and an object that has such a config under "config".
import { configFromDict, configToDict, type MoreConfigs, schemeName } from './codec.ts';
import type { AoConfig } from './config.ts';
import { configError, isTagged } from './field.ts';
import { type FqnToConfig, fqnToConfig } from './fqn-to-config.ts';
import { parseScheme } from './scheme.ts';

/** The short name of a config, where it means that config and nothing else; else torchao's dict. */
function shortest(config: AoConfig, more: MoreConfigs): unknown {
  const dict = configToDict(config, more);
  const name = schemeName(config, more);
  try {
    if (JSON.stringify(configToDict(parseScheme(name), more)) === JSON.stringify(dict)) return name;
  } catch {
    // a config that has no short name
  }
  return dict;
}

/** The text of the file, ending with a newline. */
export function configToFile(config: AoConfig, more: MoreConfigs = []): string {
  const entries = config.type === 'FqnToConfig' ? (config as FqnToConfig).fqnToConfig : [['_default', config] as const];
  const lines = entries.map(
    ([fqn, c]) => `  ${JSON.stringify(fqn)}: ${JSON.stringify(c === null ? null : shortest(c, more))}`,
  );
  return `{\n${lines.join(',\n')}\n}\n`;
}

/** Throws ERR_AO_CONFIG, naming `where` and the entry, for what is neither form. */
export function configFromFile(text: string, where = 'config', more: MoreConfigs = []): AoConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw configError(`${where} is no JSON: ${(error as Error).message}`, 'write { "module": "scheme", ... }');
  }
  return fromJson(json, where, more);
}

function fromJson(json: unknown, where: string, more: MoreConfigs): AoConfig {
  if (typeof json === 'string') return parseScheme(json);
  if (isTagged(json)) return configFromDict(json, more);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw configError(`${where}: expected an object of modules and schemes`, 'write { "module": "scheme", ... }');
  }
  const { config } = json as { readonly config?: unknown };
  if (typeof config === 'object' && config !== null) return fromJson(config, `${where}.config`, more);
  const table = Object.entries(json).map(([fqn, value]) => {
    if (value === null) return [fqn, null] as const;
    if (typeof value === 'string' || isTagged(value))
      return [fqn, fromJson(value, `${where}["${fqn}"]`, more)] as const;
    throw configError(
      `${where}["${fqn}"]: expected a scheme's name, a config with _type and _data, or null`,
      "write e.g. 'int4wo-32'; null leaves the module as it is",
    );
  });
  return fqnToConfig(table);
}
