// autoquant(model, { minSqnr }), then examples, then finalizeAutoquant(model): every layer gets the fastest of the candidate
// configs, measured on this machine with the shapes that the examples had, among those whose outputs keep minSqnr.
//   time of a layer = sum over the shapes of its calls of calls x seconds
//   SQNR of a layer = 20 log10(|x w^T| / |x w^T - linear(x, q)|) on rows of its first activation
import { type Module, prepare } from '@ao/core';
import { sitesOf, watch } from '../analyze/watched-tensor.ts';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import { isFloatWeight } from '../quantize/float-weight.ts';
import { quantize_ } from '../quantize/quantize.ts';
import { type FilterFn, isLinear } from '../quantize/select.ts';
import { CallLog } from './call-log.ts';
import { autoquantCandidates } from './candidates.ts';
import { choose } from './choose.ts';
import type { AutoquantPlan } from './plan.ts';

export interface AutoquantOptions {
  /** Least SQNR of a layer's outputs in decibels. Unless given, the fastest wins. */
  readonly minSqnr?: number;
  /** Configs to measure beside leaving a weight as it is; autoquantCandidates() unless given. */
  readonly candidates?: readonly AoConfig[];
  /** Which modules; every Linear unless given. */
  readonly filterFn?: FilterFn;
  /**
   * Calls by rows of the activation, e.g. { 1: 64, 512: 1 } for a prompt of 512 tokens and 64 new ones; unless given, those that
   * the examples made. A captured step counts once, however often it is replayed: give them where examples generate text.
   */
  readonly calls?: Readonly<Record<number, number>>;
  /** Measured rounds after one that warms up; 7 unless given. */
  readonly rounds?: number;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number; readonly layer: string }) => void;
  readonly signal?: AbortSignal;
}

interface State {
  readonly log: CallLog;
  readonly options: AutoquantOptions;
  unwatch(): void;
}

const states = /*@__PURE__*/ new WeakMap<Module, State>();

/** Logs the shapes of what the model runs from now on; returns the model. */
export function autoquant<M extends Module>(model: M, options: AutoquantOptions = {}): M {
  if (states.has(model)) throw configError('autoquant of a model that logs already', 'call finalizeAutoquant(model)');
  const sites = sitesOf(model.named(), options.filterFn ?? isLinear).filter((s) => isFloatWeight(s.weight));
  if (sites.length === 0)
    throw configError('the model has no floating-point weight to quantize', 'load it unquantized');
  const log = new CallLog(sites);
  states.set(model, { log, options, unwatch: watch(sites, log) });
  return model;
}

/**
 * Measures, chooses, quantizes the model and returns the plan, which applyAutoquantPlan applies to another copy of the model:
 * the same bytes. Where it throws, the model is as it was before autoquant.
 */
export async function finalizeAutoquant(model: Module): Promise<AutoquantPlan> {
  const state = states.get(model);
  if (state === undefined) throw configError('finalizeAutoquant of a model without autoquant', 'call autoquant(model)');
  states.delete(model);
  const { log, options } = state;
  state.unwatch();
  try {
    if (log.groups.length === 0) {
      throw configError('no layer has run since autoquant(model)', 'run examples before finalizeAutoquant(model)');
    }
    await prepare(model);
    const plan = await choose(log.groups, options.candidates ?? autoquantCandidates(), options);
    await quantize_(model, plan.config, { sqnr: false });
    return plan;
  } finally {
    log.dispose();
  }
}
