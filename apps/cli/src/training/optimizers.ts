// Optimizers by the names that transformers gives them, over a model's parameters: matrices decay, vectors do not.
import type { Tensor } from '@ao/core';
import { AdamW, AdamW4bit, AdamW8bit, AdamWFp8, type Optimizer, SGD } from '@ao/optim';

interface Settings {
  readonly lr: number;
  readonly weightDecay: number;
}

type Group = { readonly params: Tensor[]; readonly weightDecay: number };
type Make = (groups: Group[], settings: Settings) => Optimizer<object>;

const OPTIMIZERS: Readonly<Record<string, Make>> = {
  adamw_torch: (groups, s) => new AdamW(groups, s),
  adamw_torch_8bit: (groups, s) => new AdamW8bit(groups, s),
  adamw_torch_4bit: (groups, s) => new AdamW4bit(groups, s),
  adamw_torch_fp8: (groups, s) => new AdamWFp8(groups, s),
  sgd: (groups, s) => new SGD(groups, s),
};

/** As transformers' Trainer: weight decay is for all but norms and biases. */
export function makeOptimizer(name: string, params: readonly Tensor[], settings: Settings): Optimizer<object> {
  const [matrices, vectors] = [params.filter((p) => p.ndim > 1), params.filter((p) => p.ndim < 2)];
  const groups = [
    { params: matrices, weightDecay: settings.weightDecay },
    { params: vectors, weightDecay: 0 },
  ].filter((g) => g.params.length > 0);
  return OPTIMIZERS[name]!(groups, settings);
}
