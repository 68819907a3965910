// Linears that train 2:4: the weight, or the input, is pruned by 4 x 4 tiles at each call, and gradients pass straight through to what
// was pruned. torchao's default takes the largest values, signs included; 'largest_abs_values_greedy' takes magnitudes.
import { Linear, linear, reshape, type Tensor } from '@ao/core';
import type { PruneAlgorithm } from '../sparse24/ops.ts';
import { semiStructuredSparsify } from './semi-structured-sparsify.ts';

/** y = x prune(W)^T + b. */
export class SemiSparseLinear extends Linear {
  algorithm: PruneAlgorithm = '';

  static fromDense({ weight, bias }: Linear): SemiSparseLinear {
    return new SemiSparseLinear(weight, bias);
  }

  /** The linear of the dense weight, as it was trained. */
  toDense(): Linear {
    return new Linear(this.weight, this.bias);
  }

  override forward(x: Tensor): Tensor {
    return linear(x, semiStructuredSparsify(this.weight, this.algorithm), this.bias);
  }
}

/** y = prune(x) W^T + b, for inputs of which many are 0, as squared ReLU leaves them; rows of x come in fours. */
export class SemiSparseActivationLinear extends Linear {
  algorithm: PruneAlgorithm = '';

  static fromDense({ weight, bias }: Linear): SemiSparseActivationLinear {
    return new SemiSparseActivationLinear(weight, bias);
  }

  toDense(): Linear {
    return new Linear(this.weight, this.bias);
  }

  override forward(x: Tensor): Tensor {
    const rows = reshape(x, [-1, x.shape[x.ndim - 1]!]);
    return linear(reshape(semiStructuredSparsify(rows, this.algorithm), x.shape), this.weight, this.bias);
  }
}
