// What all optimizers share: groups, state sizes, captured steps, saving and going on, and what they refuse.
import {
  bfloat16,
  bytesSink,
  bytesSource,
  cast,
  dequantize,
  fromBits,
  int8,
  isWrapped,
  linear,
  mean,
  mul,
  type RawArray,
  scope,
  sub,
  type Tensor,
  tensor,
} from '@ao/core';
import { backward } from '@ao/core/autograd';
import { expectBits } from '@ao/testing';
import { describe, expect, it } from 'vitest';
import * as ours from '../src/index.ts';
import { decodeBlocks, encodeBlocks } from '../src/state/codes.ts';
import { devices, native, nativeMissing } from './devices.ts';

if (nativeMissing !== '') console.warn(`not tested on ${native}: ${nativeMissing}`);

type Make = (params: Tensor[]) => ours.Optimizer<object>;

const all: Readonly<Record<string, Make>> = {
  SGD: (p) => new ours.SGD(p, { lr: 0.02, momentum: 0.9, nesterov: true }),
  Adam: (p) => new ours.Adam(p, { lr: 0.02, amsgrad: true }),
  AdamW: (p) => new ours.AdamW(p, { lr: 0.02 }),
  _AdamW: (p) => new ours._AdamW(p, { lr: 0.02, bf16StochasticRound: true, seed: 3 }),
  Adam8bit: (p) => new ours.Adam8bit(p, { lr: 0.02 }),
  AdamW8bit: (p) => new ours.AdamW8bit(p, { lr: 0.02, amsgrad: true }),
  Adam4bit: (p) => new ours.Adam4bit(p, { lr: 0.02 }),
  AdamW4bit: (p) => new ours.AdamW4bit(p, { lr: 0.02 }),
  AdamFp8: (p) => new ours.AdamFp8(p, { lr: 0.02 }),
  AdamWFp8: (p) => new ours.AdamWFp8(p, { lr: 0.02, bf16StochasticRound: true }),
};

const wave = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * i * 0.37 + seed));
const bits = (tensors: readonly Tensor[]): Promise<RawArray[]> => Promise.all(tensors.map((t) => t.bits()));

describe.each(devices)('optimizers on $device', ({ rt, device }) => {
  const made = (n: number, seed: number, dtype = bfloat16): Tensor =>
    scope(() => cast(tensor(rt, wave(n, seed), { device }), dtype));
  const params = (): Tensor[] => [made(4096, 1), made(33, 2)];
  const grads = (i: number): Tensor[] => [made(4096, 10 + i), made(33, 40 + i)];
  const step = (optimizer: ours.Optimizer<object>, p: readonly Tensor[], i: number): void => {
    optimizer.zeroGrad();
    for (const [k, g] of grads(i).entries()) p[k]!.grad = g;
    optimizer.step();
  };

  it.each(Object.entries(all))(
    '%s: ten steps equal five, saved, loaded, and five more, bit for bit',
    async (_, make) => {
      const whole = params();
      const one = make(whole);
      for (let i = 0; i < 10; i++) step(one, whole, i);

      const half = params();
      const two = make(half);
      for (let i = 0; i < 5; i++) step(two, half, i);
      two.setLr(0.01);
      two.setLr(0.02);
      const sink = bytesSink();
      await ours.saveOptimizer(two, sink);
      const rest = await Promise.all(half.map(async (p) => fromBits(rt, await p.bits(), p.shape, p.dtype, { device })));
      const three = make(rest);
      three.setLr(1);
      await ours.loadOptimizer(three, bytesSource(sink.bytes()));
      for (let i = 5; i < 10; i++) step(three, rest, i);
      for (const [k, b] of (await bits(rest)).entries())
        expectBits(b, (await whole[k]!.bits()) as never, `parameter ${k}`);
    },
  );

  it.each(Object.entries(all))('%s: a captured step replays as it runs, with a new rate', async (_, make) => {
    const eager = params();
    const one = make(eager);
    const captured = params();
    const two = make(captured);
    for (const p of captured) p.requiresGrad = true;
    const first = grads(0);
    const run = (...g: Tensor[]): void => {
      for (const [k, p] of captured.entries()) p.grad = g[k]!;
      two.step();
    };
    if (device !== 'reference') expect(() => rt.capture(run, ...first)).toThrow(/initState/);
    two.initState();
    const plan = rt.capture(run, ...first);
    for (let i = 0; i < 6; i++) {
      if (i === 3) for (const o of [one, two]) o.setLr(0.005);
      step(one, eager, i);
      plan.replay(...grads(i));
    }
    for (const [k, b] of (await bits(captured)).entries())
      expectBits(b, (await eager[k]!.bits()) as never, `parameter ${k}`);
    plan.dispose();
  });

  it('states of 8 bits are 3.8 times smaller than float32, those of 4 bits 7 times', () => {
    const sizes = [ours.AdamW, ours.AdamW8bit, ours.AdamWFp8, ours.AdamW4bit].map((Class) => {
      const p = [tensor(rt, new Float32Array(512 * 512), { device }), tensor(rt, new Float32Array(512), { device })];
      for (const t of p) t.requiresGrad = true;
      const optimizer = new Class(p);
      optimizer.initState();
      return optimizer.stateBytes();
    });
    const [plain, eight, fp8, four] = sizes as [number, number, number, number];
    expect(plain).toBe(2 * 4 * (512 * 512 + 512) + 2 * 4);
    expect(plain / eight).toBeGreaterThan(3.8);
    expect(plain / fp8).toBeGreaterThan(3.8);
    expect(plain / four).toBeGreaterThan(7);
  });

  it('quantizes the state of parameters of 4,096 values and more that are whole blocks', () => {
    const kindOf = (n: number, make: Make): string | undefined => {
      const p = made(n, 1);
      p.requiresGrad = true;
      const optimizer = make([p]);
      optimizer.initState();
      return optimizer.state.get(p)!['exp_avg']!.kind?.name;
    };
    expect(kindOf(4096, all['AdamW8bit']!)).toBe('optim_state_8bit');
    expect(kindOf(4095, all['AdamW8bit']!)).toBeUndefined();
    expect(kindOf(4096 + 128, all['AdamW8bit']!)).toBeUndefined();
    expect(kindOf(4096 + 128, all['AdamW4bit']!)).toBe('optim_state_4bit');
    expect(kindOf(4096 + 256, all['AdamWFp8']!)).toBe('optim_state_fp8');
  });

  it('a state of codes stands for the values that its codes say', async () => {
    for (const name of ['AdamW8bit', 'AdamW4bit', 'AdamWFp8']) {
      const p = [made(8192, 4)];
      const optimizer = all[name]!(p);
      p[0]!.grad = made(8192, 5);
      optimizer.step();
      for (const moment of ['exp_avg', 'exp_avg_sq']) {
        const t = optimizer.state.get(p[0]!)![moment]!;
        if (!isWrapped(t)) throw new Error(`${name}.${moment} is not quantized`);
        const parts = t.parts as Record<string, Tensor>;
        const codes = {
          codes: (await parts['codes']!.bits()) as Uint8Array,
          scale: (await parts['scale']!.data()) as Float32Array,
        };
        const want = decodeBlocks(codes, parts['qmap'] && (await parts['qmap'].data()));
        expectBits(
          await cast(dequantize(t), bfloat16).bits(),
          (await cast(tensor(rt, want, { device }), bfloat16).bits()) as never,
        );
      }
    }
  });

  it('loads moments in floats as codes, and codes as floats', async () => {
    const p = [tensor(rt, wave(4096, 1), { device })];
    const plain = new ours.AdamW(p);
    p[0]!.grad = tensor(rt, wave(4096, 2), { device });
    plain.step();
    const eight = new ours.AdamW8bit(p);
    await eight.loadStateDict(plain.stateDict());
    const state = eight.state.get(p[0]!)!;
    const want = encodeBlocks(await plain.state.get(p[0]!)!['exp_avg']!.data(), 256, ours.qmapOf(8, true));
    const { codes, scale } = (state['exp_avg'] as ours.OptimState8bit).parts as { codes: Tensor; scale: Tensor };
    expectBits((await codes.bits()) as never, want.codes);
    expectBits((await scale.bits()) as never, want.scale);
    await plain.loadStateDict(eight.stateDict());
    expectBits((await plain.state.get(p[0]!)!['exp_avg']!.data()) as never, decodeBlocks(want, ours.qmapOf(8, true)));
    expect(await state['step']!.item()).toBe(1);
  });

  it('groups have options of their own', async () => {
    const one = (): Tensor => tensor(rt, [1], { device });
    const [a, b, c] = [one(), one(), one()] as const;
    const optimizer = new ours.SGD([{ params: [a] }, { params: [b], lr: 0.5, weightDecay: 1 }], { lr: 0.1 });
    optimizer.addParamGroup({ params: [c], lr: 2 });
    for (const p of [a, b]) p.grad = one();
    optimizer.step();
    const values = (await Promise.all([a, b, c].map((p) => p.data()))).map(([x]) => x!);
    expect(values).toEqual([Math.fround(1 - Math.fround(0.1)), 0, 1]);
    optimizer.zeroGrad();
    expect(a.grad).toBeNull();
  });

  it('refuses what no step could take, before any work', async () => {
    const p = tensor(rt, [1, 2], { device });
    expect(() => new ours.AdamW([])).toThrow(/no parameters/);
    expect(() => new ours.AdamW([p, p])).toThrow(/already/);
    expect(() => new ours.AdamW([tensor(rt, [1], { dtype: int8, device })])).toThrow(/floats/);
    expect(() => new ours.AdamW([p], { betas: [0.9, 1] })).toThrow(/betas/);
    expect(() => new ours.AdamW([p], { lr: -1 })).toThrow(/lr/);
    expect(() => new ours.SGD([p], { nesterov: true })).toThrow(/nesterov/);
    expect(() => new ours.AdamW4bit([p], { blockSize: 7 })).toThrow(/blockSize 7/);
    const optimizer = new ours.AdamW([p]);
    await expect(optimizer.loadStateDict(new Map([['state.0.exp_avg', p]]))).rejects.toThrow(/state.0.step is missing/);
    await expect(optimizer.loadStateDict(new Map([['state.3.step', p]]))).rejects.toThrow(/unknown/);
    p.grad = tensor(rt, [1], { device });
    expect(() => optimizer.step()).toThrow(/grad/);
  });

  it('trains with autograd', async () => {
    const [x, y] = [
      tensor(rt, wave(64 * 16, 3), { shape: [64, 16], device }),
      tensor(rt, wave(64 * 8, 4), { shape: [64, 8], device }),
    ];
    const w = tensor(rt, wave(8 * 16, 5), { shape: [8, 16], device });
    w.requiresGrad = true;
    const optimizer = new ours.AdamW([w], { lr: 0.05, weightDecay: 0 });
    const losses: number[] = [];
    for (let i = 0; i < 30; i++) {
      const loss = scope(() => {
        const e = sub(linear(x, w), y);
        const l = mean(mul(e, e));
        backward(l);
        return l;
      });
      optimizer.step();
      optimizer.zeroGrad();
      losses.push(await loss.item());
    }
    expect(losses.at(-1)!).toBeLessThan(losses[0]! * 0.5);
  });
});
