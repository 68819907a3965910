// One optimizer step: for each micro-batch forward and backward of its part of the mean loss, then clipping and the optimizer; all of it one
// captured plan. The mean is over all tokens of the step that have a loss, however they lie in micro-batches.
import {
  add,
  cast,
  type Dense,
  div,
  float32,
  int32,
  maximum,
  ne,
  reshape,
  scope,
  slice,
  sum,
  type Tensor,
  tensor,
} from '@ao/core';
import { backward, clipGradNorm_, detach, noGrad } from '@ao/core/autograd';
import { type Batch, IGNORE_INDEX } from './dataset.ts';
import { lossSum } from './model.ts';
import type { TrainOptions } from './options.ts';

export type StepOptions = Pick<
  TrainOptions,
  'model' | 'optimizer' | 'maxGradNorm' | 'clipGradNorm' | 'autocast' | 'capture'
>;

export interface StepOutputs {
  /** float32 [1]: mean loss before the step, in nats a token. */
  readonly loss: Dense;
  /** Norm of all gradients before clipping; absent without it. */
  readonly gradNorm: Dense | undefined;
}

export interface TrainStep {
  /** Returns at once; the outputs are read before the next call. */
  run(batch: Batch): StepOutputs;
  dispose(): void;
}

type Sizes = readonly [microBatches: number, rows: number, tokens: number];

export function trainStep(options: StepOptions, sizes: Sizes): TrainStep {
  const { model, optimizer, capture = true } = options;
  const params = optimizer.paramGroups.flatMap((g) => g.params);
  const { rt, device } = params[0]!;
  const step = (ids: Tensor, targets: Tensor): Tensor[] => stepOn(options, params, sizes, ids, targets);
  const outputs = ([loss, gradNorm]: readonly Tensor[]): StepOutputs => ({
    loss: loss as Dense,
    gradNorm: gradNorm as Dense | undefined,
  });
  const inputs = ({ ids, targets }: Batch): [Dense, Dense] => {
    const put = (values: Int32Array): Dense => tensor(rt, values, { shape: sizes, dtype: int32, device });
    return [put(ids), put(targets)];
  };
  model.prepareFor?.(sizes[2]);
  optimizer.initState();
  optimizer.zeroGrad();
  if (!capture) return { run: (batch) => outputs(scope(() => step(...inputs(batch)))), dispose() {} };
  const count = sizes[0] * sizes[1] * sizes[2];
  const plan = scope(() => {
    const blank = inputs({ ids: new Int32Array(count), targets: new Int32Array(count) });
    try {
      return rt.capture((ids, targets) => step(ids!, targets!), ...blank);
    } finally {
      // those of a capture that failed
      optimizer.zeroGrad();
    }
  });
  return { run: (batch) => outputs(scope(() => plan.replay(...inputs(batch)))), dispose: () => plan.dispose() };
}

function stepOn(
  { model, optimizer, maxGradNorm = 1, clipGradNorm = clipGradNorm_, autocast }: StepOptions,
  params: readonly Tensor[],
  [microBatches, rows, tokens]: Sizes,
  ids: Tensor,
  targets: Tensor,
): Tensor[] {
  const micro = (t: Tensor, i: number): Tensor => reshape(slice(t, 0, i, i + 1), [rows, tokens]);
  const count = maximum(cast(sum(ne(targets, IGNORE_INDEX)), float32), 1);
  let total: Tensor | undefined;
  for (let i = 0; i < microBatches; i++) {
    const part = scope(() => {
      const loss = div(lossSum(model, micro(ids, i), micro(targets, i), autocast), count);
      backward(loss);
      return detach(loss);
    });
    total = total === undefined ? part : add(total, part);
  }
  return noGrad(() => {
    const norm = maxGradNorm > 0 ? [clipGradNorm(params, maxGradNorm)] : [];
    optimizer.step();
    optimizer.zeroGrad();
    return [reshape(total!, [1]), ...norm];
  });
}
