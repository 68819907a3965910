// evaluate(model, ids, ...): mean cross entropy in nats per token, and perplexity = exp of it.
//   ids are cut into consecutive windows of `window`; position i of a window predicts the id after it, so windows do not
//   overlap and every id but the first is predicted once. The last, shorter window counts only when all windows do.
import { AoError, arange, crossEntropy, int32, prepare, reshape, scope, slice, type Tensor, tensor } from '@ao/core';
import type { CausalLM } from './models/causal-lm.ts';
import type { StaticCache } from './models/kv-cache.ts';
import type { OnProgress } from './progress.ts';

export interface EvaluateOptions {
  /** Tokens a window. Default 512, at most the model's positions. */
  readonly window?: number;
  /** How many windows. Default: all that the ids give. */
  readonly windows?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface Evaluation {
  readonly crossEntropy: number;
  readonly perplexity: number;
  /** Predicted tokens. */
  readonly tokens: number;
}

/** Positions whose logits exist at a time: bounds memory at ROWS x V floats. */
const ROWS = 128;

export async function evaluate(
  model: CausalLM,
  ids: readonly number[],
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { window = 512, signal, onProgress } = options;
  if (window > model.maxPositions || window < 1 || !Number.isInteger(window)) {
    throw new AoError('ERR_AO_CONFIG', `a window of ${window} tokens; the model has ${model.maxPositions} positions`, {
      op: 'evaluate',
      fix: `give a window of 1 to ${model.maxPositions}`,
    });
  }
  if (ids.length < 2)
    throw new AoError('ERR_AO_CONFIG', 'the text has no token to predict', {
      op: 'evaluate',
      fix: 'give a longer text',
    });
  await prepare(model);
  const all = Math.ceil((ids.length - 1) / window);
  const total = Math.min(options.windows ?? all, all);
  const cache = model.createCache(window);
  let sum = 0;
  let tokens = 0;
  try {
    for (let w = 0; w < total; w++) {
      signal?.throwIfAborted();
      const inputs = ids.slice(w * window, Math.min((w + 1) * window, ids.length - 1));
      const targets = ids.slice(w * window + 1, w * window + 1 + inputs.length);
      for (const nll of await losses(model, cache, inputs, targets)) sum += nll;
      tokens += inputs.length;
      onProgress?.({ phase: 'eval', loaded: w + 1, total });
    }
  } finally {
    cache.dispose();
  }
  const mean = sum / tokens;
  return { crossEntropy: mean, perplexity: Math.exp(mean), tokens };
}

/** -log p of each target, summed outside in float64. */
async function losses(
  model: CausalLM,
  cache: StaticCache,
  inputs: readonly number[],
  targets: readonly number[],
): Promise<number[]> {
  const { rt, device } = model;
  const ints = (values: readonly number[], shape: readonly number[]): Tensor =>
    tensor(rt, Int32Array.from(values), { shape, dtype: int32, device });
  cache.truncate(0);
  const parts = scope(() => {
    const positions = arange(rt, 0, inputs.length, 1, { device });
    const hidden = model.hidden(ints(inputs, [1, inputs.length]), { cache, positions });
    const rows: Tensor[] = [];
    for (let at = 0; at < inputs.length; at += ROWS) {
      const to = Math.min(at + ROWS, inputs.length);
      rows.push(
        scope(() => {
          const logits = reshape(model.head(slice(hidden, 1, at, to)), [to - at, model.vocabSize]);
          return crossEntropy(logits, ints(targets.slice(at, to), [to - at]), { reduction: 'none' });
        }),
      );
    }
    return rows;
  });
  const out: number[] = [];
  for (const part of parts) {
    out.push(...(await part.data()));
    part.dispose();
  }
  return out;
}
