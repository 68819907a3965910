// analyze(model, data): what each candidate config would do to each layer, measured one layer at a time. The model is as it
// was when analyze ends, also where it throws.
//   weight SQNR  20 log10(|w| / |w - q|)
//   output SQNR  20 log10(|x w^T| / |x w^T - linear(x, q)|) over all x that the layer meets
//   KL           mean over positions of sum p (log p - log q), p and q = softmax of the model's logits, q with this layer changed
import {
  cast,
  dequantize,
  float32,
  keep,
  linear,
  logSoftmax,
  type Module,
  packWeight,
  prepare,
  reshape,
  scope,
  type Tensor,
} from '@ao/core';
import { schemeName } from '../config/codec.ts';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import { errorNorms } from '../quantize/compute-error.ts';
import { isFloatWeight, plainOf } from '../quantize/float-weight.ts';
import { planTensor } from '../quantize/preflight.ts';
import { type FilterFn, isLinear } from '../quantize/select.ts';
import { isProblem, type TensorPlan } from '../quantize/trait.ts';
import type { Analysis, CandidateResult } from './analysis.ts';
import { klDivergence } from './kl-divergence.ts';
import { type Site, sitesOf, watch } from './watched-tensor.ts';

export interface AnalyzeOptions<M extends Module, B> {
  /** Configs to try on each layer. */
  readonly candidates: readonly AoConfig[];
  /** Which modules; every Linear unless given. */
  readonly filterFn?: FilterFn;
  /** Logits [..., V] of a batch; `model.call(batch)` unless given. */
  readonly forward?: (model: M, batch: B) => Tensor;
  /**
   * 'all' (default): KL of every candidate, a pass over the data each. 'one': of the coarsest alone, the others scaled by the
   * squares of their output errors. 'none': no KL.
   */
  readonly kl?: 'all' | 'one' | 'none';
  readonly onProgress?: (progress: { readonly done: number; readonly total: number; readonly fqn: string }) => void;
  readonly signal?: AbortSignal;
}

interface Tried {
  readonly plan: TensorPlan;
  readonly config: AoConfig;
  weightSqnr: number;
  /** Squares of norms, summed over the data. */
  readonly output: { signal: number; noise: number };
  kl: number | null;
  klScaled?: true;
}

interface Layer extends Site {
  readonly tried: readonly Tried[];
  readonly problems: Readonly<Record<string, string>>;
}

const decibels = (signal: number, noise: number): number => 10 * Math.log10(signal / noise);
const outputSqnr = ({ output }: Tried): number | null =>
  output.signal === 0 ? null : decibels(output.signal, output.noise);

/**
 * `data` is a few batches, kept in memory together with the model's predictions for them; none at all gives weight SQNR alone.
 * Rejects with ERR_AO_CONFIG where no layer can have any candidate.
 */
export async function analyze<M extends Module, B>(
  model: M,
  data: Iterable<B> | AsyncIterable<B>,
  options: AnalyzeOptions<M, B>,
): Promise<Analysis> {
  const { candidates, filterFn = isLinear, kl = 'all', signal } = options;
  const forward = options.forward ?? ((m: M, batch: B): Tensor => m.call(batch));
  await prepare(model.named());
  const layers = sitesOf(model, filterFn)
    .filter((site) => isFloatWeight(site.weight))
    .map((site) => layerOf(site, candidates));
  if (layers.every((l) => l.tried.length === 0)) {
    const [why] = layers.flatMap((l) => Object.entries(l.problems)).map(([scheme, text]) => `${scheme}: ${text}`);
    throw configError(`no layer can have any candidate${why === undefined ? '' : ` (${why})`}`, 'give others');
  }
  const batches: B[] = [];
  for await (const batch of data) batches.push(batch);
  const run = (batch: B): Tensor => scope(() => logProbabilities(forward(model, batch)));

  for (const layer of layers) {
    signal?.throwIfAborted();
    await weightErrors(layer);
  }
  for (const batch of batches) {
    signal?.throwIfAborted();
    await outputErrors(layers, () => run(batch).dispose());
  }
  let positions = 0;
  if (kl !== 'none' && batches.length > 0) {
    const before = batches.map((batch) => keep(run(batch)));
    positions = before.reduce((n, t) => n + (t.shape[0] as number), 0);
    try {
      let done = 0;
      for (const layer of layers) {
        for (const one of kl === 'all' ? layer.tried : coarsest(layer)) {
          signal?.throwIfAborted();
          one.kl = (await divergence(layer, one, batches, before, run)) / positions;
        }
        if (kl === 'one') scaleOthers(layer);
        options.onProgress?.({ done: ++done, total: layers.length, fqn: layer.names[0] as string });
      }
    } finally {
      for (const t of before) t.dispose();
    }
  }
  return { positions, layers: layers.map((l) => told(l)) };
}

function layerOf(site: Site, candidates: readonly AoConfig[]): Layer {
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

/** logits [..., V] -> log softmax in float32 [positions, V]. */
function logProbabilities(logits: Tensor): Tensor {
  const flat = reshape(logits, [-1, logits.shape[logits.ndim - 1] as number]);
  return logSoftmax(cast(flat, float32));
}

/** The quantized weight, packed for its device. */
function quantized(weight: Tensor, plan: TensorPlan): Tensor {
  const q = scope(() => plan.quantize(plainOf(weight)));
  packWeight(q.rt, q);
  return q;
}

async function weightErrors({ weight, tried }: Layer): Promise<void> {
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
async function outputErrors(layers: readonly Layer[], run: () => void): Promise<void> {
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

/** Sum over positions of KL(before || with this layer quantized). */
async function divergence<B>(
  layer: Layer,
  { plan }: Tried,
  batches: readonly B[],
  before: readonly Tensor[],
  run: (batch: B) => Tensor,
): Promise<number> {
  const q = keep(quantized(layer.weight, plan));
  layer.put(q);
  try {
    let total = 0;
    for (const [i, batch] of batches.entries()) {
      const p = before[i] as Tensor;
      const rows = scope(() => klDivergence(p, run(batch)));
      for (const x of await rows.data()) total += Number(x);
      rows.dispose();
    }
    return total;
  } finally {
    layer.put(layer.weight);
    q.dispose();
  }
}

function coarsest({ tried }: Layer): Tried[] {
  const [first, ...rest] = tried;
  const error = (t: Tried): number => outputSqnr(t) ?? t.weightSqnr;
  return first === undefined ? [] : [rest.reduce((a, b) => (error(b) < error(a) ? b : a), first)];
}

/** Predictions move with the output error, and KL with its square. */
function scaleOthers(layer: Layer): void {
  const [measured] = coarsest(layer);
  for (const other of layer.tried) {
    if (measured === undefined || other === measured) continue;
    const from = outputSqnr(measured) ?? measured.weightSqnr;
    const to = outputSqnr(other) ?? other.weightSqnr;
    other.kl = (measured.kl as number) * 10 ** ((from - to) / 10);
    other.klScaled = true;
  }
}

function told({ names: [fqn = '', ...tied], weight, tried, problems }: Layer): Analysis['layers'][number] {
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
