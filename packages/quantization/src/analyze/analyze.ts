// analyze(model, data): what each candidate config would do to each layer, measured one layer at a time. The model is as it
// was when analyze ends, also where it throws.
//   weight SQNR, output SQNR   see layer.ts
//   KL   mean over positions of sum p (log p - log q), p and q = softmax of the model's logits, q with this layer changed
import { cast, float32, keep, logSoftmax, type Module, prepare, reshape, scope, type Tensor } from '@ao/core';
import type { AoConfig } from '../config/config.ts';
import { configError } from '../config/field.ts';
import { isFloatWeight } from '../quantize/float-weight.ts';
import { type FilterFn, isLinear } from '../quantize/select.ts';
import type { Analysis } from './analysis.ts';
import { klDivergence } from './kl-divergence.ts';
import {
  coarsest,
  type Layer,
  layerOf,
  outputErrors,
  quantized,
  scaleOthers,
  type Tried,
  told,
  weightErrors,
} from './layer.ts';
import { sitesOf } from './watched-tensor.ts';

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

/** logits [..., V] -> log softmax in float32 [positions, V]. */
function logProbabilities(logits: Tensor): Tensor {
  const flat = reshape(logits, [-1, logits.shape[logits.ndim - 1] as number]);
  return logSoftmax(cast(flat, float32));
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
