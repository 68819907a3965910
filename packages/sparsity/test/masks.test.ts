// Masks found by calibrate: Wanda and SparseGPT against their formulas in float64, and how much of the output each keeps.
import { keep, Linear, linear, type Runtime, type Tensor, tensor } from '@ao/core';
import { calibrate } from '@ao/quantization';
import { describe, expect, it } from 'vitest';
import {
  applyFakeSparsity,
  int8DynamicActivationInt8SemiSparseWeight,
  prunedWeight,
  sparseGpt,
  WandaSparsifier,
  wanda,
} from '../src/index.ts';
import { devices, wave } from './devices.ts';

const [N, K, ROWS] = [24, 32, 96];

/** Inputs whose columns differ in size and depend on each other. */
function correlated(rt: Runtime): Tensor {
  const values = Float32Array.from({ length: ROWS * K }, (_, i) => {
    const [r, c] = [Math.floor(i / K), i % K];
    return (1 + (c % 5)) * (Math.sin(r * 1.3 + c * 0.9) + 0.6 * Math.sin(r * 2.1 + (c >> 2)) + 0.2 * Math.cos(i * 7.7));
  });
  return keep(tensor(rt, values, { shape: [ROWS, K] }));
}

async function lost(layer: Linear, want: ArrayLike<number>, x: Tensor): Promise<number> {
  const got = await layer.call(x).data();
  return Array.from(want, (v, i) => (got[i]! - v) ** 2).reduce((a, b) => a + b, 0);
}

const zerosOfFours = (v: ArrayLike<number>): boolean =>
  Array.from({ length: v.length / 4 }, (_, g) => [0, 1, 2, 3].filter((j) => v[4 * g + j] === 0).length).every(
    (n) => n === 2,
  );

describe.each(devices)('masks on $device', ({ rt }) => {
  it('SparseGPT loses less than Wanda, and Wanda less than magnitude', async () => {
    const x = correlated(rt);
    const want = await linear(x, wave(rt, [N, K], 1)).data();
    const [magnitude, byWanda, byGpt] = [1, 2, 3].map(() => new Linear(wave(rt, [N, K], 1))) as [
      Linear,
      Linear,
      Linear,
    ];
    applyFakeSparsity(magnitude);
    await calibrate(byWanda, [x], wanda());
    const report = await calibrate(byGpt, [x], sparseGpt());
    expect(report.algorithm).toBe('sparseGpt 2:4');
    for (const { weight } of [byWanda, byGpt]) expect(zerosOfFours(await weight.data())).toBe(true);
    const losses = [await lost(byGpt, want, x), await lost(byWanda, want, x), await lost(magnitude, want, x)];
    expect(losses[0]!).toBeLessThan(losses[1]!);
    expect(losses[1]!).toBeLessThan(losses[2]!);
  });

  it('SparseGPT by rows of a block keeps what its formula keeps', async () => {
    const x = correlated(rt);
    const layer = new Linear(wave(rt, [N, K], 1));
    await calibrate(layer, [x], sparseGpt({ pattern: { sparsity: 0.5, over: 'row' }, blockSize: 8 }));
    const got = await layer.weight.data();
    const want = reference(await wave(rt, [N, K], 1).data(), await x.data(), 8);
    for (const [i, v] of want.entries()) expect(Math.abs(got[i]! - v)).toBeLessThanOrEqual(2e-3 * (1 + Math.abs(v)));
  });

  it("Wanda's masks quantize too, and torchao's stay plain", async () => {
    const x = correlated(rt);
    const [quantized, plain] = [new Linear(wave(rt, [N, K], 1)), new Linear(wave(rt, [N, K], 1))];
    await calibrate(quantized, [x], wanda({ config: int8DynamicActivationInt8SemiSparseWeight() }));
    await calibrate(plain, [x], wanda({ config: prunedWeight() }));
    const [a, b] = [await quantized.weight.data(), await plain.weight.data()];
    for (const [i, v] of b.entries()) {
      if (v === 0) expect(a[i]! + 0).toBe(0);
      expect(Math.abs(a[i]! - v)).toBeLessThanOrEqual(0.02);
    }
    const whole = new Linear(wave(rt, [N, K], 1));
    await new WandaSparsifier({ sparsityLevel: 0.25 }).sparsify(whole, [x]);
    expect((await whole.weight.data()).filter((v) => v === 0).length).toBe((N * K) / 4);
  });
});

/** Inverse of a symmetric matrix, by Gauss and Jordan. */
function inverse(a: number[][]): number[][] {
  const n = a.length;
  const m = a.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < n; i++) {
    const pivot = m[i]![i]!;
    for (let j = 0; j < 2 * n; j++) m[i]![j]! /= pivot;
    for (let r = 0; r < n; r++) {
      const f = m[r]![i]!;
      if (r !== i) for (let j = 0; j < 2 * n; j++) m[r]![j]! -= f * m[i]![j]!;
    }
  }
  return m.map((row) => row.slice(n));
}

/** The paper's algorithm as it defines it: the inverse Hessian of the columns that are left, not a Cholesky factor. */
function reference(weights: ArrayLike<number>, x: ArrayLike<number>, block: number): number[] {
  const w = Array.from(weights);
  const h = Array.from({ length: K }, (_, i) =>
    Array.from({ length: K }, (_, j) => {
      let sum = 0;
      for (let r = 0; r < ROWS; r++) sum += x[r * K + i]! * x[r * K + j]!;
      return (2 / ROWS) * sum;
    }),
  );
  const damp = (0.01 * h.reduce((s, row, i) => s + row[i]!, 0)) / K;
  for (let i = 0; i < K; i++) h[i]![i]! += damp;
  const inverses = Array.from({ length: K }, (_, i) => inverse(h.slice(i).map((row) => row.slice(i))));
  for (let from = 0; from < K; from += block) {
    const dropped = Array.from({ length: N }, (_, n) => {
      const scores = Array.from({ length: block }, (_, i) => w[n * K + from + i]! ** 2 / inverses[from + i]![0]![0]!);
      const order = scores.map((_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
      return new Set(order.slice(0, block / 2).map((i) => from + i));
    });
    for (let i = from; i < from + block; i++) {
      const inv = inverses[i]!;
      for (let n = 0; n < N; n++) {
        if (!dropped[n]!.has(i)) continue;
        const e = w[n * K + i]! / inv[0]![0]!;
        for (let j = i; j < K; j++) w[n * K + j]! -= e * inv[0]![j - i]!;
        w[n * K + i] = 0;
      }
    }
  }
  return w;
}
