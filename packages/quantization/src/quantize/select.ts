// Which weights of a model get which config: rules and filters resolved to one decision per distinct tensor.
import { Embedding, isTensor, Linear, type Module, type Tensor } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import type { FqnToConfig } from '../config/fqn-to-config.ts';
import { fqnRules, orderedRules, type Resolved, type RuleSet, type Rules, resolveNames } from '../rules/rules.ts';
import { isFloatWeight } from './float-weight.ts';

export type FilterFn = (module: Module, fqn: string) => boolean;

export interface Decision {
  readonly weight: Tensor;
  /** All names of the tensor; the first decides how it is listed. */
  readonly names: readonly string[];
  readonly config: AoConfig | null;
  readonly rule?: string;
  readonly skipped?: string;
}

export interface Selection {
  readonly decisions: readonly Decision[];
  readonly unusedRules: readonly string[];
}

interface Candidate {
  readonly fqn: string;
  readonly moduleFqn: string;
  readonly parameter: string;
  readonly module: Module;
  readonly weight: Tensor;
}

/** torchao's default: nn.Linear, which also is what '_default' and a plain config mean. */
export const isLinear: FilterFn = (module) => module instanceof Linear;

/** The weights that linear and embedding read: what modules declare packable. */
function candidates(model: Module): Candidate[] {
  const found: Candidate[] = [];
  for (const [moduleFqn, module] of model.namedModules()) {
    for (const parameter of module.packableNames()) {
      const weight = (module as unknown as Record<string, unknown>)[parameter];
      if (!isTensor(weight)) continue;
      found.push({
        fqn: moduleFqn === '' ? parameter : `${moduleFqn}.${parameter}`,
        moduleFqn,
        parameter,
        module,
        weight,
      });
    }
  }
  return found;
}

/** Names that parameters have where checkpoints hold several in one tensor. */
function stacksOf(model: Module): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [at, module] of model.namedModules()) {
    const full = (name: string): string => (at === '' ? name : `${at}.${name}`);
    for (const [stack, names] of Object.entries(module.stackedNames())) {
      for (const name of names) found.set(full(name), [...(found.get(full(name)) ?? []), full(stack)]);
    }
  }
  return found;
}

interface Vote {
  readonly fqn: string;
  readonly config: AoConfig | null;
  readonly rule?: string;
  readonly skipped?: string;
  /** A rule named it: stronger than a default. */
  readonly explicit: boolean;
}

const alreadyQuantized = ({ weight }: Candidate): string => `already quantized (${weight.kind?.name})`;

function defaultVote(c: Candidate, config: AoConfig | null, filter: FilterFn): Vote {
  if (!isFloatWeight(c.weight)) return { fqn: c.fqn, config: null, skipped: alreadyQuantized(c), explicit: false };
  if (!filter(c.module, c.moduleFqn)) {
    const why =
      c.module instanceof Embedding ? 'an embedding, which only a rule selects' : 'not selected by the filter';
    return {
      fqn: c.fqn,
      config: null,
      skipped: filter === isLinear ? why : 'not selected by filterFn',
      explicit: false,
    };
  }
  return config === null
    ? { fqn: c.fqn, config, skipped: 'no rule matches', explicit: false }
    : { fqn: c.fqn, config, explicit: false };
}

function ruleVote(c: Candidate, found: Resolved): Vote {
  const base = { fqn: c.fqn, rule: found.pattern, explicit: true };
  if (found.config === null) return { ...base, config: null, skipped: `left by rule '${found.pattern}'` };
  if (!isFloatWeight(c.weight)) return { ...base, config: null, skipped: alreadyQuantized(c) };
  return { ...base, config: found.config };
}

/** One decision of several names of a tensor: rules beat defaults, and rules must agree. */
function settle(weight: Tensor, votes: readonly Vote[]): Decision {
  const names = votes.map((v) => v.fqn);
  const explicit = votes.filter((v) => v.explicit);
  const [first, ...rest] = explicit;
  for (const other of rest) {
    if (first === undefined || JSON.stringify(other.config) === JSON.stringify(first.config)) continue;
    throw configError(
      `${first.fqn} and ${other.fqn} are one tensor, but rules '${first.rule}' and '${other.rule}' want different things of it`,
      'give both names the same config, or remove one of the rules',
    );
  }
  const vote = first ?? votes.find((v) => v.config !== null) ?? (votes[0] as Vote);
  return {
    weight,
    names,
    config: vote.config,
    ...(vote.rule !== undefined && { rule: vote.rule }),
    ...(vote.skipped !== undefined && { skipped: vote.skipped }),
  };
}

function select(model: Module, set: RuleSet | null, fallback: AoConfig | null, filter: FilterFn): Selection {
  const byTensor = new Map<Tensor, Vote[]>();
  const used = new Set<number>();
  const stacks = stacksOf(model);
  for (const c of candidates(model)) {
    const found = set === null ? undefined : resolveNames(set, [c.fqn, ...(stacks.get(c.fqn) ?? [])]);
    if (found !== undefined) used.add(found.index);
    const general = found === undefined || found.pattern === '_default';
    const vote = general ? defaultVote(c, found?.config ?? fallback, filter) : ruleVote(c, found);
    const votes = byTensor.get(c.weight);
    if (votes === undefined) byTensor.set(c.weight, [vote]);
    else votes.push(vote);
  }
  return {
    decisions: [...byTensor].map(([weight, votes]) => settle(weight, votes)),
    unusedRules: (set?.patterns ?? []).filter((pattern, i) => !used.has(i) && pattern !== '_default'),
  };
}

const isFqnToConfig = (config: unknown): config is FqnToConfig => (config as AoConfig | null)?.type === 'FqnToConfig';

/** Resolves what quantize_ was given. Rules come first; `config` serves the Linear modules that no rule names. */
export function selectWeights(
  model: Module,
  config: AoConfig | Rules | null,
  rules: Rules,
  filterFn: FilterFn | undefined,
): Selection {
  if (isFqnToConfig(config)) {
    if (filterFn !== undefined || rules.length > 0) {
      throw configError(
        'fqnToConfig selects by itself: filterFn and rules must be left out',
        'put null for what should stay as it is',
      );
    }
    return select(model, fqnRules(config), null, isLinear);
  }
  if (Array.isArray(config))
    return select(model, orderedRules([...rules, ...(config as Rules)]), null, filterFn ?? isLinear);
  return select(model, rules.length > 0 ? orderedRules(rules) : null, config as AoConfig | null, filterFn ?? isLinear);
}
