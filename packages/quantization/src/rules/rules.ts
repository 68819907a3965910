// Which config a module gets. Rules are read in order and the first that matches decides; null leaves the module as it is.
// A pattern is an exact name, a glob (* any run of characters, ? one, [abc], {a,b}) or 're:' and a regular expression that
// must match the whole name. A pattern matches a module ("model.layers.0.mlp.up_proj") or its weight ("….weight").
import { AoError } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import type { FqnToConfig } from '../config/fqn-to-config.ts';

export type Rule = readonly [pattern: string, config: AoConfig | null];
export type Rules = readonly Rule[];

export interface Resolved {
  readonly config: AoConfig | null;
  /** The pattern that decided. */
  readonly pattern: string;
  /** Index into the rules, for reports and unused-rule warnings. */
  readonly index: number;
  /** How strong a match is: the smallest is the strongest. */
  readonly rank: number;
}

const literal = (c: string): string => c.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A Python regular expression as JavaScript's, to be matched in full. */
export function pythonRegExp(source: string): RegExp {
  const js = source
    .replace(/\(\?P<(\w+)>/g, '(?<$1>')
    .replace(/\(\?P=(\w+)\)/g, '\\k<$1>')
    .replace(/\\A/g, '^')
    .replace(/\\Z/g, '$');
  try {
    return new RegExp(`^(?:${js})$`);
  } catch (cause) {
    throw configError(
      `rule 're:${source}': ${(cause as Error).message}`,
      'check the expression; inline flags such as (?i) are not supported',
    );
  }
}

function globRegExp(glob: string): RegExp {
  let out = '';
  for (let i = 0; i < glob.length; i++) {
    const c = glob[i] as string;
    const close = c === '[' ? glob.indexOf(']', i + 2) : c === '{' ? glob.indexOf('}', i + 1) : -1;
    if (c === '*') out += '.*';
    else if (c === '?') out += '.';
    else if (c === '[' && close > 0) {
      out += `[${glob
        .slice(i + 1, close)
        .replace(/^!/, '^')
        .replace(/\\/g, '\\\\')}]`;
      i = close;
    } else if (c === '{' && close > 0) {
      out += `(?:${glob
        .slice(i + 1, close)
        .split(',')
        .map(literal)
        .join('|')})`;
      i = close;
    } else out += literal(c);
  }
  return new RegExp(`^${out}$`);
}

export const isRegex = (pattern: string): boolean => pattern.startsWith('re:');

/** The test a pattern stands for. */
export function matcher(pattern: string): (fqn: string) => boolean {
  if (isRegex(pattern)) {
    const regex = pythonRegExp(pattern.slice(3));
    return (fqn) => regex.test(fqn);
  }
  if (!/[*?[{]/.test(pattern)) return (fqn) => fqn === pattern;
  const regex = globRegExp(pattern);
  return (fqn) => regex.test(fqn);
}

export interface RuleSet {
  readonly patterns: readonly string[];
  /** The deciding rule for one parameter of one module, or undefined where none matches. */
  resolve(moduleFqn: string, parameter: string): Resolved | undefined;
}

const parameterFqn = (moduleFqn: string, parameter: string): string =>
  moduleFqn === '' ? parameter : `${moduleFqn}.${parameter}`;

/** Ordered rules: the first match, by module or by parameter name, decides. */
export function orderedRules(rules: Rules): RuleSet {
  const tests = rules.map(([pattern]) => matcher(pattern));
  return {
    patterns: rules.map(([pattern]) => pattern),
    resolve: (moduleFqn, parameter) => {
      const fqn = parameterFqn(moduleFqn, parameter);
      const index = tests.findIndex((test) => test(moduleFqn) || test(fqn));
      const rule = rules[index];
      return rule && { pattern: rule[0], config: rule[1], index, rank: index };
    },
  };
}

/**
 * FqnToConfig by its documented precedence: exact parameter name, exact module name, first regex that matches the
 * parameter, first regex that matches the module, '_default'. One match is applied, never several.
 */
export function fqnRules(config: FqnToConfig): RuleSet {
  const list = config.fqnToConfig;
  const regexes = list.map(([key]) => (isRegex(key) ? pythonRegExp(key.slice(3)) : undefined));
  const at = (rank: number, index: number): Resolved | undefined => {
    const entry = list[index];
    return entry && { pattern: entry[0], config: entry[1], index, rank };
  };
  return {
    patterns: list.map(([key]) => key),
    resolve: (moduleFqn, parameter) => {
      const fqn = parameterFqn(moduleFqn, parameter);
      const name = (key: string): number => list.findIndex(([k]) => k === key);
      const regex = (text: string): number => regexes.findIndex((r) => r?.test(text) === true);
      const exact = at(0, name(fqn)) ?? at(0, name(moduleFqn));
      return exact ?? at(1, regex(fqn)) ?? at(1, regex(moduleFqn)) ?? at(2, name('_default'));
    },
  };
}

/**
 * The deciding rule of one parameter that has several names, as experts have where other checkpoints hold them in one
 * tensor: a name before a regex before '_default'; of equal ones that of the name that comes first.
 */
export function resolveNames(set: RuleSet, names: readonly string[]): Resolved | undefined {
  const found = names.flatMap((name) => {
    const dot = name.lastIndexOf('.');
    return set.resolve(name.slice(0, Math.max(0, dot)), name.slice(dot + 1)) ?? [];
  });
  return found.reduce<Resolved | undefined>(
    (best, r) => (best === undefined || r.rank < best.rank ? r : best),
    undefined,
  );
}

/** torchao's fqn_matches_fqn_config: an exact name or a full regex match. */
export function fqnMatchesFqnConfig(fqn: string, config: FqnToConfig): boolean {
  return config.fqnToConfig.some(([key]) => key === fqn || (isRegex(key) && pythonRegExp(key.slice(3)).test(fqn)));
}

/** A text form of a rule, 'PATTERN=SCHEME'; 'none' leaves what matches. */
export function parseRule(text: string, parse: (scheme: string) => AoConfig): Rule {
  const cut = text.lastIndexOf('=');
  if (cut <= 0) {
    throw new AoError('ERR_AO_CONFIG', `rule '${text}' is not PATTERN=SCHEME`, {
      fix: "write e.g. 're:.*down_proj=int8wo' or 'lm_head=none'",
    });
  }
  const scheme = text.slice(cut + 1);
  return [text.slice(0, cut), scheme === 'none' ? null : parse(scheme)];
}
