// A small model for the tests, and what they share.
import { createRuntime, fromBits, gelu, Linear, Module, tensor } from '@ao/core';
import { cpu } from '@ao/kernels-cpu';
import { square8 } from 'ao-example-square8';

export const onCpu = () => createRuntime({ use: [cpu(), square8()] });
export const onReference = () => createRuntime({ use: [square8()] });

/** Bell-shaped numbers, the same at each call with the same seed. */
export function noise(n, seed) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float32Array.from({ length: n }, () => (next() + next() + next() + next() - 2) * 0.5);
}

export const input = (rt, rows, seed = 7) => tensor(rt, noise(rows * 64, seed), { shape: [rows, 64] });

class Mlp extends Module {
  constructor(up, down) {
    super();
    this.up_proj = up;
    this.down_proj = down;
  }

  forward(x) {
    return this.down_proj.call(gelu(this.up_proj.call(x)));
  }
}

export class Model extends Module {
  constructor(rt) {
    super();
    const matrix = (N, K, seed) => tensor(rt, noise(N * K, seed), { shape: [N, K] });
    const bias = tensor(rt, noise(192, 3));
    this.mlp = new Mlp(new Linear(matrix(192, 64, 1), bias), new Linear(matrix(64, 192, 2)));
    this.named();
  }

  forward(x) {
    return this.mlp.call(x);
  }
}

/** All codes of square8. */
export const everyCode = (rt, dtype) =>
  fromBits(
    rt,
    Int8Array.from({ length: 255 }, (_, i) => i - 127),
    [255],
    dtype,
  );
