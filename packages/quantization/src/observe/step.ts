// torchao's flow in three calls: quantize_(model, { ...config, step: 'prepare' }) puts observers before the weights, the model runs on
// data, quantize_(model, { ...config, step: 'convert' }) quantizes them with the scales that follow.
import type { Module } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import type { FilterFn } from '../quantize/select.ts';
import type { Rule, Rules } from '../rules/rules.ts';
import { type ActivationQparams, isStaticConfig, withActivation } from './activation-of.ts';
import { observersOf, prepareObservers, readObservers, removeObservers } from './prepare.ts';

export type Step = 'PREPARE' | 'CONVERT';

/** What step a static config asks for; null: none, it has its scales. */
export function stepOf(config: unknown): Step | null {
  const step = isStaticConfig(config) ? (config as { step?: string | null }).step?.toUpperCase() : undefined;
  return step === 'PREPARE' || step === 'CONVERT' ? step : null;
}

/** Observers before all selected weights; the names of these. */
export function prepareStep(
  model: Module,
  config: AoConfig,
  rules: Rules,
  filterFn: FilterFn | undefined,
): Set<string> {
  if (observersOf(model).length > 0) {
    throw configError('the model has observers already', "run data, then quantize_ with step: 'convert'");
  }
  const made = prepareObservers(model, config, { rules, ...(filterFn && { filterFn }) });
  return new Set(made.flatMap((w) => w.names));
}

/** The rules that quantize each observed weight by `config` and what it met; the observers are gone, the weights plain again. */
export async function convertStep(model: Module, config: AoConfig): Promise<Rules> {
  const all = observersOf(model);
  if (all.length === 0) {
    throw configError(
      'no weight of the model is observed',
      "run quantize_ with step: 'prepare', then data, before 'convert'",
    );
  }
  const found = await readObservers(all);
  removeObservers(model, all);
  const done = { ...config, step: null } as AoConfig;
  return all.flatMap(({ names }) => {
    const own = withActivation(done, found.get(names[0] as string) as ActivationQparams);
    return names.map((name): Rule => [name, own]);
  });
}
