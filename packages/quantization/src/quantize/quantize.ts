// quantize_: replaces a model's weights by quantized ones, in place. Everything that can be wrong is found before any work:
// one error lists each weight that cannot have its scheme, and what would fit.
import {
  getModule,
  getParameter,
  type Module,
  packWeight,
  prepare,
  type Runtime,
  replaceModule,
  replaceTensor,
  scope,
  type Tensor,
  to,
} from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import { convertStep, prepareStep, stepOf } from '../observe/step.ts';
import type { Rules } from '../rules/rules.ts';
import { modelBytes, tensorBytes } from './bytes.ts';
import { decibels, errorNorms } from './compute-error.ts';
import { plainOf } from './float-weight.ts';
import { preflight } from './preflight.ts';
import { bitsPerWeight, type QuantizeReport, type QuantizeRow } from './report.ts';
import { requireFinite } from './require-finite.ts';
import { type Decision, type FilterFn, selectWeights } from './select.ts';
import { isProblem, restoreTrait, type TensorPlan } from './trait.ts';

export interface QuantizeOptions {
  /** Which modules a plain config is for; every Linear unless given. */
  readonly filterFn?: FilterFn;
  /** Rules that come before the config: the first that matches decides, null leaves the module. */
  readonly rules?: Rules;
  /** Moves the model there first. */
  readonly device?: string;
  /** What to do with weights that cannot have their scheme: an error before any work (default), or leave them. */
  readonly onUnsupported?: 'error' | 'skip';
  /** Only report what would be done. */
  readonly dryRun?: boolean;
  /** Measure the SQNR of each weight (default). */
  readonly sqnr?: boolean;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number; readonly fqn: string }) => void;
  readonly signal?: AbortSignal;
}

export function runtimeOf(model: Module): Runtime {
  const [first] = model.parameters();
  if (first === undefined) throw configError('the model has no parameters', 'give a model with weights');
  return first.rt;
}

export type RowBase = Pick<QuantizeRow, 'fqn' | 'tied' | 'shape' | 'dtype' | 'rule'>;

export function rowBase(d: Decision, weight: Tensor): RowBase {
  const [fqn = '', ...tied] = d.names;
  return { fqn, tied, shape: weight.shape, dtype: weight.dtype.name, ...(d.rule !== undefined && { rule: d.rule }) };
}

export function leftRow(d: Decision, weight: Tensor, skipped: string): QuantizeRow {
  const bytes = tensorBytes(weight);
  const bits = weight.kind === null ? weight.dtype.bits : Math.round((8 * bytes) / weight.numel);
  return {
    ...rowBase(d, weight),
    scheme: null,
    bits,
    activation: 'exact',
    bytesBefore: bytes,
    bytesAfter: bytes,
    bitsPerWeight: bitsPerWeight(bytes, weight.shape),
    sqnr: null,
    skipped,
  };
}

export function madeRow(
  base: RowBase,
  plan: TensorPlan,
  bytesBefore: number,
  bytesAfter: number,
  sqnr: number | null,
): QuantizeRow {
  const { scheme, bits, activation, emulated } = plan;
  const how = emulated === undefined ? {} : { emulated };
  return {
    ...base,
    scheme,
    bits,
    activation,
    ...how,
    bytesBefore,
    bytesAfter,
    bitsPerWeight: bitsPerWeight(bytesAfter, base.shape),
    sqnr,
  };
}

async function moveTo(model: Module, device: string): Promise<void> {
  for (const [, t] of [...model.namedParameters()]) {
    if (t.device !== device) replaceTensor(model, t, await to(t, device));
  }
}

/** Quantizes, measures and packs one weight; the old one is disposed. */
async function replace(
  model: Module,
  d: Decision,
  weight: Tensor,
  plan: TensorPlan,
  measure: boolean,
): Promise<QuantizeRow> {
  const base = rowBase(d, weight);
  const before = tensorBytes(weight);
  const { trained = false } = plan;
  const learns = weight.requiresGrad;
  if (learns) weight.requiresGrad = false;
  const quantized = scope(() => plan.quantize(plainOf(weight)));
  const norms = measure ? errorNorms(weight, quantized) : null;
  replaceTensor(model, weight, quantized);
  for (const name of plan.module === undefined ? [] : d.names) {
    const at = name.slice(0, Math.max(0, name.lastIndexOf('.')));
    const holder = getModule(model, at);
    const other = plan.module?.(holder) ?? holder;
    // a model that is one module itself stays what it is
    if (other !== holder && holder !== model) replaceModule(model, at, other);
  }
  if (trained && learns) quantized.requiresGrad = true;
  if (!trained) packWeight(quantized.rt, quantized);
  const warning = trained ? undefined : slowness(quantized, plan.scheme);
  const row = madeRow(base, plan, before, tensorBytes(quantized), norms === null ? null : await decibels(norms));
  return warning === undefined ? row : { ...row, note: row.note === undefined ? warning : `${row.note}; ${warning}` };
}

/** A device that packs weights, but not these, runs them in steps of its plain ops: slower than floating point. */
function slowness(t: Tensor, scheme: string): string | undefined {
  if (t.packed !== null || t.rt.packer(t.device) === undefined) return undefined;
  const warning = `the ${t.device} has no kernel for ${scheme}: it saves memory, not time`;
  t.rt.say({ level: 'warn', code: 'slower', message: warning }, warning);
  return warning;
}

/** The model with observers before its weights: nothing is quantized yet. */
function prepared(model: Module, config: AoConfig, options: QuantizeOptions): QuantizeReport {
  const { rules = [], filterFn, dryRun = false } = options;
  const { decisions, unusedRules } = selectWeights(model, config, rules, filterFn);
  const observed = dryRun ? new Set<string>() : prepareStep(model, config, rules, filterFn);
  const bytes = modelBytes(model);
  const why = (d: Decision): string =>
    observed.has(d.names[0] as string) ? 'observed until step: convert' : (d.skipped ?? 'not observed');
  const rows = decisions.map((d) => leftRow(d, d.weight, why(d)));
  return { rows, bytesBefore: bytes, bytesAfter: bytes, unusedRules, dryRun };
}

/** What a config that takes something out of a model leaves to be done. */
async function restored(model: Module, config: AoConfig | Rules | null, options: QuantizeOptions) {
  const { filterFn, dryRun = false } = options;
  if (config === null || !('type' in config) || !runtimeOf(model).answers(restoreTrait, config)) return undefined;
  const takes = (fqn: string): boolean => !dryRun && filterFn?.(getModule(model, fqn), fqn) !== false;
  return runtimeOf(model).ask(restoreTrait, config, model, takes);
}

/**
 * Quantizes a model in place and packs it for its device. `config` is a config, ordered rules, or fqnToConfig.
 * Rejects, nothing changed, with ERR_AO_CONFIG naming every weight that cannot have its scheme, and with ERR_AO_FORMAT naming
 * those that hold NaN or infinity.
 */
export async function quantize_(
  model: Module,
  config: AoConfig | Rules | null,
  options: QuantizeOptions = {},
): Promise<QuantizeReport> {
  const { dryRun = false, sqnr = true, onUnsupported = 'error', device, signal } = options;
  if (typeof config === 'function' || typeof config === 'string') {
    throw configError(
      `quantize_ takes a config, not a ${typeof config}`,
      'pass e.g. int8WeightOnly(), or parseScheme(name)',
    );
  }
  const rt = runtimeOf(model.named());
  const step = stepOf(config);
  if (step === 'CONVERT') return quantize_(model, await convertStep(model, config as AoConfig), options);
  if (step === 'PREPARE') return prepared(model, config as AoConfig, options);
  const rules = await restored(model, config, options);
  if (rules !== undefined) return quantize_(model, rules, { ...options, filterFn: () => false });
  const { decisions, unusedRules } = selectWeights(model, config, options.rules ?? [], options.filterFn);
  for (const rule of unusedRules)
    rt.say({ level: 'warn', code: 'unused-rule', message: `rule '${rule}' matches no weight` }, rule);
  const plans = preflight(rt, decisions, onUnsupported === 'skip');
  if (device !== undefined) rt.backend(device);
  if (!dryRun) {
    const planned = decisions.filter((d) => plans.has(d) && !isProblem(plans.get(d) as TensorPlan));
    await requireFinite(planned.map((d) => [d.names[0] as string, d.weight]));
  }
  const bytesBefore = modelBytes(model);
  if (device !== undefined && !dryRun) await moveTo(model, device);

  const rows: QuantizeRow[] = [];
  const total = [...plans.values()].filter((p) => !isProblem(p)).length;
  let done = 0;
  for (const d of decisions) {
    const fqn = d.names[0] as string;
    const weight = getParameter(model, fqn);
    const plan = plans.get(d);
    if (plan === undefined) rows.push(leftRow(d, weight, d.skipped ?? 'no rule matches'));
    else if (isProblem(plan)) rows.push(leftRow(d, weight, `${plan.problem}; ${plan.fix}`));
    else if (dryRun) rows.push(madeRow(rowBase(d, weight), plan, tensorBytes(weight), plan.bytes, null));
    else {
      signal?.throwIfAborted();
      rows.push(await replace(model, d, weight, plan, sqnr));
      options.onProgress?.({ done: ++done, total, fqn });
    }
  }
  const trained = [...plans.values()].some((p) => !isProblem(p) && p.trained === true);
  if (!dryRun && !trained) await prepare(model);
  const change = rows.reduce((sum, r) => sum + r.bytesAfter - r.bytesBefore, 0);
  return { rows, bytesBefore, bytesAfter: dryRun ? bytesBefore + change : modelBytes(model), unusedRules, dryRun };
}
