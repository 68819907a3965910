// evaluateLoss: the mean cross entropy of a dataset's rows in nats a token, by one captured plan a batch.
import { cast, type DType, float32, int32, ne, reshape, scope, sum, type Tensor, tensor } from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { type Batch, type Dataset, IGNORE_INDEX } from './dataset.ts';
import { lossSum, type TrainModel } from './model.ts';

export interface EvaluateLossOptions {
  /** Rows a batch; 8. */
  readonly batchSize?: number;
  readonly autocast?: DType;
  readonly capture?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export async function evaluateLoss(
  model: TrainModel,
  data: Dataset,
  options: EvaluateLossOptions = {},
): Promise<{ readonly loss: number; readonly tokens: number }> {
  const { batchSize = 8, autocast, capture = true, signal } = options;
  const { rt, device } = model.parameters()[0]!;
  const shape = [Math.min(batchSize, data.length), data.blockSize];
  const put = (values: Int32Array): Tensor => tensor(rt, values, { shape, dtype: int32, device });
  const sums = (ids: Tensor, targets: Tensor): Tensor[] =>
    noGrad(() => [
      reshape(lossSum(model, ids, targets, autocast), [1]),
      reshape(cast(sum(ne(targets, IGNORE_INDEX)), float32), [1]),
    ]);
  model.prepareFor?.(data.blockSize);
  const size = shape[0]! * shape[1]!;
  const plan = capture
    ? scope(() => rt.capture((a, b) => sums(a!, b!), put(new Int32Array(size)), put(new Int32Array(size))))
    : undefined;
  let [loss, tokens] = [0, 0];
  try {
    for (let at = 0; at < data.length; at += shape[0]!) {
      signal?.throwIfAborted();
      const rows = Array.from({ length: Math.min(shape[0]!, data.length - at) }, (_, i) => at + i);
      const { ids, targets } = filled(await data.rows(rows), size);
      const outs = scope(() => (plan ? plan.replay(put(ids), put(targets)) : sums(put(ids), put(targets))));
      const [a, b] = await Promise.all(outs.map((t) => t.item()));
      for (const t of outs) t.dispose();
      loss += a!;
      tokens += b!;
    }
  } finally {
    plan?.dispose();
  }
  return { loss: loss / Math.max(tokens, 1), tokens };
}

/** The last batch with rows that nobody predicts. */
function filled({ ids, targets }: Batch, size: number): Batch {
  if (ids.length === size) return { ids, targets };
  const full = { ids: new Int32Array(size), targets: new Int32Array(size).fill(IGNORE_INDEX) };
  full.ids.set(ids);
  full.targets.set(targets);
  return full;
}
