// CPUOffloadOptimizer gives the numbers of the optimizer that it wraps, bit for bit, with parameters and state on two backends.
import { linear, mean, mul, relu, scope, sub, type Tensor, tensor } from '@ao/core';
import { backward } from '@ao/core/autograd';
import { expectBits } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import { AdamW, AdamW8bit, CPUOffloadOptimizer, getScheduler } from '../src/index.ts';
import { devices, native, nativeMissing } from './devices.ts';

if (nativeMissing !== '') console.warn(`not tested between two backends: ${nativeMissing}`);

const wave = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * i * 0.37 + seed));

describe.runIf(devices.length > 1)('offloading', () => {
  const { rt } = devices.at(-1)!;
  const at = (device: string, shape: readonly number[], seed: number): Tensor =>
    tensor(
      rt,
      wave(
        shape.reduce((a, b) => a * b),
        seed,
      ),
      { shape, device },
    );

  const model = (device: string): Tensor[] => {
    const params = [at(device, [64, 64], 1), at(device, [64], 2), at(device, [70, 64], 3)];
    for (const p of params) p.requiresGrad = true;
    return params;
  };
  const loss = (device: string, [w, b, v]: readonly Tensor[], i: number): void =>
    scope(() => {
      const e = sub(linear(relu(linear(at(device, [8, 64], 10 + i), w!, b)), v!), at(device, [8, 70], 30 + i));
      backward(mean(mul(e, e)));
    });

  const cases = [
    { from: 'reference', host: native, offloadGradients: false, Class: AdamW8bit },
    { from: 'reference', host: native, offloadGradients: true, Class: AdamW },
    { from: native, host: 'reference', offloadGradients: true, Class: AdamW8bit },
    { from: 'cuda', host: 'cpu', offloadGradients: true, Class: AdamW },
    { from: 'cuda', host: 'cpu', offloadGradients: false, Class: AdamW8bit },
  ] as const;
  const here = cases.filter((c) => [c.from, c.host].every((device) => rt.devices.includes(device)));

  it.each(here)(
    'from $from to $host, offloadGradients $offloadGradients',
    async ({ from, host, offloadGradients, Class }) => {
      const own = model(from);
      const plain = new Class(own, { lr: 0.01, weightDecay: 0.1 });
      const params = model(from);
      const make = (p: Tensor[]) =>
        new CPUOffloadOptimizer(p, Class, { offloadGradients, host, lr: 0.01, weightDecay: 0.1 });
      let offloaded = make(params);
      const schedules = [plain, offloaded].map((o) =>
        getScheduler('linear', o, { numWarmupSteps: 2, numTrainingSteps: 8 }),
      );
      for (let i = 0; i < 6; i++) {
        if (i === 4) {
          // another optimizer goes on with the state
          const saved = offloaded.stateDict();
          const next = make(params);
          await next.loadStateDict(saved);
          offloaded.dispose();
          offloaded = next;
        }
        const passes = offloadGradients ? 1 : 2; // else gradients add up
        for (let k = 0; k < passes; k++) for (const p of [own, params]) loss(from, p, i + k);
        expect(params[0]!.grad === null).toBe(offloadGradients);
        plain.step();
        await offloaded.step();
        plain.zeroGrad();
        offloaded.zeroGrad();
        if (i < 4) for (const s of schedules) s.step();
      }
      for (const [k, p] of params.entries()) {
        expect(p.device).toBe(from);
        expectBits((await p.bits()) as never, (await own[k]!.bits()) as never, `parameter ${k}`);
      }
      const names = [...offloaded.stateDict().keys()];
      expect(names).toContain('offloaded.state.1.exp_avg');
      expect(names).toContain('on-device.state.0.exp_avg');
      offloaded.dispose();
    },
  );

  it('refuses what it cannot do', () => {
    const params = model('reference');
    const options = { offloadGradients: true, host: native, lr: 0.01 };
    const optimizer = new CPUOffloadOptimizer(params, AdamW, options);
    loss('reference', params, 0);
    expect(() => loss('reference', params, 1)).toThrow(/second gradient/);
    optimizer.dispose();
    const onHost = model(native);
    expect(() => new CPUOffloadOptimizer(onHost, AdamW, options)).toThrow(`cannot be offloaded to ${native}`);
    expect(() => new CPUOffloadOptimizer([tensor(rt, [1])], AdamW, options)).toThrow(/requires a gradient/);
  });
});
