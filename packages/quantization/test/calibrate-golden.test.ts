// GPTQ, AWQ and SmoothQuant through calibrate(), on one linear, against torchao's.
import { cat, dequantize, keep, Linear, reshape, type Tensor, tensor, unpackedOf, type Wrapped } from '@ao/core';
import {
  expectGolden,
  type GoldenCase,
  type GoldenTensor,
  goldenCases,
  goldenInputs,
  goldenOutputs,
} from '@ao/testing';
import { describe, expect, it } from 'vitest';
import {
  awq,
  type CalibrationAlgorithm,
  calibrate,
  configFromDict,
  gptq,
  quantizeTensor,
  smoothQuant,
} from '../src/index.ts';
import { devices } from './devices.ts';

const { rt } = devices[0]!;

const made = (t: GoldenTensor): Tensor => keep(tensor(rt, Float32Array.from(t.values()), { shape: t.shape }));

/** The quantized weight of a linear after calibration on the case's x. */
async function calibrated(c: GoldenCase, algorithm: CalibrationAlgorithm): Promise<{ layer: Linear; x: Tensor }> {
  const { weight, x, bias } = await goldenInputs(c);
  const layer = new Linear(made(weight!), bias && made(bias));
  const [batches, ...shape] = x!.shape.length === 3 ? x!.shape : [1, ...x!.shape];
  const values = Float32Array.from(x!.values());
  const size = values.length / batches!;
  const data = Array.from({ length: batches! }, (_, i) =>
    keep(tensor(rt, values.slice(i * size, (i + 1) * size), { shape })),
  );
  await calibrate(layer, data, algorithm, { sqnr: false });
  return { layer, x: data[0]! };
}

/** tr(D H D^T) of D = Q - W: what GPTQ makes small. */
async function objective(c: GoldenCase, q: Tensor): Promise<number> {
  const { weight } = await goldenInputs(c);
  const h = (await goldenOutputs(c))['hessian']!.values();
  const w = weight!.values();
  const off = Float64Array.from((await q.data()) as Float32Array, (v, i) => v - w[i]!);
  const [n, k] = weight!.shape as [number, number];
  let sum = 0;
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) sum += off[r * k + i]! * h[i * k + j]! * off[r * k + j]!;
  }
  return sum;
}

describe('gptq', () => {
  for (const c of goldenCases(/^algorithms\/gptq\/int/)) {
    it(`${c.name}: the objective is at most 1% above torchao's`, async () => {
      const { layer } = await calibrated(c, gptq(configFromDict(c.config), { blockSize: c.params.block }));
      const ours = await objective(c, dequantize(unpackedOf(layer.weight)));
      const found = { shape: [], dtype: 'float32', bits: [ours] };
      await expectGolden(c, { objective: found }, { only: ['objective'] });
      // rounding to nearest is far above it
      const { weight } = await goldenInputs(c);
      const nearest = quantizeTensor(made(weight!), configFromDict(c.config));
      expect(ours).toBeLessThan(0.9 * (await objective(c, dequantize(nearest))));
    });
  }
});

const parts = (w: Tensor): Record<string, Tensor> => ({ ...(w as Wrapped).parts });

describe('awq', () => {
  for (const c of goldenCases('algorithms/awq/')) {
    it(c.name, async () => {
      const { layer, x } = await calibrated(c, awq(configFromDict(c.config)));
      const { scale, zero_point, act_pre_scale } = parts(unpackedOf(layer.weight));
      const one = (t: Tensor): Tensor => reshape(t, [...t.shape, 1]);
      const scale_and_zero = cat([one(scale!), one(zero_point!)], 2);
      await expectGolden(c, { scale_and_zero, act_pre_scale, y: layer.call(x) } as never);
    });
  }
});

describe('smoothquant', () => {
  for (const c of goldenCases('algorithms/smoothquant/')) {
    it(c.name, async () => {
      const { layer, x } = await calibrated(c, smoothQuant(configFromDict(c.config), { alpha: c.params.alpha }));
      const w = unpackedOf(layer.weight);
      const found = Object.entries(parts(w)).filter(([role]) => c.outputs[role] !== undefined);
      await expectGolden(c, { ...Object.fromEntries(found), y: layer.call(x) } as never);
    });
  }
});
