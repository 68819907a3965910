// The layers of a decoder; parameters under PyTorch's names.

import { empty } from '../create.ts';
import type { DType } from '../dtype.ts';
import { embedding } from '../ops/embedding.ts';
import { linear } from '../ops/matmul.ts';
import { layerNorm, rmsNorm } from '../ops/norm.ts';
import type { Runtime } from '../runtime.ts';
import { keep } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { Module } from './module.ts';

export interface LayerOptions {
  readonly dtype?: DType;
  readonly device?: string;
}

/** y = x W^T + b: weight [outFeatures, inFeatures], bias [outFeatures]. Parameters come uninitialised or are given. */
export class Linear extends Module {
  weight: Tensor;
  bias?: Tensor;

  constructor(weight: Tensor, bias?: Tensor) {
    super();
    this.weight = weight;
    if (bias !== undefined) this.bias = bias;
  }

  static create(
    rt: Runtime,
    inFeatures: number,
    outFeatures: number,
    options: LayerOptions & { readonly bias?: boolean } = {},
  ): Linear {
    const weight = keep(empty(rt, [outFeatures, inFeatures], options));
    return new Linear(weight, (options.bias ?? true) ? keep(empty(rt, [outFeatures], options)) : undefined);
  }

  get outFeatures(): number {
    return this.weight.shape[0]!;
  }

  get inFeatures(): number {
    return this.weight.shape[1]!;
  }

  override packableNames(): readonly string[] {
    return ['weight'];
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}

/** weight [numEmbeddings, embeddingDim]. */
export class Embedding extends Module {
  weight: Tensor;

  constructor(weight: Tensor) {
    super();
    this.weight = weight;
  }

  override packableNames(): readonly string[] {
    return ['weight'];
  }

  forward(indices: Tensor): Tensor {
    return embedding(this.weight, indices);
  }
}

export class RMSNorm extends Module {
  weight: Tensor;
  readonly eps: number;
  /** Added to the weight; 1 in Gemma. */
  readonly offset: number;

  constructor(weight: Tensor, eps: number, offset = 0) {
    super();
    this.weight = weight;
    this.eps = eps;
    this.offset = offset;
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.weight, this.eps, this.offset);
  }
}

export class LayerNorm extends Module {
  weight: Tensor;
  bias: Tensor;
  readonly eps: number;

  constructor(weight: Tensor, bias: Tensor, eps: number) {
    super();
    this.weight = weight;
    this.bias = bias;
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight, this.bias, this.eps);
  }
}
