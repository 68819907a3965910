// A layer under analysis: its weight, what the candidates make of it, and their errors.
//   weight SQNR  20 log10(|w| / |w - q|)
//   output SQNR  20 log10(|x w^T| / |x w^T - linear(x, q)|) over all x that the layer meets
import { dequantize, keep, linear, packWeight, scope, type Tensor } from '@ao/core';
import { schemeName } from '../config/codec.ts';
import type { AoConfig } from '../config/config.ts';
import { errorNorms } from '../quantize/compute-error.ts';
import { plainOf } from '../quantize/float-weight.ts';
import { planTensor } from '../quantize/preflight.ts';
import { isProblem, type TensorPlan } from '../quantize/trait.ts';
import type { CandidateResult, LayerAnalysis } from './analysis.ts';
import { type Site, watch } from './watched-tensor.ts';

export interface Tried {
  readonly plan: TensorPlan;
  readonly config: AoConfig;
  weightSqnr: number;
  /** Squares of norms, summed over the data. */
  readonly output: { signal: number; noise: number };
  kl: number | null;
  klScaled?: true;
}

export interface Layer extends Site {
  readonly tried: readonly Tried[];
  readonly problems: Readonly<Record<string, string>>;
}

const decibels = (signal: number, noise: number): number => 10 * Math.log10(signal / noise);
const outputSqnr = ({ output }: Tried): number | null =>
  output.signal === 0 ? null : decibels(output.signal, output.noise);

export function layerOf(site: Site, candidates: readonly AoConfig[]): Layer {
  const { weight } = site;
  const tried: Tried[] = [];
  const problems: Record<string, string> = {};
  for (const config of candidates) {
    const plan = planTensor(weight.rt, config, { shape: weight.shape, dtype: weight.dtype.name });
    if (isProblem(plan)) problems[schemeName(config, weight.rt)] = `${plan.problem}; ${plan.fix}`;
    else tried.push({ plan, config, weightSqnr: 0, output: { signal: 0, noise: 0 }, kl: null });
  }
  return { ...site, tried, problems };
}

/** The quantized weight, packed for its device. */
export function quantized(weight: Tensor, plan: TensorPlan): Tensor {
  const q = scope(() => plan.quantize(plainOf(weight)));
  packWeight(q.rt, q);
  return q;
}

export async function weightErrors({ weight, tried }: Layer): Promise<void> {
  const norms = tried.map(({ plan }) =>
    scope(() => errorNorms(plainOf(weight), dequantize(plan.quantize(plainOf(weight))))),
  );
  for (const [i, [signal, noise]] of norms.entries()) {
    (tried[i] as Tried).weightSqnr = 20 * Math.log10((await signal.item()) / (await noise.item()));
    signal.dispose();
    noise.dispose();
  }
}

/** One pass of `run` with all layers watched; each candidate is made anew for it, so that one at a time is in memory. */
export async function outputErrors(layers: readonly Layer[], run: () => void): Promise<void> {
  const byName = new Map(layers.map((l) => [l.names[0] as string, l]));
  const pending: { readonly tried: Tried; readonly norms: readonly [Tensor, Tensor] }[] = [];
  const unwatch = watch(layers, {
    linear(x, names) {
      for (const name of names) {
        const { weight, tried } = byName.get(name) as Layer;
        const exact = scope(() => linear(x, weight));
        for (const one of tried) {
          const norms = scope(() => errorNorms(exact, linear(x, quantized(weight, one.plan))));
          for (const t of norms) keep(t);
          pending.push({ tried: one, norms });
        }
        exact.dispose();
      }
    },
  });
  try {
    run();
  } finally {
    unwatch();
  }
  for (const { tried, norms } of pending) {
    tried.output.signal += (await norms[0].item()) ** 2;
    tried.output.noise += (await norms[1].item()) ** 2;
    for (const t of norms) t.dispose();
  }
}

export function coarsest({ tried }: Layer): Tried[] {
  const [first, ...rest] = tried;
  const error = (t: Tried): number => outputSqnr(t) ?? t.weightSqnr;
  return first === undefined ? [] : [rest.reduce((a, b) => (error(b) < error(a) ? b : a), first)];
}

/** Predictions move with the output error, and KL with its square. */
export function scaleOthers(layer: Layer): void {
  const [measured] = coarsest(layer);
  for (const other of layer.tried) {
    if (measured === undefined || other === measured) continue;
    const from = outputSqnr(measured) ?? measured.weightSqnr;
    const to = outputSqnr(other) ?? other.weightSqnr;
    other.kl = (measured.kl as number) * 10 ** ((from - to) / 10);
    other.klScaled = true;
  }
}

export function told({ names: [fqn = '', ...tied], weight, tried, problems }: Layer): LayerAnalysis {
  const candidates = tried.map(
    (t): CandidateResult => ({
      scheme: t.plan.scheme,
      config: t.config,
      bits: t.plan.bits,
      weightSqnr: t.weightSqnr,
      outputSqnr: outputSqnr(t),
      kl: t.kl,
      ...(t.klScaled && { klScaled: true as const }),
    }),
  );
  return { fqn, tied, shape: weight.shape, candidates, problems };
}
