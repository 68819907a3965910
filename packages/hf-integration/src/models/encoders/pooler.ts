// Pooler: act(W h[:, 0] + b), a layer on the first token that some encoders were trained with: h [B, T, H] -> [B, P].
import { type Linear, Module, select, type Tensor } from '@ao/core';
import { type Activation, linearOf, type Weight } from './layers.ts';

export class Pooler extends Module {
  dense: Linear;
  readonly #activation: Activation;

  constructor(weight: Weight, activation: Activation) {
    super();
    this.dense = linearOf(weight, 'pooler.dense');
    this.#activation = activation;
  }

  /** Undefined where the checkpoint has none. */
  static of(weight: Weight, activation: Activation): Pooler | undefined {
    return (weight('pooler.dense.weight') as Tensor | undefined) && new Pooler(weight, activation);
  }

  forward = (hidden: Tensor): Tensor => this.#activation(this.dense.call(select(hidden, 1, 0)));
}
