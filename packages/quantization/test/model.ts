// A small decoder-like model for tests: an embedding tied to lm_head, two linears, a norm.
import {
  Embedding,
  embedding,
  keep,
  Linear,
  linear,
  Module,
  RMSNorm,
  type Runtime,
  type Tensor,
  tensor,
} from '@ao/core';

export const wave = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) =>
    Math.fround(Math.sin(i * 1.618 + seed) * 0.2 + Math.cos(i * i * 0.37 + seed) * 0.1),
  );

export function matrix(rt: Runtime, rows: number, columns: number, seed: number): Tensor {
  return keep(tensor(rt, wave(rows * columns, seed), { shape: [rows, columns] }));
}

export class Mlp extends Module {
  up_proj: Linear;
  down_proj: Linear;

  constructor(rt: Runtime, width: number, hidden: number) {
    super();
    this.up_proj = new Linear(matrix(rt, hidden, width, 1), keep(tensor(rt, wave(hidden, 2))));
    this.down_proj = new Linear(matrix(rt, width, hidden, 3));
  }

  forward = (x: Tensor): Tensor => this.down_proj.call(this.up_proj.call(x));
}

export class Model extends Module {
  embed_tokens: Embedding;
  layers: Mlp[];
  norm: RMSNorm;
  lm_head: Linear;

  constructor(rt: Runtime, { width = 64, hidden = 96, vocabulary = 40, layers = 2 } = {}) {
    super();
    const table = matrix(rt, vocabulary, width, 4);
    this.embed_tokens = new Embedding(table);
    this.layers = Array.from({ length: layers }, () => new Mlp(rt, width, hidden));
    this.norm = new RMSNorm(keep(tensor(rt, wave(width, 5))), 1e-5);
    this.lm_head = new Linear(table);
  }

  forward = (ids: Tensor): Tensor => {
    let x = embedding(this.embed_tokens.weight, ids);
    for (const layer of this.layers) x = layer.call(x);
    return linear(this.norm.call(x), this.lm_head.weight);
  };
}
