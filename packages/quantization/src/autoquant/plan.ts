// An autoquant plan: which config each layer got, with what was measured. Applying it needs no measurement: quantize_ with
// its config, so a saved plan gives the same bytes. As JSON it is also a config file of `ao quantize --config`.
import type { Module } from '@ao/core';
import type { MoreConfigs } from '../config/codec.ts';
import type { AoConfig } from '../config/config.ts';
import { configFromFile, configToFile } from '../config/config-file.ts';
import { configError } from '../config/field.ts';
import type { FqnToConfig } from '../config/fqn-to-config.ts';
import { quantize_ } from '../quantize/quantize.ts';
import type { QuantizeReport } from '../quantize/report.ts';

/** The scheme of a weight that is left. */
export const AS_IT_IS = 'as it is';

export interface AutoquantLayer {
  /** Fully qualified names of the weights that one call reads. */
  readonly names: readonly string[];
  readonly scheme: string;
  readonly config: AoConfig | null;
  /** Least SQNR of their outputs in decibels; null where they are left. */
  readonly sqnr: number | null;
  /** Calls by rows of the activation. */
  readonly calls: Readonly<Record<number, number>>;
  /** Time of all these calls, by scheme; fastest first. */
  readonly microseconds: Readonly<Record<string, number>>;
}

export interface AutoquantPlan {
  readonly config: FqnToConfig;
  readonly device: string;
  readonly minSqnr?: number;
  readonly layers: readonly AutoquantLayer[];
}

const FORMAT = 'ao-autoquant';

/** The plan as JSON text; configs under their short names. */
export function autoquantPlanToJson({ config, layers, ...plan }: AutoquantPlan, more: MoreConfigs = []): string {
  const told = layers.map(({ config: _, ...layer }) => layer);
  const tree = { format: FORMAT, version: 1, ...plan, config: JSON.parse(configToFile(config, more)), layers: told };
  return `${JSON.stringify(tree, null, 2)}\n`;
}

/** Throws ERR_AO_CONFIG for what autoquantPlanToJson did not write. */
export function autoquantPlanFromJson(text: string, more: MoreConfigs = []): AutoquantPlan {
  const config = configFromFile(text, 'autoquant plan', more) as FqnToConfig;
  const { format, version: _, ...plan } = JSON.parse(text) as Record<string, unknown>;
  if (format !== FORMAT || !Array.isArray(plan['layers'])) {
    throw configError(
      'this is no autoquant plan',
      'give the text of autoquantPlanToJson(await finalizeAutoquant(model))',
    );
  }
  const configs = new Map(config.fqnToConfig);
  const layers = (plan['layers'] as Omit<AutoquantLayer, 'config'>[]).map((layer) => ({
    ...layer,
    config: configs.get(moduleOf(layer.names[0] ?? '')) ?? null,
  }));
  return { ...(plan as Omit<AutoquantPlan, 'config' | 'layers'>), config, layers };
}

const moduleOf = (name: string): string => name.replace(/\.?weight$/, '');

/** Quantizes a model as the plan says: the same weights give the same bytes. */
export function applyAutoquantPlan(model: Module, plan: AutoquantPlan): Promise<QuantizeReport> {
  return quantize_(model, plan.config, { sqnr: false });
}

/** The plan as text: a line for each group of layers, its scheme, SQNR and how much faster than as it is. */
export function formatAutoquantPlan(plan: AutoquantPlan): string {
  const lines = plan.layers.map(({ names, scheme, sqnr, microseconds }) => {
    const gain = (microseconds[AS_IT_IS] ?? 0) / (microseconds[scheme] ?? 1);
    const slower = Object.keys(microseconds).slice(Object.keys(microseconds).indexOf(AS_IT_IS) + 1);
    const note = slower.length === 0 ? '' : `; save memory, not time: ${slower.join(', ')}`;
    return `${names.join(', ')}: ${scheme}${sqnr === null ? '' : `, ${sqnr.toFixed(1)} dB`}, ${gain.toFixed(2)}x${note}`;
  });
  return lines.join('\n');
}
