// What the loop wants of a model, and its loss: the cross entropy of each next id, in nats.
import { cast, crossEntropy, type DType, isDense, type Module, numel, reshape, sum, type Tensor } from '@ao/core';
import { autocast, linearCrossEntropy } from '@ao/core/autograd';
import { IGNORE_INDEX } from './dataset.ts';

/** Token ids int32 [B, T] -> logits [B, T, V]. */
export interface TrainModel extends Module {
  forward(ids: Tensor): Tensor;
  /** Most tokens of a row; no limit where absent. */
  readonly maxPositions?: number;
  /** Makes what rows of this length need, before a capture. */
  prepareFor?(length: number): void;
  /** With `headWeight` [V, H], where logits are linear(hidden(ids), headWeight) and nothing else: then many logits are never in memory at once. */
  hidden?(ids: Tensor): Tensor;
  readonly headWeight?: Tensor | undefined;
}

/** Logits above this, 64 MiB in float32, are made in pieces, once more in backward. */
const MOST = 2 ** 24;

/** Sum of the losses of ids [B, T] whose targets [B, T] count, float32; forward under autocast where a dtype is given. */
export function lossSum(
  model: TrainModel,
  ids: Tensor,
  targets: Tensor,
  dtype: DType | undefined,
  most: number = MOST,
): Tensor {
  const flat = reshape(targets, [-1]);
  const whole = (): Tensor => {
    const logits = model.call(ids) as Tensor;
    const rows = reshape(logits, [-1, logits.shape[logits.ndim - 1]!]);
    return crossEntropy(rows, flat, { ignoreIndex: IGNORE_INDEX, reduction: 'sum' });
  };
  const inPieces = (hidden: Tensor, head: Tensor): Tensor => {
    const rows = reshape(hidden, [-1, hidden.shape[hidden.ndim - 1]!]);
    const lower = (t: Tensor): Tensor => (dtype === undefined || !isDense(t) || t.packed !== null ? t : cast(t, dtype));
    return sum(linearCrossEntropy(lower(rows), lower(head), flat, IGNORE_INDEX));
  };
  const forward = (): Tensor => {
    const { headWeight: head } = model;
    if (model.hidden === undefined || head === undefined || numel(ids.shape) * head.shape[0]! <= most) return whole();
    return inPieces(model.hidden(ids), head);
  };
  return dtype === undefined ? forward() : autocast(dtype, forward);
}
