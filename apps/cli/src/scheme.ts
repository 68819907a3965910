// --scheme and --rule, or --config, as one quantization config.
import { AutoConfig, rulesConfig, type TorchAoConfig, torchAoConfig } from '@ao/hf-integration';
import { configFromFile, parseRule, parseScheme } from '@ao/quantization';
import { UsageError } from './exit.ts';
import { log } from './log.ts';
import type { ModelName } from './model-folder.ts';
import { readText } from './read-text.ts';

export interface SchemeOptions {
  readonly scheme?: string;
  readonly rule?: readonly string[];
  /** A file of configFromFile's. */
  readonly config?: string;
  /** A tied head gets a tensor of its own where a rule names it or the embedding. */
  readonly untie?: boolean;
}

/** undefined where neither is given. Rules that match nothing are told on stderr. */
export async function quantizationConfig(
  { name, ...options }: ModelName,
  { scheme, rule, config: file, untie = false }: SchemeOptions,
): Promise<TorchAoConfig | undefined> {
  if (file !== undefined) {
    if (scheme !== undefined || rule !== undefined)
      throw new UsageError('--config says all: leave --scheme and --rule out');
    return torchAoConfig(configFromFile(await readText(file), file), { untieEmbeddingWeights: untie });
  }
  const rest = scheme === undefined ? null : parseScheme(scheme);
  if (rule === undefined) return rest === null ? undefined : torchAoConfig(rest);
  const rules = rule.map((text) => parseRule(text, parseScheme));
  const { outline } = await AutoConfig.fromPretrained(name, options);
  const { config, unused } = rulesConfig(rules, rest, outline);
  for (const pattern of unused) log({ message: `rule '${pattern}' matches nothing` });
  return torchAoConfig(config, { untieEmbeddingWeights: untie });
}
