// tokenLosses: -log p of each target, in nats, where a model reads `inputs` behind the first `start` positions of a cache.
import { arange, crossEntropy, int32, noGrad, reshape, scope, slice, type Tensor, tensor } from '@ao/core';
import type { CausalLM } from '../models/causal-lm.ts';
import type { StaticCache } from '../models/kv-cache.ts';

/** Positions whose logits exist at a time: bounds memory at ROWS x V floats. */
const ROWS = 128;

/** Of the last targets.length inputs, each predicting its target; the cache then holds all inputs, `cache.pos` is `start`. */
export async function tokenLosses(
  model: CausalLM,
  cache: StaticCache,
  inputs: readonly number[],
  targets: readonly number[],
  start = 0,
): Promise<number[]> {
  const { rt, device } = model;
  const ints = (values: readonly number[], shape: readonly number[]): Tensor =>
    tensor(rt, Int32Array.from(values), { shape, dtype: int32, device });
  cache.truncate(start);
  const first = inputs.length - targets.length;
  const parts = scope(() => {
    const positions = arange(rt, start, start + inputs.length, 1, { device });
    const hidden = model.hidden(ints(inputs, [1, inputs.length]), { cache, positions });
    const rows: Tensor[] = [];
    for (let at = first; at < inputs.length; at += ROWS) {
      const to = Math.min(at + ROWS, inputs.length);
      rows.push(
        scope(() => {
          const logits = noGrad(() => reshape(model.head(slice(hidden, 1, at, to)), [to - at, model.vocabSize]));
          return crossEntropy(logits, ints(targets.slice(at - first, to - first), [to - at]), { reduction: 'none' });
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
