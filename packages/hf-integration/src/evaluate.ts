// evaluate(model, ids, ...): mean cross entropy in nats per token, and perplexity = exp of it.
//   ids are cut into consecutive windows of `window`; position i of a window predicts the id after it, so windows do not
//   overlap and every id but the first is predicted once. The last, shorter window counts only when all windows do.
import { AoError, prepare } from '@ao/core';
import { tokenLosses } from './eval/token-losses.ts';
import type { KVCacheFormat } from './models/cache-layout.ts';
import type { CausalLM } from './models/causal-lm.ts';
import type { OnProgress } from './progress.ts';

export interface EvaluateOptions {
  /** Tokens a window. Default 512, at most the model's positions. */
  readonly window?: number;
  /** What keys and values are kept in, as in generate; default 'auto'. */
  readonly kvCache?: KVCacheFormat;
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

export async function evaluate(
  model: CausalLM,
  ids: readonly number[],
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { window = 512, kvCache, signal, onProgress } = options;
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
  const cache = model.createCache(window, 1, kvCache);
  let sum = 0;
  let tokens = 0;
  try {
    for (let w = 0; w < total; w++) {
      signal?.throwIfAborted();
      const inputs = ids.slice(w * window, Math.min((w + 1) * window, ids.length - 1));
      const targets = ids.slice(w * window + 1, w * window + 1 + inputs.length);
      for (const nll of await tokenLosses(model, cache, inputs, targets)) sum += nll;
      tokens += inputs.length;
      onProgress?.({ phase: 'eval', loaded: w + 1, total });
    }
  } finally {
    cache.dispose();
  }
  const mean = sum / tokens;
  return { crossEntropy: mean, perplexity: Math.exp(mean), tokens };
}
