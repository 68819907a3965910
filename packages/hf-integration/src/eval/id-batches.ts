// Batches of token ids for analyze and other passes over a text: consecutive windows, each an int32 tensor [1, window].
import { int32, keep, type Tensor, tensor } from '@ao/core';
import type { CausalLM } from '../models/causal-lm.ts';

export interface IdBatchesOptions {
  /** Tokens a window; default 128, at most the model's positions. */
  readonly window?: number;
  /** Windows at most; default 2. */
  readonly windows?: number;
}

/** `model.call(batch)` gives the logits of each. The caller disposes them. */
export function idBatches(model: CausalLM, ids: readonly number[], options: IdBatchesOptions = {}): Tensor[] {
  const { windows = 2 } = options;
  const window = Math.min(options.window ?? 128, model.maxPositions);
  const count = Math.min(windows, Math.ceil(ids.length / window));
  return Array.from({ length: count }, (_, i) => {
    const part = Int32Array.from(ids.slice(i * window, (i + 1) * window));
    return keep(tensor(model.rt, part, { shape: [1, part.length], dtype: int32, device: model.device }));
  });
}
