// planQuantization: which config each parameter of a model gets, decided by names alone, before any tensor is read.
//   linears: what the rules or the one config say; the head and the embedding only where a rule names them or
//   includeInputOutputEmbeddings asks; a tied head and its embedding are one tensor, quantized once.
import { AoError } from '@ao/core';
import { type AoConfig, type FqnToConfig, fqnRules } from '@ao/quantization';
import { moduleOf, type Outline, type ParameterSpec } from '../models/family.ts';
import type { TorchAoConfig } from './torchao-config.ts';

export interface Planned {
  readonly parameter: ParameterSpec;
  /** null = left as it is. */
  readonly config: AoConfig | null;
  /** The rule that decided, where there are rules. */
  readonly rule?: string;
  /** Why it is left as it is. */
  readonly reason?: string;
}

export interface QuantizationPlan {
  /** In the model's order; one entry for each weight of a linear or embedding. */
  readonly parameters: readonly Planned[];
  /** Patterns that match nothing. */
  readonly unusedRules: readonly string[];
}

type Decision = Omit<Planned, 'parameter'>;
type Decide = (module: string) => Decision | undefined;

export function planQuantization(outline: Outline, config: TorchAoConfig): QuantizationPlan {
  const used = new Set<string>();
  const decide =
    config.quantType.type === 'FqnToConfig'
      ? byRules(config.quantType as FqnToConfig, used)
      : byDefault(config.quantType);
  const skipped = skips(config.modulesToNotConvert ?? []);
  const planned = outline.parameters
    .filter((p) => p.role !== 'vector')
    .map((parameter): Planned => {
      const names = [
        parameter.name,
        ...Object.keys(outline.tied).filter((alias) => outline.tied[alias] === parameter.name),
      ].map(moduleOf);
      const skip = names.find(skipped);
      const own = decideAll(parameter, names, decide, config);
      if (skip !== undefined && own.config !== null)
        return { parameter, config: null, reason: `${skip} is in modulesToNotConvert` };
      return { parameter, ...own };
    });
  const patterns = config.quantType.type === 'FqnToConfig' ? fqnRules(config.quantType as FqnToConfig).patterns : [];
  return { parameters: planned, unusedRules: patterns.filter((p) => p !== '_default' && !used.has(p)) };
}

function decideAll(
  parameter: ParameterSpec,
  names: readonly string[],
  decide: Decide,
  config: TorchAoConfig,
): Decision {
  const ends = parameter.role === 'embedding' || parameter.output === true;
  const decisions = names.flatMap((name) => decide(name) ?? []);
  const named = decisions.filter((d) => d.rule !== undefined && d.rule !== '_default');
  const [first, second] = named;
  if (first && second && JSON.stringify(first.config) !== JSON.stringify(second.config)) {
    throw new AoError(
      'ERR_AO_CONFIG',
      `rules '${first.rule}' and '${second.rule}' want different schemes for one shared tensor`,
      {
        module: names.join(' = '),
        fix: 'give both the same scheme, or name only one of them',
      },
    );
  }
  if (first) return first;
  if (parameter.role === 'router')
    return { config: null, reason: 'routers are quantized only where a rule names them' };
  if (ends && !config.includeInputOutputEmbeddings) {
    return {
      config: null,
      reason: parameter.output
        ? 'the head is quantized only where a rule names it'
        : 'embeddings are quantized only where a rule names them',
    };
  }
  return decisions[0] ?? { config: null, reason: 'no rule matches' };
}

function byDefault(config: AoConfig): Decide {
  return () => ({ config });
}

function byRules(config: FqnToConfig, used: Set<string>): Decide {
  const rules = fqnRules(config);
  return (module) => {
    const found = rules.resolve(module, 'weight');
    if (!found) return undefined;
    used.add(found.pattern);
    return {
      config: found.config,
      rule: found.pattern,
      ...(found.config === null ? { reason: `rule ${found.pattern}` } : {}),
    };
  };
}

/** transformers' rule: a name itself, something below it, or a name that ends so. */
function skips(names: readonly string[]): (module: string) => boolean {
  return (module) => names.some((name) => module === name || module.startsWith(`${name}.`) || module.endsWith(name));
}
