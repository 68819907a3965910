// Training with zeros: straight-through gradients against the formulas, swapping, block-sparse weights, proximal steps.
import { type Dense, keep, Linear, linear, Module, mul, type Runtime, sum, type Tensor, transpose } from '@ao/core';
import { backward, zeroGrad } from '@ao/core/autograd';
import { describe, expect, it } from 'vitest';
import {
  blockSparseWeight,
  PruneOptimizer,
  proxGroupLasso,
  proxLasso,
  pruneTile4x4,
  SemiSparseActivationLinear,
  SemiSparseLinear,
  semiSparseConstraint,
  sparsify_,
  swapLinearWithSemiSparseLinear,
  swapSemiSparseLinearWithLinear,
  WeightNormSparsifier,
} from '../src/index.ts';
import { devices, wave } from './devices.ts';

class Mlp extends Module {
  fc1: Linear;
  fc2: Linear;
  constructor(rt: Runtime) {
    super();
    this.fc1 = new Linear(wave(rt, [32, 16], 1));
    this.fc2 = new Linear(wave(rt, [8, 32], 2));
  }
  forward(x: Tensor) {
    return this.fc2.call(this.fc1.call(x));
  }
}

const near = (got: ArrayLike<number>, want: ArrayLike<number>, slack = 1e-4): void => {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < want.length; i++) expect(Math.abs(got[i]! - want[i]!)).toBeLessThanOrEqual(slack);
};

describe.each(devices)('training on $device', ({ rt }) => {
  it('SemiSparseLinear reads the pruned weight, which gets the dense gradient', async () => {
    const dense = new Linear(wave(rt, [32, 16], 1), wave(rt, [32], 4));
    const layer = SemiSparseLinear.fromDense(dense);
    const [x, g] = [wave(rt, [12, 16], 2), wave(rt, [12, 32], 3)];
    x.requiresGrad = true;
    layer.weight.requiresGrad = true;
    const y = layer.call(x);
    backward(sum(mul(y, g)));
    const grads = [await layer.weight.grad!.data(), await x.grad!.data()];
    zeroGrad([layer.weight, x]);
    layer.weight.requiresGrad = false;
    x.requiresGrad = false;
    const pruned = keep(pruneTile4x4(layer.weight, ''));
    expect((await pruned.data()).filter((v) => v !== 0).length).toBeLessThanOrEqual(32 * 8);
    near(await y.data(), await linear(x, pruned, dense.bias).data());
    near(grads[0]!, await linear(transpose(g, 0, 1), transpose(x, 0, 1)).data());
    near(grads[1]!, await linear(g, transpose(pruned, 0, 1)).data());
    expect(layer.toDense().weight).toBe(dense.weight);
  });

  it('SemiSparseActivationLinear prunes what it is given', async () => {
    const layer = SemiSparseActivationLinear.fromDense(new Linear(wave(rt, [8, 16], 1)));
    const x = wave(rt, [2, 4, 16], 2);
    const pruned = keep(pruneTile4x4(wave(rt, [8, 16], 2), ''));
    near(await layer.call(x).data(), await linear(pruned, layer.weight).data());
  });

  it('swaps by name and back; an unknown name changes nothing', async () => {
    const model = new Mlp(rt);
    const { weight } = model.fc1;
    expect(() => swapLinearWithSemiSparseLinear(model, { fc1: SemiSparseLinear, 'fc3.up': SemiSparseLinear })).toThrow(
      /fc3\.up/,
    );
    expect(model.fc1).not.toBeInstanceOf(SemiSparseLinear);
    swapLinearWithSemiSparseLinear(model, { fc1: SemiSparseLinear });
    expect(model.fc1).toBeInstanceOf(SemiSparseLinear);
    expect(model.fc2).not.toBeInstanceOf(SemiSparseLinear);
    swapSemiSparseLinearWithLinear(model);
    expect(model.fc1.constructor).toBe(Linear);
    expect(model.fc1.weight).toBe(weight);
  });

  it('a block-sparse weight trains by its blocks', async () => {
    const layer = new Linear(wave(rt, [32, 48], 1));
    const sparsifier = new WeightNormSparsifier({ sparsityLevel: 0.5, sparseBlockShape: [16, 16] });
    sparsifier.prepare(layer);
    await sparsifier.step();
    sparsifier.squashMask();
    const dense = new Linear(keep(mul(layer.weight, 1)));
    layer.weight.requiresGrad = true;
    await sparsify_(layer, blockSparseWeight({ blocksize: 16 }));
    const [x, g] = [wave(rt, [5, 48], 2), wave(rt, [5, 32], 3)];
    x.requiresGrad = true;
    backward(sum(mul(layer.call(x), g)));
    const { values } = layer.weight as unknown as { values: Tensor };
    const [own, input] = [await values.grad!.data(), await x.grad!.data()];
    x.requiresGrad = false;
    const whole = await linear(transpose(g, 0, 1), transpose(x, 0, 1)).data();
    near(input, await linear(g, transpose(dense.weight, 0, 1)).data());
    const kept = await dense.weight.data();
    const places = [0, 1].flatMap((r) => [0, 1, 2].filter((c) => kept[r * 16 * 48 + c * 16] !== 0).map((c) => [r, c]));
    expect(places.length).toBe(3);
    const want = places.flatMap(([r, c]) =>
      Array.from({ length: 256 }, (_, i) => whole[(r! * 16 + Math.floor(i / 16)) * 48 + c! * 16 + (i % 16)]!),
    );
    near(own, want);
  });

  it('proximal steps shrink values and groups to 0, then heal', async () => {
    const values = await wave(rt, [8, 8], 5).data();
    near(
      await proxLasso(0.5)
        .apply(wave(rt, [8, 8], 5), 0.4)
        .data(),
      values.map((v) => Math.sign(v) * Math.max(Math.abs(v) - 0.2, 0)),
    );
    const rows = await proxGroupLasso(0.5, 'row')
      .apply(wave(rt, [8, 8], 5), 0.4)
      .data();
    for (let r = 0; r < 8; r++) {
      const norm = Math.hypot(...values.slice(8 * r, 8 * r + 8));
      const factor = Math.max(1 - (0.5 * 0.4 * Math.sqrt(8)) / norm, 0);
      near(
        rows.slice(8 * r, 8 * r + 8),
        values.slice(8 * r, 8 * r + 8).map((v) => v * factor),
      );
    }
    const p = wave(rt, [8, 8], 5) as Dense;
    const optimizer = new PruneOptimizer({ step() {} }, [{ params: [p], prox: semiSparseConstraint() }], {
      healingStartStep: 1,
    });
    optimizer.step(0.1);
    const pruned = await p.data();
    expect(pruned.filter((v) => v === 0).length).toBe(32);
    optimizer.step(0.1);
    expect(await p.data()).toEqual(pruned);
  });
});
