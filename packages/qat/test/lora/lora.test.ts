// Adapters on plain, quantized and packed bases: gradients, files, hot swap, merging.
import {
  clone,
  copy_,
  createRuntime,
  float32,
  type Linear,
  Linear as LinearModule,
  linear,
  linears,
  Module,
  mul,
  type Runtime,
  scope,
  sub,
  sum,
  type Tensor,
  tensor,
} from '@ao/core';
import { autograd, backward, checkpoint, noGrad, trainableParameters, zeroGrad } from '@ao/core/autograd';
import { int4WeightOnly, int8WeightOnly, nf4WeightOnly, quantization, quantize_ } from '@ao/quantization';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  adapterFiles,
  getPeftModel,
  hotswapAdapter,
  loadAdapter,
  loraConfig,
  mergeAndUnload,
  qat,
  unload,
} from '../../src/index.ts';
import { backends, native } from '../devices.ts';

class Net extends Module {
  q_proj: Linear;
  v_proj: Linear;
  out: Linear;

  constructor(rt: Runtime, device: string) {
    super();
    const make = (n: number, k: number, seed: number): Linear => {
      const values = Float32Array.from({ length: n * k }, (_, i) => Math.sin(i * 0.7 + seed) / 3);
      return new LinearModule(tensor(rt, values, { shape: [n, k], device }));
    };
    this.q_proj = make(64, 32, 1);
    this.v_proj = make(64, 32, 2);
    this.out = make(16, 64, 3);
    for (const m of [this.q_proj, this.v_proj, this.out]) m.weight.kept = true;
    this.named();
  }

  forward = (x: Tensor): Tensor => {
    const [q, v] = linears(x, [this.q_proj.weight, this.v_proj.weight]) as [Tensor, Tensor];
    return this.out.call(mul(q, v));
  };
}

let rt: Runtime;
beforeAll(async () => {
  rt = await createRuntime({ use: [autograd(), quantization(), qat(), ...backends(native)] });
});
afterAll(() => rt.close());

const input = (device: string): Tensor =>
  tensor(
    rt,
    Float32Array.from({ length: 5 * 32 }, (_, i) => Math.cos(i * 0.37)),
    { shape: [5, 32], device },
  );
const values = (t: Tensor): number[] => [...t.dataSync()];
const off = (a: readonly number[], b: readonly number[]): number =>
  Math.hypot(...a.map((v, i) => v - b[i]!)) / Math.hypot(...b);

/** A few steps against the gradient. */
function learn(model: Net, x: Tensor): void {
  for (let i = 0; i < 3; i++) {
    scope(() => backward(sum(mul(model.call(x), model.call(x)))));
    noGrad(() => scope(() => trainableParameters(model).forEach(([, p]) => copy_(p, sub(p, mul(p.grad!, 1e-3))))));
    zeroGrad(trainableParameters(model).map(([, p]) => p));
  }
}

const BASES = {
  float32: undefined,
  int8: () => int8WeightOnly(),
  int4: () => int4WeightOnly({ groupSize: 32 }),
  nf4: () => nf4WeightOnly(),
} as const;

describe.each(['reference', native])('%s', (device) => {
  describe.each(Object.entries(BASES))('%s base', (name, config) => {
    for (const useDora of [false, true]) {
      it(`trains only the adapter, and merges into what it computed${useDora ? ', with DoRA' : ''}`, async () => {
        using model = new Net(rt, device);
        if (config) await quantize_(model, config());
        const x = input(device);
        const before = values(model.call(x));
        const adapter = await getPeftModel(model, loraConfig({ r: 4, loraAlpha: 8, useDora }));
        expect(off(values(model.call(x)), before)).toBeLessThan(1e-5);
        const parts = useDora ? ['lora_A', 'lora_B', 'magnitude'] : ['lora_A', 'lora_B'];
        expect(trainableParameters(model).map(([n]) => n)).toEqual(
          ['q_proj', 'v_proj'].flatMap((m) => parts.map((p) => `${m}.weight.${p}`)),
        );
        learn(model, x);
        const trained = values(model.call(x));
        expect(off(trained, before)).toBeGreaterThan(1e-3);
        expect(adapter.tensors.size).toBe(2);
        const rows = await mergeAndUnload(model);
        expect(rows.map((r) => r.module)).toEqual(['q_proj', 'v_proj']);
        // float32 keeps the merged weight to rounding
        expect(Math.min(...rows.map((r) => r.sqnr))).toBeGreaterThan(100);
        expect(off(values(model.call(x)), trained), name).toBeLessThan(1e-5);
      });
    }

    it('gives the gradient of the input that the merged weight gives', async () => {
      using model = new Net(rt, device);
      if (config) await quantize_(model, config());
      await getPeftModel(model, loraConfig({ r: 4, targetModules: ['q_proj'] }));
      const w = model.q_proj.weight as Tensor & { lora_B: Tensor };
      noGrad(() =>
        copy_(
          w.lora_B,
          tensor(
            rt,
            Float32Array.from({ length: 256 }, (_, i) => Math.sin(i) / 9),
            { shape: [64, 4], device },
          ),
        ),
      );
      const merged = noGrad(() => clone(rt.dequantize(w)));
      const gradient = (weight: Tensor): number[] => {
        const x = input(device);
        x.requiresGrad = true;
        backward(sum(linear(x, weight)));
        return values(x.grad!);
      };
      expect(off(gradient(w), gradient(merged))).toBeLessThan(1e-5);
      for (const [, p] of trainableParameters(model)) p.requiresGrad = false;
      expect(off(gradient(w), gradient(merged))).toBeLessThan(1e-5);
    });
  });

  it('drops inputs of adapters while training alone, the same again where layers run again', async () => {
    using model = new Net(rt, device);
    const x = input(device);
    const { generator, tensors } = await getPeftModel(model, loraConfig({ r: 4, loraDropout: 0.5 }), { seed: 3 });
    const leaves = [...tensors.values()].map((t) => t.lora_B);
    for (const b of leaves)
      noGrad(() => copy_(b, tensor(rt, new Float32Array(256).fill(0.1), { shape: [64, 4], device })));
    const quiet = values(noGrad(() => model.call(x)));
    expect(values(noGrad(() => model.call(x)))).toEqual(quiet);
    const begun = noGrad(() => clone(generator!));
    const run = (again: boolean): number[][] => {
      noGrad(() => copy_(generator!, begun));
      const y = again ? checkpoint((h) => model.call(h!), [x], { generators: [generator!] }) : model.call(x);
      backward(sum(mul(y, y)));
      const out = [values(y), ...leaves.map((b) => values(b.grad!))];
      zeroGrad(leaves);
      return out;
    };
    const plain = run(false);
    expect(off(plain[0]!, quiet)).toBeGreaterThan(1e-3);
    expect(run(true)).toEqual(plain);
    expect(values(model.call(x))).not.toEqual(plain[0]);
  });

  it('saves an adapter, loads it on another copy, and swaps one for another in place', async () => {
    using model = new Net(rt, device);
    using other = new Net(rt, device);
    const x = input(device);
    const plain = values(other.call(x));
    const first = await getPeftModel(model, loraConfig({ r: 4, loraAlpha: 16, useDora: true }));
    learn(model, x);
    const files = await adapterFiles(first);
    const loaded = await loadAdapter(other, files);
    expect(trainableParameters(other)).toEqual([]);
    expect(values(other.call(x))).toEqual(values(model.call(x)));
    learn(model, x);
    await hotswapAdapter(loaded, await adapterFiles(first));
    expect(values(other.call(x))).toEqual(values(model.call(x)));
    unload(other);
    expect(values(other.call(x))).toEqual(plain);
  });

  it('swaps in an adapter of a smaller rank and another scaling', async () => {
    using small = new Net(rt, device);
    using large = new Net(rt, device);
    const x = input(device);
    const from = await getPeftModel(small, loraConfig({ r: 2, loraAlpha: 16 }));
    learn(small, x);
    const to = await getPeftModel(large, loraConfig({ r: 4, loraAlpha: 4 }));
    await hotswapAdapter(to, await adapterFiles(from));
    expect(off(values(large.call(x)), values(small.call(x)))).toBeLessThan(1e-6);
  });
});

it('refuses targets that are not there, twice, or shared, and files of another model, before anything changes', async () => {
  using model = new Net(rt, 'reference');
  await expect(getPeftModel(model, loraConfig({ targetModules: ['k_proj'] }))).rejects.toThrow(
    /match no linear.*q_proj/s,
  );
  const adapter = await getPeftModel(model, loraConfig({ r: 4 }));
  await expect(getPeftModel(model, loraConfig({ r: 4 }))).rejects.toThrow(/q_proj has an adapter already/);
  const files = await adapterFiles(adapter);
  using wide = new Net(rt, 'reference');
  wide.v_proj.weight = tensor(rt, new Float32Array(8 * 32), { shape: [8, 32], dtype: float32, device: 'reference' });
  await expect(loadAdapter(wide, files)).rejects.toThrow(/\[64,4\].*\[8,4\].*v_proj.lora_B.weight/s);
  expect(wide.q_proj.weight.kind).toBeNull();
  wide.out.weight = wide.q_proj.weight;
  await expect(getPeftModel(wide, loraConfig({ targetModules: ['q_proj'] }))).rejects.toThrow(/shares its weight/);
  expect(() => loraConfig({ r: 0 })).toThrow(/rank of 0/);
  expect(() => loraConfig({ loraDropout: 1 })).toThrow(/loraDropout is 1/);
});
