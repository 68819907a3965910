// rulesConfig(rules, rest, outline): ordered rules (first match wins, globs allowed) as torchao's FqnToConfig, which knows
// exact names and regexes only. Names that a glob or a name decides are written out; regexes stay, in their order.
import {
  type AoConfig,
  type FqnToConfig,
  fqnToConfig,
  matcher,
  orderedRules,
  type Rules,
  resolveNames,
} from '@ao/quantization';
import { moduleOf, type Outline, stackNames } from '../models/family.ts';

export interface RulesConfig {
  readonly config: FqnToConfig;
  /** Patterns that match no module. */
  readonly unused: readonly string[];
}

export function rulesConfig(rules: Rules, rest: AoConfig | null, outline: Outline): RulesConfig {
  const set = orderedRules(rules);
  const names = [
    ...outline.parameters.filter((p) => p.role !== 'vector').map((p) => p.name),
    ...Object.keys(outline.tied),
  ];
  const stacks = stackNames(outline);
  const exact = new Map<string, AoConfig | null>();
  const used = new Set<number>();
  for (const name of names) {
    const module = moduleOf(name);
    const found = resolveNames(set, [name, ...(stacks.get(name) ?? [])]);
    if (!found) continue;
    used.add(found.index);
    if (!found.pattern.startsWith('re:')) exact.set(module, found.config);
  }
  const regexes = rules.filter(([pattern]) => pattern.startsWith('re:'));
  const unused = rules.flatMap(([pattern], i) => (used.has(i) || shadowed(pattern, names) ? [] : [pattern]));
  const table = [...exact, ...regexes, ['_default', rest] as const] as [string, AoConfig | null][];
  return { config: fqnToConfig(new Map(table)), unused };
}

/** It does match something, which an earlier rule took. */
function shadowed(pattern: string, names: readonly string[]): boolean {
  const test = matcher(pattern);
  return names.some((name) => test(moduleOf(name)) || test(name));
}
