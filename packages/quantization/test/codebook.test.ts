// k-means: how near the best codebook it comes, and scales by the largest of a group in size.
import { dequantize, matmul, philox, type Runtime, type Tensor, tensor } from '@ao/core';
import { linearGradInput } from '@ao/core/autograd';
import { describe, expect, it } from 'vitest';
import { kMeans } from '../src/formats/k-means.ts';
import { codebookFromHp, computeError, parseScheme, quantizeTensor } from '../src/index.ts';
import { devices } from './devices.ts';

function normal(rt: Runtime, shape: readonly [number, number]): Tensor {
  const values = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => {
    const [a, b] = philox(3, i, 0);
    return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32);
  });
  return tensor(rt, values, { shape });
}

describe.each(devices)('codebooks on $device', ({ rt }) => {
  // Lloyd and Max: 4.40, 9.30, 14.62 and 20.22 dB of normal values at 1 to 4 bits.
  it.each([
    [1, 4.4],
    [2, 9.3],
    [3, 14.62],
    [4, 20.22],
  ])('%i bits of normal values come within 0.1 dB of the best', async (bits, best) => {
    const w = normal(rt, [64, 256]);
    expect(await computeError(w, quantizeTensor(w, parseScheme(`codebook${bits}wo`)))).toBeGreaterThan(best - 0.1);
  });

  it('as many values as there are codes are kept', async () => {
    const x = tensor(rt, [[-3, -1, 2, 7, -3, 7, 2, -1]]);
    const [codebook, codes] = kMeans(x, 2);
    expect(Array.from(await codebook.data())).toEqual([-3, -1, 2, 7]);
    expect(Array.from(await codes.data())).toEqual([0, 1, 2, 3, 0, 3, 2, 1]);
  });

  it('the kernel follows the decomposition', async () => {
    const x = normal(rt, [3, 200]);
    const [a, b] = [kMeans(x, 3), kMeans.spec.decompose!(x, 3)];
    const [p, q] = [await a[0].data(), await b[0].data()];
    for (const [i, v] of p.entries()) expect(Math.abs(v - (q[i] as number))).toBeLessThan(1e-4);
  });

  it('gradients pass tables that are data of the device', async () => {
    for (const scheme of ['codebook3wo', 'nvfp4wo']) {
      const w = quantizeTensor(normal(rt, [8, 64]), parseScheme(scheme));
      const g = normal(rt, [2, 8]);
      expect(await linearGradInput(g, w).data()).toEqual(await matmul(g, dequantize(w)).data());
    }
  });

  it('negative groups do not clip: their scale is the largest value in size', async () => {
    const values = Float32Array.from({ length: 4 * 32 }, (_, i) => (i % 32 < 31 ? -1 - (i % 7) : 0.5));
    const w = codebookFromHp(tensor(rt, values, { shape: [4, 32] }), { bits: 4, scaleBlockSize: 32 });
    expect(Array.from(await w.scale!.data())).toEqual([7, 7, 7, 7]);
    expect(await computeError(tensor(rt, values, { shape: [4, 32] }), dequantize(w))).toBeGreaterThan(100);
  });
});
