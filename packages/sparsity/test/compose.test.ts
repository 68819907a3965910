// Pairs of techniques: a sparse and quantized base under LoRA, saved and loaded; sparse training with quantized optimizers' math is
// ordinary training of a plain parameter, so it has no test of its own; fake quantization before 2:4 does.
import { keep, Linear, Module, mul, type Runtime, sum, type Tensor } from '@ao/core';
import { backward, trainableParameters } from '@ao/core/autograd';
import { adapterFiles, getPeftModel, loadAdapter, loraConfig, mergeAndUnload, qat } from '@ao/qat';
import { flattenTensorStateDict, quantize_, unflattenTensorStateDict } from '@ao/quantization';
import { describe, expect, it } from 'vitest';
import {
  applyFakeSparsity,
  int8DynamicActivationInt8SemiSparseWeight,
  semiSparseWeight,
  sparsify_,
} from '../src/index.ts';
import { devices, wave } from './devices.ts';

class One extends Module {
  fc: Linear;
  constructor(rt: Runtime) {
    super();
    this.fc = new Linear(wave(rt, [32, 64], 1), wave(rt, [32], 2));
  }
  forward(x: Tensor) {
    return this.fc.call(x);
  }
}

describe.each(devices)('composition on $device', ({ rt }) => {
  it('sparse, quantized, LoRA on top, saved and loaded', async () => {
    const [model, other] = [new One(rt), new One(rt)];
    for (const m of [model, other]) await sparsify_(m, int8DynamicActivationInt8SemiSparseWeight());
    const x = wave(rt, [3, 64], 5);
    const adapter = await getPeftModel(model, loraConfig({ r: 4, targetModules: 'all-linear' }));
    const target = wave(rt, [3, 32], 7);
    backward(sum(mul(model.call(x), target)));
    const trained = trainableParameters(model);
    expect(trained.length).toBe(2);
    const [, b] = trained.find(([name]) => name.includes('lora_B'))!;
    expect((await b.grad!.data()).some((v) => v !== 0)).toBe(true);
    for (const [, p] of trained) p.requiresGrad = false;
    const before = await model.call(x).data();
    await loadAdapter(other, await adapterFiles(adapter));
    for (const [, p] of trainableParameters(other)) p.requiresGrad = false;
    expect(await other.call(x).data()).toEqual(before);

    const base = new One(rt);
    await sparsify_(base, int8DynamicActivationInt8SemiSparseWeight());
    const { tensors, metadata } = flattenTensorStateDict(new Map([['fc.weight', base.fc.weight]]));
    const { dict } = await unflattenTensorStateDict(rt, tensors, metadata);
    const again = new Linear(keep(dict.get('fc.weight')!), base.fc.bias);
    expect(await again.call(x).data()).toEqual(await base.call(x).data());
    const [row] = await mergeAndUnload(other);
    expect(row!.sqnr).toBeGreaterThan(100); // merged weights are dense
  });

  it('a weight that trained rounded becomes 2:4 and quantized', async () => {
    const layer = new One(rt);
    applyFakeSparsity(layer);
    const config = semiSparseWeight();
    await quantize_(layer, qat(int8DynamicActivationInt8SemiSparseWeight().values!, { step: 'prepare' }));
    await quantize_(layer, qat(null, { step: 'convert' }));
    const zeros = (v: ArrayLike<number>) => Array.from(v).filter((w) => w === 0).length;
    expect(zeros(await layer.fc.weight.data())).toBe(32 * 32);
    await sparsify_(layer, config);
    expect(zeros(await layer.fc.weight.data())).toBe(32 * 32);
  });
});
