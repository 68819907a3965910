// Every golden case of family float8_training: operands, outputs, gradients and five steps, as torchao 0.18 has them.
import {
  cat,
  contiguous,
  copy_,
  createRuntime,
  type Dense,
  dtypeByName,
  type Extension,
  fromBits,
  keep,
  kernel,
  Linear,
  Module,
  mean,
  mul,
  permute,
  type Runtime,
  relu,
  reshape,
  type ScaledMmOptions,
  scaledMm,
  sub,
  type Tensor,
  unsqueeze,
} from '@ao/core';
import { autograd, backward, grad, noGrad, trainableParameters, zeroGrad } from '@ao/core/autograd';
import { expectGolden, type GoldenCase, goldenCases, goldenInputs } from '@ao/testing';
import { afterAll, describe, it } from 'vitest';
import { convertToFloat8Training, type Float8LinearRecipeName, float8Training } from '../src/index.ts';
import { backends, devices } from './devices.ts';

/** Products in the order of a step, and what their operands are in the goldens, which have them as they lie: [role, turned]. */
const ROLES = [
  ['x_y', false, 'w_y', false],
  ['gy_gx', false, 'w_gx', true],
  ['gy_gw', true, 'x_gw', true],
] as const;
type Operands = Tensor[][];

/** A backend's own product, as tensor cores are: keeps the operands, then does what is emulated. */
function spy(device: string, seen: Operands): Extension {
  const run = (out: Dense, a: Dense, sa: Dense, b: Dense, sb: Dense, options: ScaledMmOptions): void => {
    seen.push([a, sa, b, sb].map((t) => keep(noGrad(() => reshape(t, t.shape)))));
    copy_(out, scaledMm.spec.decompose!(a, sa, b, sb, options));
  };
  return { name: 'spy', entries: [kernel(scaledMm, device, run, { priority: 1 })] };
}

async function inputs(rt: Runtime, c: GoldenCase): Promise<Record<string, Dense>> {
  const found = Object.entries(await goldenInputs(c));
  return Object.fromEntries(
    found.map(([role, t]) => [role, keep(fromBits(rt, t.bits, t.shape, dtypeByName(t.dtype)))]),
  );
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
const options = (c: GoldenCase) => ({
  recipe: c.params.recipe as Float8LinearRecipeName,
  config: { emulate: true },
});

async function linearCase(rt: Runtime, c: GoldenCase, seen: Operands): Promise<void> {
  const { weight, x, gy, bias } = await inputs(rt, c);
  const layer = convertToFloat8Training(new Linear(leaf(weight!), bias && leaf(bias)), options(c));
  const [[, w], b] = trainableParameters(layer) as [[string, Tensor], [string, Tensor] | undefined];
  const y = layer.call(leaf(x!));
  const [gx, gw, gb] = grad(y, [x!, w, ...(b === undefined ? [] : [b[1]])], { gradient: gy! });
  const given: Record<string, Tensor> = { y, grad_x: gx!, grad_weight: gw! };
  if (gb != null) given['grad_bias'] = gb;
  for (const [i, [a, sa, b2, sb]] of seen.entries()) {
    const [left, leftTurned, right, rightTurned] = ROLES[i]!;
    for (const [role, codes, scale, turned] of [
      [left, a!, sa!, leftTurned],
      [right, b2!, sb!, rightTurned],
    ] as const) {
      given[role] = turned ? contiguous(permute(codes, [1, 0])) : codes;
      given[`${role}_scale`] = reshape(scale, c.outputs[`${role}_scale`]!.shape);
    }
  }
  await expectGolden(c, given);
}

async function trajectory(rt: Runtime, c: GoldenCase): Promise<void> {
  const { w1, b1, w2, b2, x, t } = await inputs(rt, c);
  const model = new Mlp(new Linear(leaf(w1!), leaf(b1!)), new Linear(leaf(w2!), leaf(b2!)));
  convertToFloat8Training(model, options(c));
  const params = trainableParameters(model).map(([, p]) => p);
  const history: Tensor[][] = [];
  for (let step = 0; step < Number(c.params.steps); step++) {
    const error = sub(model.call(x!), t!);
    const loss = mean(mul(error, error));
    backward(loss);
    noGrad(() => {
      for (const p of params) copy_(p, sub(p, mul(p.grad!, Number(c.params.lr))));
    });
    zeroGrad(params);
    history.push([noGrad(() => mul(loss, 1)), ...params.map((p) => noGrad(() => mul(p, 1)))]);
  }
  const column = (i: number): Tensor => {
    const rows = history.map((row) => row[i]!);
    return i === 0 ? cat(rows.map((v) => reshape(v, [1]))) : cat(rows.map((v) => unsqueeze(v, 0)));
  };
  await expectGolden(c, { loss: column(0), w1: column(1), b1: column(2), w2: column(3), b2: column(4) });
}

describe.each(devices)('$device', ({ device, rt }) => {
  const seen: Operands = [];
  const spied = createRuntime({ use: [autograd(), float8Training(), ...backends(device), spy(device, seen)], device });
  afterAll(async () => (await spied).close());

  it.each(goldenCases('float8_training/linear/'))('$name', async (c) => {
    seen.length = 0;
    await linearCase(await spied, c, seen);
  });
  it.each(goldenCases('float8_training/trajectory/'))('$name', (c) => trajectory(rt, c));
});
