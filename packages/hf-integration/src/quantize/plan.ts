// planQuantization: which config each parameter of a model gets, decided by names alone, before any tensor is read.
//   linears: what the rules or the one config say; the head and the embedding only where a rule names them or
//   includeInputOutputEmbeddings asks; a tied head and its embedding are one tensor, quantized once, unless untied.
import { AoError } from '@ao/core';
import { type AoConfig, type FqnToConfig, fqnRules, resolveNames } from '@ao/quantization';
import type { ModelConfig } from '../config/model-config.ts';
import { type ModelFamily, moduleOf, type Outline, type ParameterSpec, stackNames } from '../models/family.ts';
import { asItIs, type Outlined, untie } from '../models/untie.ts';
import { skips } from './skips.ts';
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
  /** Patterns, and names of modulesToNotConvert, that match nothing. */
  readonly unusedRules: readonly string[];
}

/** The model that a config makes of a checkpoint: its head gets a tensor of its own where the config unties and quantizes it. */
export function outlineFor(family: ModelFamily, config: ModelConfig, quantization?: TorchAoConfig): Outlined {
  const plain = asItIs(family, config);
  if (!quantization?.untieEmbeddingWeights || Object.keys(plain.outline.tied).length === 0) return plain;
  const own = untie(family, config);
  const ends = new Set(Object.entries(own.sources).flat());
  const { parameters } = planQuantization(own.outline, quantization);
  return parameters.some((p) => p.config !== null && ends.has(p.parameter.name)) ? own : plain;
}

type Decision = Omit<Planned, 'parameter'>;
/** `names`: all names of one parameter of a checkpoint. */
type Decide = (names: readonly string[]) => Decision | undefined;

export function planQuantization(outline: Outline, config: TorchAoConfig): QuantizationPlan {
  const used = new Set<string>();
  const decide =
    config.quantType.type === 'FqnToConfig'
      ? byRules(config.quantType as FqnToConfig, used)
      : byDefault(config.quantType);
  const kept = config.modulesToNotConvert ?? [];
  const { find } = skips(kept);
  const found = new Set<string>();
  const stacks = stackNames(outline);
  const planned = outline.parameters
    .filter((p) => p.role !== 'vector')
    .map((parameter): Planned => {
      const names = [
        parameter.name,
        ...Object.keys(outline.tied).filter((alias) => outline.tied[alias] === parameter.name),
      ];
      const everywhere = names.map((name) => [name, ...(stacks.get(name) ?? [])]);
      const own = decideAll(parameter, everywhere, decide, config);
      // includeInputOutputEmbeddings takes the ends off the list, as in transformers
      const asked = config.includeInputOutputEmbeddings && isEnd(parameter);
      const skip = everywhere
        .flat()
        .map(find)
        .find((name) => name !== undefined);
      if (skip !== undefined) found.add(skip);
      if (skip === undefined || asked || own.config === null) return { parameter, ...own };
      return { parameter, config: null, reason: `${skip} is in modulesToNotConvert` };
    });
  const patterns = config.quantType.type === 'FqnToConfig' ? fqnRules(config.quantType as FqnToConfig).patterns : [];
  const unusedRules = [
    ...patterns.filter((p) => p !== '_default' && !used.has(p)),
    ...kept.filter(
      (name) =>
        !found.has(name) &&
        !outline.parameters.some(
          (p) => skips([name]).find(p.name) || (stacks.get(p.name) ?? []).some(skips([name]).find),
        ),
    ),
  ];
  return { parameters: planned, unusedRules };
}

const isEnd = (p: ParameterSpec): boolean => p.role === 'embedding' || p.output === true;

function decideAll(
  parameter: ParameterSpec,
  names: readonly (readonly string[])[],
  decide: Decide,
  config: TorchAoConfig,
): Decision {
  const decisions = names.flatMap((all) => decide(all) ?? []);
  const named = decisions.filter((d) => d.rule !== undefined && d.rule !== '_default');
  const [first, second] = named;
  if (first && second && JSON.stringify(first.config) !== JSON.stringify(second.config)) {
    throw new AoError(
      'ERR_AO_CONFIG',
      `rules '${first.rule}' and '${second.rule}' want different schemes for one shared tensor`,
      {
        module: names.map(([name = '']) => moduleOf(name)).join(' = '),
        fix: 'give both the same scheme, name only one of them, or set untieEmbeddingWeights',
      },
    );
  }
  if (first) return first;
  if (parameter.role === 'router')
    return { config: null, reason: 'routers are quantized only where a rule names them' };
  // a list of modulesToNotConvert takes the place of the default that keeps the head
  const stays = parameter.output ? config.modulesToNotConvert === null : isEnd(parameter);
  if (stays && !config.includeInputOutputEmbeddings) {
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
  return (names) => {
    const found = resolveNames(rules, names);
    if (!found) return undefined;
    used.add(found.pattern);
    return {
      config: found.config,
      rule: found.pattern,
      ...(found.config === null ? { reason: `rule ${found.pattern}` } : {}),
    };
  };
}
