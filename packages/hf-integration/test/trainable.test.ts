// Models loaded for training: gradients reach every parameter, and do what gradients do.
import {
  copy_,
  createRuntime,
  crossEntropy,
  int32,
  mul,
  type Runtime,
  reshape,
  scope,
  sub,
  type Tensor,
  tensor,
} from '@ao/core';
import { autograd, backward, noGrad, trainableParameters, zeroGrad } from '@ao/core/autograd';
import { cpu } from '@ao/kernels-cpu';
import { int8WeightOnly, quantization } from '@ao/quantization';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AutoModelForCausalLM } from '../src/index.ts';
import type { CausalLM } from '../src/models/causal-lm.ts';
import { type Tiny, tinyLlama } from './tiny.ts';

let tiny: Tiny;
let runtime: Runtime;
beforeAll(async () => {
  tiny = await tinyLlama();
  runtime = await createRuntime({ use: [autograd(), quantization(), cpu({ threads: 2 })] });
});
afterAll(async () => {
  await runtime.close();
  await tiny.remove();
});

const load = (device: string, more: object = {}): Promise<CausalLM> =>
  AutoModelForCausalLM.fromPretrained(tiny.folder, { runtime, device, dtype: 'float32', trainable: true, ...more });

const ROWS = [
  [1, 5, 9, 2, 7, 3, 11, 4],
  [2, 2, 8, 1, 6, 10, 3, 5],
];

function lossOf(model: CausalLM): Tensor {
  const at = (rows: number[][]): Tensor => tensor(model.rt, rows, { dtype: int32, device: model.device });
  const logits = model.forward(at(ROWS.map((r) => r.slice(0, -1))));
  return crossEntropy(reshape(logits, [-1, model.vocabSize]), reshape(at(ROWS.map((r) => r.slice(1))), [-1]));
}

it('gives every parameter the gradient that the reference backend finds', async () => {
  const found = new Map<string, Float32Array>();
  for (const device of ['reference', 'cpu']) {
    using model = await load(device);
    expect(trainableParameters(model).length).toBe([...model.namedParameters()].length);
    scope(() => backward(lossOf(model)));
    for (const [name, p] of trainableParameters(model)) {
      const g = (await p.grad!.data()) as Float32Array;
      const want = found.get(name);
      found.set(name, g);
      if (want === undefined) continue;
      const norm = Math.hypot(...want);
      expect(norm, name).toBeGreaterThan(0);
      // float32 sums in another order, through a few layers
      expect(Math.hypot(...want.map((v, i) => v - g[i]!)) / norm, name).toBeLessThan(1e-4);
    }
    zeroGrad(model.parameters());
  }
});

it('learns: plain steps against the gradient lower the loss', async () => {
  using model = await load('cpu');
  const losses: number[] = [];
  for (let i = 0; i < 8; i++) {
    losses.push(
      scope(() => {
        const loss = lossOf(model);
        backward(loss);
        return loss.itemSync();
      }),
    );
    noGrad(() => scope(() => model.parameters().forEach((p) => copy_(p, sub(p, mul(p.grad!, 0.02))))));
    zeroGrad(model.parameters());
  }
  expect(losses.every((l, i) => i === 0 || l < losses[i - 1]!)).toBe(true);
});

it('keeps a quantized base frozen and lets gradients through it', async () => {
  using model = await load('cpu', { quantizationConfig: int8WeightOnly() });
  const names = trainableParameters(model).map(([name]) => name);
  expect(names.some((name) => name.includes('norm'))).toBe(true);
  expect(names.some((name) => name.includes('q_proj'))).toBe(false);
  scope(() => backward(lossOf(model)));
  const [, first] = trainableParameters(model).find(([name]) => name.includes('layers.0.input_layernorm'))!;
  expect(Math.hypot(...(first.grad!.dataSync() as Float32Array))).toBeGreaterThan(0);
  zeroGrad(model.parameters());
});

it('generates and evaluates without recording', async () => {
  using model = await load('cpu');
  const { ids } = await model.generate([1, 5, 9], { maxNewTokens: 4, minNewTokens: 4 });
  expect(ids.length).toBe(4);
  expect(trainableParameters(model).every(([, p]) => p.grad === null)).toBe(true);
});
