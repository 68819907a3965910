// Weights: where blocks get their parameters, by names below their own. One walk through a model's constructors serves both
// ends: it lists what a checkpoint must hold (`parametersOf`), and takes what was loaded.
import { Embedding, Linear, RMSNorm, type Tensor } from '@ao/core';
import type { ParameterSpec } from '../family.ts';

type Take = (spec: ParameterSpec) => Tensor;

export interface NormSpec {
  readonly eps: number;
  /** Added to the weight: 1 in Gemma. */
  readonly offset?: number;
}

export class Weights {
  readonly path: string;
  readonly #take: Take;

  constructor(take: Take, path = '') {
    this.#take = take;
    this.path = path;
  }

  #name(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  at(name: string): Weights {
    return new Weights(this.#take, this.#name(name));
  }

  /** A parameter [...shape] of this block. */
  tensor(name: string, shape: readonly number[], role: ParameterSpec['role']): Tensor {
    return this.#take({ name: this.#name(name), shape, role });
  }

  linear(name: string, out: number, from: number, bias = false): Linear {
    const own = this.at(name);
    const weight = own.tensor('weight', [out, from], 'linear');
    return new Linear(weight, bias ? own.tensor('bias', [out], 'vector') : undefined);
  }

  norm(name: string, size: number, { eps, offset }: NormSpec): RMSNorm {
    return new RMSNorm(this.at(name).tensor('weight', [size], 'vector'), eps, offset);
  }

  embedding(name: string, count: number, size: number): Embedding {
    return new Embedding(this.at(name).tensor('weight', [count, size], 'embedding'));
  }

  /** The linear that turns hidden states into logits. */
  head(name: string, out: number, from: number): Linear {
    return new Linear(
      this.#take({ name: `${this.#name(name)}.weight`, shape: [out, from], role: 'linear', output: true }),
    );
  }
}

/** The parameters that `build` takes, in its order. What it builds meanwhile has no tensors and is dropped. */
export function parametersOf(build: (weights: Weights) => unknown): ParameterSpec[] {
  const found: ParameterSpec[] = [];
  build(
    new Weights((spec) => {
      found.push(spec);
      return undefined as unknown as Tensor;
    }),
  );
  return found;
}
