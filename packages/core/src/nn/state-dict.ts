// State dicts: a model's parameters by name, in and out, with a precise report of what did not match.
import { AoError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import type { Module } from './module.ts';
import { getParameter, replaceTensor } from './visit.ts';

export interface LoadReport {
  readonly loaded: readonly string[];
  /** Parameters of the model that the dict lacks. */
  readonly missing: readonly string[];
  /** Names in the dict that the model lacks. */
  readonly unexpected: readonly string[];
}

/** All parameters by name; a shared one under its first name only. */
export function stateDict(model: Module): Map<string, Tensor> {
  return new Map(model.namedParameters());
}

/**
 * Puts the dict's tensors in the place of the model's parameters. With strict (the default) a missing or unexpected name
 * throws ERR_AO_FORMAT before anything changes; a wrong shape always does.
 */
export function loadStateDict(
  model: Module,
  dict: ReadonlyMap<string, Tensor>,
  options: { readonly strict?: boolean } = {},
): LoadReport {
  const names = new Map<string, Tensor>(model.namedParameters({ all: true }));
  const unexpected = [...dict.keys()].filter((name) => !names.has(name));
  const given = new Set([...dict.keys()].map((name) => names.get(name)));
  const missing = [...names].filter(([, t]) => !given.has(t)).map(([name]) => name);
  for (const [name, t] of dict) {
    const have = names.get(name);
    if (have === undefined || (have.ndim === t.ndim && have.shape.every((d, i) => d === t.shape[i]))) continue;
    throw new AoError('ERR_AO_FORMAT', `${name} has shape [${t.shape}], the model needs [${have.shape}]`, {
      tensor: name,
      fix: 'load the checkpoint that belongs to this config',
    });
  }
  if ((options.strict ?? true) && (missing.length > 0 || unexpected.length > 0)) {
    throw new AoError(
      'ERR_AO_FORMAT',
      `state dict: missing ${missing.join(', ') || 'nothing'}; unexpected ${unexpected.join(', ') || 'nothing'}`,
      {
        fix: 'load the checkpoint that belongs to this model, or pass { strict: false }',
      },
    );
  }
  const loaded: string[] = [];
  for (const [name, t] of dict) {
    if (!names.has(name)) continue;
    replaceTensor(model, getParameter(model, name), t);
    loaded.push(name);
  }
  return { loaded, missing, unexpected };
}
