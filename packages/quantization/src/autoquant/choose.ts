// choose(groups, candidates): the autoquant plan of what a model was seen to run: times by race, errors on rows of what was seen.
import { dequantize, keep, linear, packWeight, type Runtime, scope, type Tensor } from '@ao/core';
import { schemeName } from '../config/codec.ts';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import { fqnToConfig } from '../config/fqn-to-config.ts';
import { decibels, errorNorms } from '../quantize/compute-error.ts';
import { plainOf } from '../quantize/float-weight.ts';
import { planTensor } from '../quantize/preflight.ts';
import { isProblem, type TensorPlan } from '../quantize/trait.ts';
import type { AutoquantOptions } from './autoquant.ts';
import type { Group } from './call-log.ts';
import { AS_IT_IS, type AutoquantLayer, type AutoquantPlan } from './plan.ts';
import { race } from './race.ts';

/** Weights of copies of a layer that are held at a time for one candidate, in bytes at 16 bits. */
const COPIES = 128 << 20;

/** Groups that take the same time: of equal shapes. */
function classesOf(groups: readonly Group[]): Group[][] {
  const classes = new Map<string, Group[]>();
  for (const group of groups) {
    const key = JSON.stringify([group.sites.map(({ weight }) => [weight.shape, weight.dtype.name]), [...group.calls]]);
    const same = classes.get(key);
    if (same === undefined) classes.set(key, [group]);
    else same.push(group);
  }
  return [...classes.values()];
}

/** Times every candidate for the groups of equal shapes together, and gives each group the fastest that keeps minSqnr. */
export async function choose(
  groups: readonly Group[],
  candidates: readonly AoConfig[],
  options: Omit<AutoquantOptions, 'candidates' | 'filterFn'>,
): Promise<AutoquantPlan> {
  const { minSqnr } = options;
  const { rt, device } = groups.flatMap((g) => g.sites.map((s) => s.weight))[0] as Tensor;
  const layers = new Map<Group, AutoquantLayer>();
  let done = 0;
  for (const same of classesOf(groups)) {
    const timed = await timesOf(rt, same, candidates, options);
    for (const group of same) {
      options.signal?.throwIfAborted();
      const names = group.sites.map(({ names: [name = ''] }) => name);
      const { entry, sqnr } = await fastest(group, timed, minSqnr);
      layers.set(group, {
        names,
        config: entry.config,
        scheme: entry.scheme,
        sqnr,
        calls: timed.calls,
        microseconds: Object.fromEntries(timed.entries.map((e) => [e.scheme, e.seconds * 1e6])),
      });
      options.onProgress?.({ done: ++done, total: groups.length, layer: names.join(', ') });
    }
    tellSlow(rt, timed);
  }
  const chosen = groups.map((g) => layers.get(g) as AutoquantLayer);
  const table = chosen.flatMap(({ names, config }) => names.map((n) => [n.replace(/\.?weight$/, ''), config] as const));
  return {
    config: fqnToConfig([...table, ['_default', null]]),
    device,
    ...(minSqnr === undefined ? {} : { minSqnr }),
    layers: chosen,
  };
}

interface Timed {
  readonly calls: Readonly<Record<number, number>>;
  /** Fastest first; of equal times the earlier candidate. */
  readonly entries: readonly { readonly scheme: string; readonly config: AoConfig | null; readonly seconds: number }[];
}

async function timesOf(
  rt: Runtime,
  same: readonly Group[],
  candidates: readonly AoConfig[],
  { calls, rounds = 7, signal }: AutoquantOptions,
): Promise<Timed> {
  const bytes = (g: Group): number => g.sites.reduce((n, { weight }) => n + 2 * weight.numel, 0);
  const copies = same.slice(0, Math.max(1, Math.floor(COPIES / bytes(same[0] as Group))));
  const weights = copies.map((g) => g.sites.map((s) => s.weight));
  const entrants: { readonly config: AoConfig | null; readonly weights: readonly (readonly Tensor[])[] }[] = [
    { config: null, weights },
  ];
  for (const config of candidates) {
    const made = weights.map((ws) => ws.map((w) => quantizedOr(w, config)));
    if (made.flat().every((q) => q !== undefined)) entrants.push({ config, weights: made as Tensor[][] });
    else for (const q of made.flat()) q?.dispose();
  }
  try {
    const logged = calls ?? Object.fromEntries((same[0] as Group).calls);
    const seconds = entrants.map(() => 0);
    for (const [rows, count] of Object.entries(logged)) {
      const measured = await race(
        rt,
        entrants.map((e) => e.weights),
        Number(rows),
        { rounds, signal },
      );
      for (const [i, s] of measured.entries()) seconds[i] = (seconds[i] as number) + count * s;
    }
    const entries = entrants.map(({ config }, i) => ({
      scheme: config === null ? AS_IT_IS : schemeName(config, rt),
      config,
      seconds: seconds[i] as number,
    }));
    return { calls: logged, entries: entries.sort((a, b) => a.seconds - b.seconds) };
  } finally {
    for (const { config, weights: all } of entrants) if (config !== null) for (const q of all.flat()) q.dispose();
  }
}

/** The packed quantized weight; undefined where it cannot have the config. */
function quantizedOr(weight: Tensor, config: AoConfig): Tensor | undefined {
  const plan = planTensor(weight.rt, config, { shape: weight.shape, dtype: weight.dtype.name });
  if (isProblem(plan)) return undefined;
  const q = keep(scope(() => plan.quantize(plainOf(weight))));
  packWeight(q.rt, q);
  return q;
}

async function fastest(
  group: Group,
  timed: Timed,
  minSqnr: number | undefined,
): Promise<{ readonly entry: Timed['entries'][number]; readonly sqnr: number | null }> {
  for (const entry of timed.entries) {
    if (entry.config === null) return { entry, sqnr: null };
    const sqnr = await sqnrOf(group, entry.config);
    if (minSqnr === undefined || sqnr >= minSqnr) return { entry, sqnr };
  }
  throw configError('autoquant lost the candidate that leaves a weight as it is');
}

/** The least over the group's weights: of outputs, and of the weight itself where it is an embedding or nothing was sampled. */
async function sqnrOf({ sites, sample, embedded }: Group, config: AoConfig): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (const { weight } of sites) {
    const plan = planTensor(weight.rt, config, { shape: weight.shape, dtype: weight.dtype.name }) as TensorPlan;
    const norms = scope(() => {
      const q = plan.quantize(plainOf(weight));
      const found: (readonly [Tensor, Tensor])[] = [];
      if (sample === undefined || embedded) found.push(errorNorms(plainOf(weight), dequantize(q)));
      packWeight(q.rt, q);
      if (sample !== undefined) found.push(errorNorms(linear(sample, weight), linear(sample, q)));
      return found.map(([signal, noise]) => [signal, noise] as const);
    });
    for (const pair of norms) least = Math.min(least, await decibels(pair));
  }
  return least;
}

function tellSlow(rt: Runtime, { entries }: Timed): void {
  const plain = entries.findIndex((e) => e.config === null);
  for (const { scheme } of entries.slice(plain + 1)) {
    rt.say(
      {
        level: 'info',
        code: 'slower',
        message: `${scheme} was slower here than floating point: it saves memory, not time`,
      },
      scheme,
    );
  }
}
