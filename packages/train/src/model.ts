// What the loop wants of a model, and its loss: the cross entropy of each next id, in nats.
import { crossEntropy, type DType, type Module, reshape, type Tensor } from '@ao/core';
import { autocast } from '@ao/core/autograd';
import { IGNORE_INDEX } from './dataset.ts';

/** Token ids int32 [B, T] -> logits [B, T, V]. */
export interface TrainModel extends Module {
  forward(ids: Tensor): Tensor;
  /** Most tokens of a row; no limit where absent. */
  readonly maxPositions?: number;
  /** Makes what rows of this length need, before a capture. */
  prepareFor?(length: number): void;
}

/** Sum of the losses of ids [B, T] whose targets [B, T] count, float32 []; forward under autocast where a dtype is given. */
export function lossSum(model: TrainModel, ids: Tensor, targets: Tensor, dtype: DType | undefined): Tensor {
  const forward = (): Tensor => {
    const logits = model.call(ids) as Tensor;
    const rows = reshape(logits, [-1, logits.shape[logits.ndim - 1]!]);
    return crossEntropy(rows, reshape(targets, [-1]), { ignoreIndex: IGNORE_INDEX, reduction: 'sum' });
  };
  return dtype === undefined ? forward() : autocast(dtype, forward);
}
