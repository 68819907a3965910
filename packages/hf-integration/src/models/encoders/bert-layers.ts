// Modules that BERT and ViT name alike: query, key and value with their attention, and the activated half of the MLP.
import { type Linear, Module, type Tensor } from '@ao/core';
import { type Activation, linearOf, selfAttention, type Weight } from './layers.ts';

/** x [B, T, H] -> [B, T, H]; mask as in attention. */
export class SelfAttention extends Module {
  query: Linear;
  key: Linear;
  value: Linear;
  readonly #heads: number;

  constructor(heads: number, weight: Weight, at: string, bias = true) {
    super();
    this.query = linearOf(weight, `${at}.query`, bias);
    this.key = linearOf(weight, `${at}.key`, bias);
    this.value = linearOf(weight, `${at}.value`, bias);
    this.#heads = heads;
  }

  forward = (x: Tensor, mask?: Tensor): Tensor =>
    selfAttention(x, [this.query, this.key, this.value], this.#heads, mask);
}

/** activation(dense(x)) */
export class Intermediate extends Module {
  dense: Linear;
  readonly #activation: Activation;

  constructor(activation: Activation, weight: Weight, at: string) {
    super();
    this.dense = linearOf(weight, `${at}.dense`);
    this.#activation = activation;
  }

  forward = (x: Tensor): Tensor => this.#activation(this.dense.call(x));
}
