// What analyze found: for each layer and each candidate config the error of its weight and of its outputs, in decibels, and
// what that layer alone does to the model's predictions, as KL divergence in nats; as JSON, and as text for people.
import type { MoreConfigs } from '../config/codec.ts';
import { configFromDict, configToDict } from '../config/codec.ts';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';

export interface CandidateResult {
  readonly scheme: string;
  readonly config: AoConfig;
  /** Bits of one code. */
  readonly bits: number;
  /** 20 log10(|w| / |w - q|), w the weight. */
  readonly weightSqnr: number;
  /** The same of x w^T over the data's x, activations as the scheme has them; null without data. */
  readonly outputSqnr: number | null;
  /** Mean over positions of KL(p || q) in nats: p the model's prediction, q its prediction with this layer alone changed. */
  readonly kl: number | null;
  /** `kl` follows from another candidate's by the ratio of their output errors. */
  readonly klScaled?: true;
}

export interface LayerAnalysis {
  /** Fully qualified name of the weight. */
  readonly fqn: string;
  /** Other names of the same tensor. */
  readonly tied: readonly string[];
  readonly shape: readonly number[];
  readonly candidates: readonly CandidateResult[];
  /** Candidates that this weight cannot have: scheme and why. */
  readonly problems: Readonly<Record<string, string>>;
}

export interface Analysis {
  /** Positions whose predictions were compared. */
  readonly positions: number;
  readonly layers: readonly LayerAnalysis[];
}

const FORMAT = 'ao-analysis';

/** Plain data for JSON.stringify; configs as torchao writes them. Decibels of what is exact are null. */
export function analysisToJson(analysis: Analysis, more: MoreConfigs = []): Record<string, unknown> {
  const layers = analysis.layers.map((layer) => ({
    ...layer,
    candidates: layer.candidates.map((c) => ({ ...c, config: configToDict(c.config, more) })),
  }));
  return { format: FORMAT, version: 1, ...analysis, layers };
}

/** Throws ERR_AO_CONFIG for what analysisToJson did not give. */
export function analysisFromJson(json: unknown, more: MoreConfigs = []): Analysis {
  const tree = json as Partial<Record<keyof Analysis | 'format', unknown>> | null;
  if (typeof tree !== 'object' || tree?.format !== FORMAT || !Array.isArray(tree.layers)) {
    throw configError('this is no analysis', 'give the JSON of ao analyze, or of analysisToJson(await analyze(...))');
  }
  const layers = (tree.layers as LayerAnalysis[]).map((layer) => ({
    ...layer,
    candidates: layer.candidates.map((c) => ({
      ...c,
      config: configFromDict(c.config, more),
      // JSON has no Infinity
      weightSqnr: c.weightSqnr ?? Number.POSITIVE_INFINITY,
      outputSqnr: c.outputSqnr ?? (c.kl === null ? null : Number.POSITIVE_INFINITY),
    })),
  }));
  return { positions: Number(tree.positions), layers };
}

const decibel = (x: number | null): string => (x === null ? '-' : x.toFixed(1));
const nats = (c: CandidateResult): string => (c.kl === null ? '-' : `${c.klScaled ? '~' : ''}${c.kl.toExponential(1)}`);

/** KL of each candidate, summed over the layers that can have it; null where it was not measured. */
export function totals(analysis: Analysis): Map<string, { readonly layers: number; readonly kl: number | null }> {
  const sums = new Map<string, { layers: number; kl: number | null }>();
  for (const { candidates } of analysis.layers) {
    for (const { scheme, kl } of candidates) {
      const sum = sums.get(scheme) ?? { layers: 0, kl: 0 };
      sums.set(scheme, { layers: sum.layers + 1, kl: sum.kl === null || kl === null ? null : sum.kl + kl });
    }
  }
  return sums;
}

/**
 * One line a layer, three columns a candidate: weight and output SQNR in dB, KL in nats ('~' = scaled); then the sums and the
 * layers that are hurt most.
 */
export function formatAnalysis(analysis: Analysis): string {
  const schemes = [...totals(analysis).keys()];
  const head = ['layer', 'shape', ...schemes.flatMap((s) => [s, 'output', 'KL'])];
  const lines = analysis.layers.map((layer) => [
    layer.fqn.replace(/\.weight$/, '') + (layer.tied.length > 0 ? ` (= ${layer.tied.join(', ')})` : ''),
    layer.shape.join('x'),
    ...schemes.flatMap((scheme) => {
      const c = layer.candidates.find((x) => x.scheme === scheme);
      return c === undefined ? ['-', '-', '-'] : [decibel(c.weightSqnr), decibel(c.outputSqnr), nats(c)];
    }),
  ]);
  const widths = head.map((h, i) => Math.max(h.length, ...lines.map((l) => (l[i] as string).length)));
  const row = (cells: readonly string[]): string =>
    cells.map((c, i) => (i < 2 ? c.padEnd(widths[i] as number) : c.padStart(widths[i] as number))).join('  ');
  const sums = [...totals(analysis)].map(([scheme, { layers, kl }]) =>
    kl === null ? `${scheme}: ${layers} layers` : `${scheme}: KL ${kl.toExponential(2)} nats over ${layers} layers`,
  );
  const problems = analysis.layers.flatMap((l) =>
    Object.entries(l.problems).map(([scheme, why]) => `${l.fqn}: no ${scheme}: ${why}`),
  );
  return [row(head), ...lines.map(row), '', ...sums, ...hurt(analysis), ...problems].join('\n');
}

/** The layers that one candidate, the one with the largest sum, hurts most. */
function hurt(analysis: Analysis): string[] {
  const worst = [...totals(analysis)].sort((a, b) => (b[1].kl ?? 0) - (a[1].kl ?? 0))[0];
  if (worst === undefined || (worst[1].kl ?? 0) === 0) return [];
  const [scheme, { kl }] = worst;
  const share = analysis.layers
    .flatMap(({ fqn, candidates }) =>
      candidates.filter((c) => c.scheme === scheme).map((c) => ({ fqn, kl: c.kl ?? 0 })),
    )
    .sort((a, b) => b.kl - a.kl)
    .slice(0, 5)
    .map((x) => `${x.fqn} ${((100 * x.kl) / (kl as number)).toFixed(0)}%`);
  return [`${scheme} hurts most in ${share.join(', ')}`];
}
